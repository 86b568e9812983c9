#include "controller/rollout/node_session.h"

#include <memory>
#include <set>
#include <string>

#include "common/status/status.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using certcast::testing::CommandKind;
using certcast::testing::FakeClock;
using certcast::testing::FakeNode;
using certcast::testing::FakeTransport;
using certcast::testing::Fault;
using certcast::testing::HasReason;
using certcast::testing::IsOk;

v1::Command Describe() {
  v1::Command command;
  command.set_id("describe");
  command.mutable_describe();
  return command;
}

// All the pauses of a session with a node that loses its link each time.
absl::Duration PausesOf(const std::string& name) {
  FakeClock clock;
  FakeTransport transport(clock);
  NodeConfig config;
  config.name = name;
  transport.Node(name).Inject(CommandKind::kDescribe, Fault::LostBefore(), FakeNode::kAlways);
  NodeSession session(config, transport, clock, absl::Minutes(10));
  EXPECT_THAT(session.Send(Describe()), HasReason(Reason::LINK_LOST));
  EXPECT_EQ(transport.NodesThatGot(CommandKind::kDescribe).size(), 8u);
  return clock.slept();
}

TEST(NodeSession, TriesEightTimesWithPausesThatGrowAndDifferBetweenNodes) {
  std::set<absl::Duration> pauses;
  for (int i = 0; i < 20; ++i) pauses.insert(PausesOf("node-" + std::to_string(i)));
  EXPECT_EQ(pauses.size(), 20u);
  // 0.5 s, 1, 2, 4, 8, 15 and 15, or half of each.
  EXPECT_GE(*pauses.begin(), absl::Milliseconds(45'500) / 2);
  EXPECT_LE(*pauses.rbegin(), absl::Milliseconds(45'500));
}

TEST(NodeSession, TriesTwiceWhereItWasNeverSpokenTo) {
  FakeClock clock;
  FakeTransport transport(clock);
  NodeConfig config;
  config.name = "node-0";
  transport.Node("node-0").SetReachable(Fail(Reason::NO_ROUTE, "connection refused"));
  NodeSession session(config, transport, clock, absl::Minutes(10));
  EXPECT_THAT(session.Connect(), HasReason(Reason::NO_ROUTE));
  EXPECT_EQ(transport.opened(), 2);
  EXPECT_LE(clock.slept(), absl::Milliseconds(500));
  EXPECT_FALSE(session.in_doubt());
}

// As over a thin line, at first contact with a host over SSH.
TEST(NodeSession, WhatItTakesToPutTheAgentThereIsNoneOfItsTime) {
  class SlowTransport final : public Transport {
   public:
    SlowTransport(Transport& transport, FakeClock& clock) : transport_(transport), clock_(clock) {}
    absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) override {
      clock_.Advance(absl::Minutes(5));
      return transport_.Open(node, timeout);
    }

   private:
    Transport& transport_;
    FakeClock& clock_;
  };
  FakeClock clock;
  FakeTransport transport(clock);
  NodeConfig config;
  config.name = "node-0";
  transport.Node("node-0");
  SlowTransport slow(transport, clock);
  NodeSession session(config, slow, clock, absl::Minutes(3));
  ASSERT_THAT(session.Connect(), IsOk());
  EXPECT_EQ(session.remaining(), absl::Minutes(3));
  EXPECT_THAT(session.Send(Describe()), IsOk());
}

TEST(NodeSession, DoesNotAskAgainWhatANodeRefused) {
  FakeClock clock;
  FakeTransport transport(clock);
  NodeConfig config;
  config.name = "node-0";
  transport.Node("node-0").Inject(CommandKind::kDescribe, Fault::Refused(Reason::DOWNGRADE), FakeNode::kAlways);
  NodeSession session(config, transport, clock, absl::Minutes(10));
  EXPECT_THAT(session.Send(Describe()), HasReason(Reason::DOWNGRADE));
  EXPECT_EQ(transport.NodesThatGot(CommandKind::kDescribe).size(), 1u);
  EXPECT_EQ(clock.slept(), absl::ZeroDuration());
}

TEST(NodeSession, EndsWithItsTimeHoweverOftenItMayTry) {
  FakeClock clock;
  FakeTransport transport(clock);
  NodeConfig config;
  config.name = "node-0";
  transport.Node("node-0").Inject(CommandKind::kDescribe, Fault::Refused(Reason::BUSY), FakeNode::kAlways);
  NodeSession session(config, transport, clock, absl::Seconds(20));
  EXPECT_THAT(session.Send(Describe()), HasReason(Reason::BUSY));
  EXPECT_LE(clock.slept(), absl::Seconds(20));
  EXPECT_GE(clock.slept(), absl::Seconds(4));
}

}  // namespace
}  // namespace certcast::controller
