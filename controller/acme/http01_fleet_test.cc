#include "controller/acme/http01_fleet.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "controller/acme/fleet_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::AllOf;
using testing::CommandKind;
using testing::Fault;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::SizeIs;

class Http01FleetTest : public ::testing::Test {
 protected:
  Http01FleetTest() {
    challenge_.set_domain("example.com");
    challenge_.set_token("token");
    challenge_.set_key_authorization("token." + std::string(43, 'T'));
    challenge_.set_type("http-01");
  }

  absl::Status Await(Http01Fleet& solver) {
    return solver.AwaitVisible({challenge_}, [this](absl::string_view line) { progress_.emplace_back(line); });
  }
  Http01Fleet Solver(HttpFleet config = HttpFleet()) { return Http01Fleet(config, fixture_.Fleet(), clock_); }

  testing::FakeClock clock_;
  FleetFixture fixture_{5, clock_};
  state::v1::PresentedChallenge challenge_;
  std::vector<std::string> progress_;
};

TEST_F(Http01FleetTest, EveryNodeShowsItUntilItIsTakenAway) {
  Http01Fleet solver = Solver();
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  EXPECT_EQ(challenge_.nodes_size(), 5);
  EXPECT_EQ(solver.Place(challenge_), "http://example.com/.well-known/acme-challenge/token");
  ASSERT_THAT(solver.Present(challenge_), IsOk());
  EXPECT_THAT(fixture_.Shown(), SizeIs(5));
  ASSERT_THAT(Await(solver), IsOk());
  ASSERT_THAT(solver.CleanUp(challenge_), IsOk());
  EXPECT_THAT(fixture_.Shown(), IsEmpty());
  // One link a node, through all of it.
  EXPECT_EQ(fixture_.transport.opened(), 5);
  EXPECT_EQ(fixture_.transport.events().front().epoch, 7u);
}

TEST_F(Http01FleetTest, NodesThatRefuseAreNamed) {
  for (const char* node : {"web-1", "web-2", "web-3", "web-4"}) {
    fixture_.transport.Node(node).Inject(CommandKind::kPutHttpChallenge,
                                         Fault::Refused(Reason::NOT_DECLARED, "no place"));
  }
  Http01Fleet solver = Solver({.max_unreachable = 5});
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  EXPECT_THAT(
      solver.Present(challenge_),
      HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr("node web-1: no place; node web-2: no place; node web-3"),
                                                HasSubstr("and 1 more"), Not(HasSubstr("web-4")))));
}

TEST_F(Http01FleetTest, AnAnswerThatIsLostIsAskedForAgain) {
  fixture_.transport.Node("web-2").Inject(CommandKind::kPutHttpChallenge, Fault::LostAfter());
  fixture_.transport.Node("web-3").Inject(CommandKind::kPutHttpChallenge, Fault::LostBefore());
  Http01Fleet solver = Solver();
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  ASSERT_THAT(solver.Present(challenge_), IsOk());
  EXPECT_THAT(fixture_.Shown(), SizeIs(5));
}

TEST_F(Http01FleetTest, SoManyAsMayBeOutOfReach) {
  for (const char* node : {"web-4", "web-5"}) {
    fixture_.transport.Node(node).SetReachable(Fail(Reason::NO_ROUTE, "nobody there"));
  }
  Http01Fleet strict = Solver({.max_unreachable = 1});
  ASSERT_THAT(strict.Prepare(challenge_), IsOk());
  EXPECT_THAT(strict.Present(challenge_),
              HasReason(Reason::CHALLENGE_FAILED, HasSubstr("node web-4: nobody there; node web-5: nobody there")));
  Http01Fleet lenient = Solver({.max_unreachable = 2});
  ASSERT_THAT(lenient.Present(challenge_), IsOk());
  EXPECT_THAT(Await(lenient), IsOk());
  // They heard nothing.
  EXPECT_THAT(lenient.CleanUp(challenge_), IsOk());
  EXPECT_THAT(fixture_.Shown(), IsEmpty());
}

TEST_F(Http01FleetTest, ANodeThatAnswersLateIsWaitedForAndOneThatNeverDoesIsNamed) {
  Http01Fleet solver = Solver();
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  ASSERT_THAT(solver.Present(challenge_), IsOk());
  int looks = 0;
  fixture_.prober.Otherwise([&](const ProbeSpec& spec) {
    const bool is_third = std::get<HttpProbe>(spec.what).url.find("10.0.0.3") != std::string::npos;
    if (is_third && ++looks < 4) return testing::FakeProber::Fails("connection refused");
    return Observation{.served_sha256 = "", .ok = true};
  });
  ASSERT_THAT(Await(solver), IsOk());
  EXPECT_THAT(progress_, SizeIs(3));
  looks = -1000;
  const absl::Duration before = clock_.slept();
  EXPECT_THAT(Await(solver),
              HasReason(Reason::CHALLENGE_FAILED,
                        AllOf(HasSubstr("1 of 5 nodes"), HasSubstr("node web-3"), HasSubstr("connection refused"))));
  EXPECT_LE(clock_.slept() - before, absl::Seconds(30));
}

TEST_F(Http01FleetTest, RedirectsAreFollowedOnEachNode) {
  Http01Fleet solver = Solver({.timeout = absl::Milliseconds(100)});
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  std::string forgotten = "none";
  fixture_.prober.Otherwise([&](const ProbeSpec& spec) {
    const std::string& url = std::get<HttpProbe>(spec.what).url;
    if (!absl::StartsWith(url, "https://10.0.0.")) {
      Observation seen = testing::FakeProber::Fails("was answered with status 301, not 200");
      seen.location = "https://example.com/.well-known/acme-challenge/token";
      return seen;
    }
    if (absl::StrContains(url, forgotten)) return testing::FakeProber::Fails("was answered with status 404, not 200");
    return Observation{.served_sha256 = "", .ok = true};
  });
  ASSERT_THAT(Await(solver), IsOk());
  EXPECT_THAT(fixture_.prober.looks(), SizeIs(10));
  forgotten = "10.0.0.3:443";
  EXPECT_THAT(Await(solver),
              HasReason(Reason::CHALLENGE_FAILED,
                        HasSubstr("1 of 5 nodes do not answer as the CA wants: node web-3: 10.0.0.3:80 for "
                                  "example.com -> https://example.com/...: was answered with status 404")));
}

TEST_F(Http01FleetTest, ANodeThatMayHaveHeardIsAskedToTakeItAway) {
  fixture_.transport.Node("web-2").Inject(CommandKind::kPutHttpChallenge, Fault::LostAfter(),
                                          testing::FakeNode::kAlways);
  Http01Fleet solver = Solver({.max_unreachable = 1});
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  ASSERT_THAT(solver.Present(challenge_), IsOk());
  EXPECT_THAT(fixture_.Shown(), SizeIs(5));
  ASSERT_THAT(solver.CleanUp(challenge_), IsOk());
  EXPECT_THAT(fixture_.Shown(), IsEmpty());
}

// A certificate with several names has a token for each.
TEST_F(Http01FleetTest, ANodeThatHeardNothingOfTheFirstTokenIsRidOfTheSecond) {
  fixture_.transport.Node("web-2").SetReachable(Fail(Reason::NO_ROUTE, "nobody there"));
  Http01Fleet solver = Solver({.max_unreachable = 1});
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  ASSERT_THAT(solver.Present(challenge_), IsOk());
  fixture_.transport.Node("web-2").SetReachable(absl::OkStatus());
  state::v1::PresentedChallenge second = challenge_;
  second.set_token("second");
  second.set_key_authorization("second." + std::string(43, 'T'));
  ASSERT_THAT(solver.Present(second), IsOk());
  EXPECT_THAT(fixture_.Shown(), SizeIs(9));
  ASSERT_THAT(solver.CleanUp(challenge_), IsOk());
  ASSERT_THAT(solver.CleanUp(second), IsOk());
  EXPECT_THAT(fixture_.Shown(), IsEmpty());
}

TEST_F(Http01FleetTest, TheCheckCanBeLeftOut) {
  Http01Fleet solver = Solver({.check = false});
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  ASSERT_THAT(Await(solver), IsOk());
  EXPECT_THAT(fixture_.prober.looks(), IsEmpty());
}

TEST_F(Http01FleetTest, ANodeThatIsNotConfiguredAnyMoreIsLeftToItself) {
  Http01Fleet solver = Solver();
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  challenge_.add_nodes("gone");
  ASSERT_THAT(solver.Present(challenge_), IsOk());
  EXPECT_THAT(solver.CleanUp(challenge_), IsOk());
}

TEST_F(Http01FleetTest, WithoutNodesThereIsNothingToShowItOn) {
  fixture_.config.nodes.clear();
  Http01Fleet solver = Solver();
  EXPECT_THAT(solver.Prepare(challenge_), HasReason(Reason::CHALLENGE_FAILED, HasSubstr("no nodes")));
}

TEST_F(Http01FleetTest, WhereANodeIsAskedCanBeSaid) {
  fixture_.config.nodes[0].http_address = "192.0.2.1:8080";
  fixture_.config.nodes[1].address = "[2001:db8::2]:7444";
  Http01Fleet solver = Solver({.timeout = absl::Milliseconds(100)});
  ASSERT_THAT(solver.Prepare(challenge_), IsOk());
  EXPECT_THAT(Await(solver), HasReason(Reason::CHALLENGE_FAILED, AllOf(HasSubstr("192.0.2.1:8080 for example.com"),
                                                                       HasSubstr("[2001:db8::2]:80 for example.com"))));
}

}  // namespace
}  // namespace certcast::controller
