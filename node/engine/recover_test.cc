// Whatever an install is interrupted by, a service's files are one matching set, old or new, and a restart makes order.
// Where they are copies, they are one set once the restart has made order.
#include "node/engine/recover.h"

#include <cerrno>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "node/engine/stories.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using testing::IsOk;

class RecoverTest : public StoryTest {};

TEST_P(RecoverTest, WithoutAFaultItGoesThrough) {
  SimulatedNode node;
  GetParam().prepare(node);
  GetParam().act(node);
  EXPECT_EQ(node.FilesOf("nginx"), GetParam().after);
  EXPECT_EQ(node.FilesOf("haproxy"), GetParam().after);
  ExpectNextInstallWorks(node);
}

TEST_P(RecoverTest, AfterAKillAtAnyOperation) {
  ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashAt(n); },
                   [](SimulatedNode& node, int) {
                     ExpectWholeUnlessCutOff(node);
                     node.Kill();
                     ASSERT_THAT(node.Start(), IsOk());
                     ExpectWhole(node);
                     ExpectOrder(node);
                     ExpectNextInstallWorks(node);
                   });
}

TEST_P(RecoverTest, AfterAPowerLossAtAnyOperation) {
  ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashAt(n); },
                   [](SimulatedNode& node, int n) {
                     node.LosePower(static_cast<uint64_t>(n) % 4);
                     ExpectWholeUnlessCutOff(node);
                     ASSERT_THAT(node.Start(), IsOk());
                     ExpectWhole(node);
                     ExpectOrder(node);
                   });
}

TEST_P(RecoverTest, AfterAPowerLossInTheMiddleOfAWrite) {
  ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashInTheMiddleOf(n); },
                   [](SimulatedNode& node, int n) {
                     node.LosePower(static_cast<uint64_t>(n));
                     ExpectWholeUnlessCutOff(node);
                     ASSERT_THAT(node.Start(), IsOk());
                     ExpectWhole(node);
                     ExpectOrder(node);
                   });
}

TEST_P(RecoverTest, AfterACrashDuringRecovery) {
  // The second crash moves through the recovery while the first moves through the story, at another pace.
  for (const int pace : {7, 11}) {
    ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashAt(n); },
                     [&](SimulatedNode& node, int n) {
                       node.LosePower(static_cast<uint64_t>(n));
                       node.files.CrashAt(node.files.count() + 1 + pace * n % 61);
                       (void)node.Start();
                       node.LosePower(static_cast<uint64_t>(n) + static_cast<uint64_t>(pace));
                       ExpectWholeUnlessCutOff(node);
                       ASSERT_THAT(node.Start(), IsOk());
                       ExpectWhole(node);
                       ExpectOrder(node);
                     });
    if (HasFailure()) return;
  }
}

TEST_P(RecoverTest, WhereTheDiskIsFullFromSomePointOn) {
  ForEachOperation(
      [](SimulatedNode& node, int n) {
        node.files.FailWhere(
            [left = n - node.files.count()](absl::string_view operation) mutable {
              return --left <= 0 && (absl::StartsWith(operation, "Make") || absl::StartsWith(operation, "Create"));
            },
            ENOSPC);
      },
      [](SimulatedNode& node, int) {
        ExpectWhole(node);
        // Also without a restart, everything serves what its files say: the way back needs no space.
        node.clock.Advance(absl::Minutes(2));
        // Only links that were being taken in, before anything was switched, may wait for some.
        EXPECT_THAT(node.engine().RevertIfOverdue(), ::testing::AnyOf(IsOk(), testing::HasReason(Reason::NO_SPACE)));
        for (const std::string service : {"nginx", "haproxy"}) {
          if (node.FilesOf(service) != kNothing && !node.running[service].ignores_reload) {
            EXPECT_EQ(node.running[service].served, node.FilesOf(service));
          }
        }
        node.Kill();
        ASSERT_THAT(node.Start(), IsOk());
        ExpectOrder(node);
        ExpectNextInstallWorks(node);
      });
}

INSTANTIATE_TEST_SUITE_P(StoriesOfLinks, RecoverTest, ::testing::ValuesIn(StoriesOfLinks()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(StoriesOfCopies, RecoverTest, ::testing::ValuesIn(StoriesOfCopies()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace certcast::node
