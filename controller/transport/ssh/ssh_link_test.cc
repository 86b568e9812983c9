#include "controller/transport/ssh/ssh_link.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/scripted_channel.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::ScriptedChannel;

constexpr absl::Duration kTimeout = absl::Seconds(1);

std::string Delimited(const google::protobuf::MessageLite& message) {
  ScriptedChannel channel({});
  EXPECT_THAT(WriteMessage(message, channel, Deadline::In(kTimeout)), IsOk());
  return channel.written();
}

v1::Report HostedHello() {
  v1::Report report;
  report.mutable_hello()->set_hosted(true);
  return report;
}

v1::Report HelloOf(const std::string& node, const std::string& fleet) {
  v1::Report report;
  report.mutable_hello()->set_node(node);
  report.mutable_hello()->set_fleet_id(fleet);
  return report;
}

v1::Report Answer(const std::string& id) {
  v1::Report report;
  report.set_command_id(id);
  report.mutable_inventory();
  return report;
}

v1::Command Describe(const std::string& id) {
  v1::Command command;
  command.set_id(id);
  command.mutable_describe();
  return command;
}

class SshLinkTest : public ::testing::Test {
 protected:
  // A link whose host says this.
  void Make(const std::vector<v1::Report>& reports) {
    auto channel = std::make_unique<ScriptedChannel>(std::deque<std::string>());
    for (const v1::Report& report : reports) channel->Add(Delimited(report));
    channel_ = channel.get();
    auto reader = std::make_unique<ChannelReader>(*channel);
    v1::NodeDefinition definition;
    definition.set_node("web-01");
    definition.set_fleet_id("fleet");
    definition.set_services_yaml("[]");
    link_ = std::make_unique<SshLink>(std::move(channel), std::move(reader), nullptr, definition);
  }
  absl::Status Hello() { return link_->AwaitHello(Deadline::In(kTimeout)); }
  // What the host was sent.
  std::vector<v1::Command> Sent() const {
    ScriptedChannel channel({channel_->written()});
    ChannelReader reader(channel);
    std::vector<v1::Command> commands;
    v1::Command command;
    while (reader.ReadMessage(command, Deadline::In(kTimeout)).ok()) commands.push_back(command);
    return commands;
  }

  ScriptedChannel* channel_ = nullptr;
  std::unique_ptr<SshLink> link_;
};

TEST_F(SshLinkTest, TellsAHostedAgentOnceWhatItIs) {
  Make({HostedHello(), Answer("a"), Answer("b")});
  ASSERT_THAT(Hello(), IsOk());
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr), IsOk());
  EXPECT_THAT(link_->Call(Describe("b"), kTimeout, nullptr), IsOk());
  const std::vector<v1::Command> sent = Sent();
  ASSERT_EQ(sent.size(), 2);
  EXPECT_EQ(sent[0].definition().services_yaml(), "[]");
  EXPECT_FALSE(sent[1].has_definition());
}

TEST_F(SshLinkTest, TellsAnAgentOfItsOwnNothing) {
  Make({HelloOf("web-01", "fleet"), Answer("a")});
  ASSERT_THAT(Hello(), IsOk());
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr), IsOk());
  ASSERT_EQ(Sent().size(), 1);
  EXPECT_FALSE(Sent()[0].has_definition());
}

TEST_F(SshLinkTest, RefusesAnAgentThatIsAnother) {
  Make({HelloOf("web-02", "fleet")});
  EXPECT_THAT(Hello(), HasReason(Reason::AUTH_FAILED, HasSubstr("web-02, not web-01")));
  Make({HelloOf("web-01", "other")});
  EXPECT_THAT(Hello(), HasReason(Reason::AUTH_FAILED, HasSubstr("fleet other")));
  Make({Answer("")});
  EXPECT_THAT(Hello(), HasReason(Reason::PROTOCOL, HasSubstr("no Hello")));
  Make({});
  EXPECT_THAT(Hello(), HasReason(Reason::LINK_LOST));
}

TEST_F(SshLinkTest, GivesProgressAndThenTheAnswer) {
  v1::Report progress;
  progress.set_command_id("a");
  progress.mutable_progress()->set_step("verify");
  Make({HostedHello(), progress, progress, Answer("a")});
  ASSERT_THAT(Hello(), IsOk());
  std::vector<std::string> steps;
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, [&](const v1::Progress& p) { steps.push_back(p.step()); }), IsOk());
  EXPECT_THAT(steps, ElementsAre("verify", "verify"));
}

TEST_F(SshLinkTest, ARefusalIsItsReason) {
  v1::Report refusal;
  refusal.set_command_id("a");
  refusal.mutable_refusal()->mutable_failure()->set_reason(Reason::STALE_EPOCH);
  Make({HostedHello(), refusal});
  ASSERT_THAT(Hello(), IsOk());
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr), HasReason(Reason::STALE_EPOCH));
}

TEST_F(SshLinkTest, AnAnswerThatComesTooLateIsNotTakenForTheNext) {
  Make({HostedHello()});
  channel_->Add(ScriptedChannel::kHang);
  channel_->Add(Delimited(Answer("a")) + Delimited(Answer("b")));
  ASSERT_THAT(Hello(), IsOk());
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr),
              HasReason(Reason::TIMED_OUT, HasSubstr("did not answer within")));
  const absl::StatusOr<v1::Report> report = link_->Call(Describe("b"), kTimeout, nullptr);
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(report->command_id(), "b");
}

TEST_F(SshLinkTest, AnAgentThatOnlyTalksIsGivenUpWhenTimeIsOver) {
  v1::Report progress;
  progress.set_command_id("a");
  progress.mutable_progress()->set_step("verify");
  Make({HostedHello(), progress, progress, Answer("a"), Answer("b")});
  ASSERT_THAT(Hello(), IsOk());
  EXPECT_THAT(link_->Call(Describe("a"), absl::ZeroDuration(), nullptr), HasReason(Reason::TIMED_OUT));
  EXPECT_THAT(link_->Call(Describe("b"), kTimeout, nullptr), IsOk());
}

TEST_F(SshLinkTest, AnAnswerToAnotherCommandIsRefused) {
  Make({HostedHello(), Answer("b")});
  ASSERT_THAT(Hello(), IsOk());
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr), HasReason(Reason::PROTOCOL, HasSubstr("not given")));
}

TEST_F(SshLinkTest, AfterTheEndEveryCallFailsAndTheReasonIsKept) {
  Make({HostedHello()});
  ASSERT_THAT(Hello(), IsOk());
  channel_->SetExit(1, "certcast-node: disk is gone");
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<v1::Report> report = link_->Call(Describe("a"), kTimeout, nullptr);
    EXPECT_THAT(report, HasReason(Reason::LINK_LOST));
    EXPECT_THAT(FailureOf(report.status()).stderr(), HasSubstr("disk is gone"));
  }
  EXPECT_EQ(Sent().size(), 1);
}

TEST_F(SshLinkTest, AWriteThatFailedHalfwayEndsTheLink) {
  Make({HostedHello(), Answer("a")});
  ASSERT_THAT(Hello(), IsOk());
  channel_->SetWriteError(Fail(Reason::TIMED_OUT, "peer: timed out while waiting for it to read"));
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr), HasReason(Reason::TIMED_OUT));
  channel_->SetWriteError(absl::OkStatus());
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr), HasReason(Reason::TIMED_OUT));
  EXPECT_THAT(Sent(), ::testing::IsEmpty());
}

TEST_F(SshLinkTest, ACommandThatIsTooLargeIsRefusedAndTheLinkStays) {
  Make({HostedHello(), Answer("a")});
  ASSERT_THAT(Hello(), IsOk());
  v1::Command large = Describe(std::string(size_t{1} << 20, 'x'));
  EXPECT_THAT(link_->Call(large, kTimeout, nullptr), HasReason(Reason::MALFORMED));
  EXPECT_THAT(link_->Call(Describe("a"), kTimeout, nullptr), IsOk());
  ASSERT_EQ(Sent().size(), 1);
  EXPECT_TRUE(Sent()[0].has_definition());
}

}  // namespace
}  // namespace certcast::controller
