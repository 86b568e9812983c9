// What a controller may have a node show, and what it may not.
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;

constexpr char kFile[] = "/var/www/.well-known/acme-challenge/tok";

class HttpChallengeTest : public ::testing::Test {
 protected:
  HttpChallengeTest() {
    node_.AddService("nginx");
    node_.disk.PutDirectory("/var/www", {.mode = 0755});
    node_.config.http_challenge.webroot = "/var/www";
    Start();
  }
  void Start() {
    engine_.reset();
    EngineEnvironment environment = node_.Environment();
    environment.http_challenges = &challenges_;
    auto engine = Engine::Start(node_.config, environment);
    ASSERT_THAT(engine, IsOk());
    engine_ = *std::move(engine);
  }
  v1::Command Put() {
    v1::Command command;
    command.set_id(node_.NewCommandId());
    command.set_epoch(7);
    command.mutable_put_http_challenge()->set_token("tok");
    command.mutable_put_http_challenge()->set_key_authorization("tok." + std::string(43, 'T'));
    command.mutable_put_http_challenge()->mutable_lifetime()->set_seconds(600);
    return command;
  }
  v1::Command Remove() {
    v1::Command command;
    command.set_id(node_.NewCommandId());
    command.set_epoch(7);
    command.mutable_remove_http_challenge()->set_token("tok");
    return command;
  }
  v1::Failure Refused(const v1::Command& command) { return engine_->Handle(command, {}).refusal().failure(); }

  SimulatedNode node_;
  HttpChallenges challenges_{node_.disk, node_.clock};
  std::unique_ptr<Engine> engine_;
};

TEST_F(HttpChallengeTest, ShowsWhatItIsToldWhereItsOwnConfigurationSays) {
  const v1::Report put = engine_->Handle(Put(), {});
  EXPECT_EQ(put.http_challenge_result().http_challenge(), "webroot /var/www") << put.DebugString();
  EXPECT_EQ(node_.disk.GetFile(kFile), "tok." + std::string(43, 'T'));
  const v1::Report removed = engine_->Handle(Remove(), {});
  EXPECT_TRUE(removed.has_http_challenge_result()) << removed.DebugString();
  EXPECT_FALSE(node_.disk.Exists(kFile));
  v1::Command describe;
  describe.set_id(node_.NewCommandId());
  describe.mutable_describe();
  EXPECT_EQ(engine_->Handle(describe, {}).inventory().http_challenge(), "webroot /var/www");
}

TEST_F(HttpChallengeTest, AnInstallThatWaitsIsNotInTheWay) {
  ASSERT_EQ(engine_->Handle(node_.InstallCommand(1), {}).install_result().outcome(), v1::Outcome::INSTALLED);
  EXPECT_TRUE(engine_->Handle(Put(), {}).has_http_challenge_result());
  EXPECT_TRUE(engine_->Handle(Remove(), {}).has_http_challenge_result());
}

TEST_F(HttpChallengeTest, OnlyTheControllerInChargeIsHeard) {
  v1::Command install = node_.InstallCommand(1);
  install.set_epoch(9);
  ASSERT_TRUE(engine_->Handle(install, {}).has_install_result());
  EXPECT_EQ(Refused(Put()).reason(), Reason::STALE_EPOCH);
  EXPECT_EQ(Refused(Remove()).reason(), Reason::STALE_EPOCH);
  EXPECT_FALSE(node_.disk.Exists(kFile));
}

TEST_F(HttpChallengeTest, OnlyAChallengeIsShown) {
  v1::Command command = Put();
  command.mutable_put_http_challenge()->set_token("../../index.html");
  EXPECT_EQ(Refused(command).reason(), Reason::MALFORMED);
  command = Put();
  command.mutable_put_http_challenge()->set_key_authorization("<html>");
  EXPECT_EQ(Refused(command).reason(), Reason::MALFORMED);
  command = Put();
  command.mutable_put_http_challenge()->clear_lifetime();
  EXPECT_EQ(Refused(command).reason(), Reason::MALFORMED);
}

TEST_F(HttpChallengeTest, ANodeWithoutAPlaceSaysWhereToAddOne) {
  node_.config.http_challenge = {};
  Start();
  const v1::Failure refused = Refused(Put());
  EXPECT_EQ(refused.reason(), Reason::NOT_DECLARED);
  EXPECT_THAT(refused.hint(), HasSubstr("http_challenge: {webroot: DIRECTORY} to its node.yaml"));
  // What an earlier configuration let there be may go.
  EXPECT_TRUE(engine_->Handle(Remove(), {}).has_http_challenge_result());
}

TEST_F(HttpChallengeTest, AListenerThatCantListenIsNoLostNode) {
  node_.config.http_challenge = {.webroot = "", .listen = "192.0.2.1:80"};
  Start();
  EXPECT_EQ(Refused(Put()).reason(), Reason::CHALLENGE_FAILED);
}

TEST_F(HttpChallengeTest, ANodeOfNoFleetShowsNothing) {
  node_.config.fleet.reset();
  Start();
  EXPECT_EQ(Refused(Put()).reason(), Reason::NOT_ENROLLED);
}

TEST_F(HttpChallengeTest, AStartRemovesWhatIsOverdue) {
  ASSERT_TRUE(engine_->Handle(Put(), {}).has_http_challenge_result());
  node_.clock.Advance(absl::Hours(1));
  // As of a process that was killed: its notes are there, and it is not.
  HttpChallenges next(node_.disk, node_.clock);
  EngineEnvironment environment = node_.Environment();
  environment.http_challenges = &next;
  engine_.reset();
  ASSERT_THAT(Engine::Start(node_.config, environment), IsOk());
  EXPECT_FALSE(node_.disk.Exists(kFile));
}

}  // namespace
}  // namespace certcast::node
