// The agent as it is shipped, killed (as `kill -9` does) at each system call by which it changes a file, on a real file
// system. The table is generated: a run without a kill lists the calls, and then there is one run for each of them.
//
// A kill right after a call leaves the same files as one right before the next; it differs in what ran in between
// (reloads, probes). So by default every call has a kill before it, and each fourth one a kill after it as well; second
// kills go through the whole recovery of each sixteenth call of one story. With CERTCAST_CRASH_TABLE=full in the
// environment, as tests/long.sh has it, nothing is left out.
#include <cstdlib>
#include <functional>
#include <iostream>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/crash/node_on_disk.h"
#include "tests/testing/syscall_killer.h"

namespace certcast {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using testing::KillPoint;
using testing::TracedRun;
using Moment = KillPoint::Moment;

constexpr int kSlices = 2;

struct Story {
  std::string name;
  // What is confirmed, one after the other, before it begins.
  std::vector<uint64_t> have;
  std::function<std::vector<v1::Command>(NodeOnDisk&)> commands;
  std::vector<std::string> outcomes;
  // `mail` does not take up what it is told to.
  bool ignores_reload = false;
  // `mail` has regular files instead of links.
  bool copies = false;
  // What services may read at any time, and what they read in the end.
  std::vector<uint64_t> may_read;
  uint64_t after = 0;

  friend std::ostream& operator<<(std::ostream& out, const Story& story) { return out << story.name; }
};

std::vector<v1::Command> InstallAndConfirm(NodeOnDisk& node, uint64_t generation) {
  return {node.InstallCommand(generation), node.ConfirmCommand(generation)};
}

std::vector<Story> Stories() {
  return {
      {.name = "AFirstInstallOverFilesFromBefore",
       .commands = [](NodeOnDisk& node) { return InstallAndConfirm(node, 1); },
       .outcomes = {"INSTALLED", "INSTALLED"},
       .may_read = {kByHand, 1},
       .after = 1},
      {.name = "AnUpdate",
       .have = {1},
       .commands = [](NodeOnDisk& node) { return InstallAndConfirm(node, 2); },
       .outcomes = {"INSTALLED", "INSTALLED"},
       .may_read = {1, 2},
       .after = 2},
      {.name = "AnUpdateThatIsNotServed",
       .have = {1},
       .commands = [](NodeOnDisk& node) { return std::vector<v1::Command>{node.InstallCommand(2)}; },
       .outcomes = {"REVERTED"},
       .ignores_reload = true,
       .may_read = {1, 2},
       .after = 1},
      {.name = "ARevertOfAConfirmedOne",
       .have = {1, 2},
       .commands = [](NodeOnDisk& node) { return std::vector<v1::Command>{node.RevertCommand(2)}; },
       .outcomes = {"REVERTED"},
       .may_read = {2, 1},
       .after = 1},
      {.name = "AnUpdateOfCopies",
       .have = {1},
       .commands = [](NodeOnDisk& node) { return InstallAndConfirm(node, 2); },
       .outcomes = {"INSTALLED", "INSTALLED"},
       .copies = true,
       .may_read = {1, 2},
       .after = 2},
      {.name = "AnUpdateOfCopiesThatIsNotServed",
       .have = {1},
       .commands = [](NodeOnDisk& node) { return std::vector<v1::Command>{node.InstallCommand(2)}; },
       .outcomes = {"REVERTED"},
       .ignores_reload = true,
       .copies = true,
       .may_read = {1, 2},
       .after = 1},
  };
}

bool IsFull() {
  const char* const table = std::getenv("CERTCAST_CRASH_TABLE");
  return table != nullptr && absl::string_view(table) == "full";
}

// A story, ready to be run again and again.
class Stage {
 public:
  explicit Stage(const Story& story) : node(story.copies), story_(story) {
    node.PutByHand();
    for (const uint64_t generation : story.have) {
      const TracedRun run = node.Act(InstallAndConfirm(node, generation), std::nullopt);
      EXPECT_EQ(run.exit_code, 0) << node.Errors();
      EXPECT_THAT(node.Outcomes(), ElementsAre("INSTALLED", "INSTALLED"));
    }
    node.Save();
  }

  TracedRun Play(const std::optional<KillPoint>& kill_at) {
    node.Restore();
    node.server("mail").IgnoreReloads(story_.ignores_reload);
    return node.Act(story_.commands(node), kill_at);
  }

  // At any time, also right after a kill.
  void ExpectWhole() {
    ExpectOneGeneration("web");
    if (!story_.copies) return ExpectOneGeneration("mail");
    EXPECT_TRUE(node.EachFileIsOf("mail", story_.may_read));
  }

  void Recover() { EXPECT_EQ(node.Recover(std::nullopt).exit_code, 0) << node.Errors(); }

  // After a recovery: all services have the same, it is what they serve, nothing is left over, and to recover again
  // changes nothing.
  void ExpectOrder() {
    ExpectOneGeneration("web");
    EXPECT_EQ(node.FilesOf("web"), node.FilesOf("mail"));
    for (const std::string service : {"web", "mail"}) {
      EXPECT_EQ(node.ServedBy(service), node.FilesOf(service)) << service;
    }
    EXPECT_THAT(node.Temporaries(), IsEmpty());
    const Tree tree = node.Look();
    Recover();
    EXPECT_EQ(node.Look(), tree);
  }

  // And the node is fit for what comes next, once it does not wait for Confirm any more: that one may come too late.
  void ExpectNextInstallWorks() {
    node.server("mail").IgnoreReloads(false);
    const v1::Command confirm = node.ConfirmCommand(story_.after);
    EXPECT_EQ(node.Act({confirm, node.InstallCommand(9), node.ConfirmCommand(9)}, std::nullopt).exit_code, 0);
    EXPECT_THAT(node.Outcomes(), ElementsAre(::testing::_, "INSTALLED", "INSTALLED"));
    for (const std::string service : {"web", "mail"}) EXPECT_EQ(node.ServedBy(service), node.LeafOf(9)) << service;
  }

  NodeOnDisk node;

 private:
  void ExpectOneGeneration(const std::string& service) {
    std::vector<std::string> allowed;
    for (const uint64_t generation : story_.may_read) allowed.push_back(node.LeafOf(generation));
    EXPECT_THAT(node.FilesOf(service), ::testing::AnyOfArray(allowed)) << service;
  }

  const Story& story_;
};

std::string Describe(const KillPoint& point, const std::vector<std::string>& operations) {
  return absl::StrCat("killed ", point.moment == Moment::kBefore ? "before" : "after", " operation ", point.operation,
                      " of ", operations.size(), ": ", operations[point.operation - 1]);
}

class RealBinaryTest : public ::testing::TestWithParam<std::tuple<Story, int>> {
 protected:
  const Story& story() const { return std::get<0>(GetParam()); }
  int slice() const { return std::get<1>(GetParam()); }

  // Of those of this slice.
  std::vector<KillPoint> Points(size_t operations, size_t after_each) const {
    std::vector<KillPoint> points;
    for (size_t i = 1; i <= operations; ++i) {
      if (i % kSlices != static_cast<size_t>(slice())) continue;
      points.push_back({.operation = i, .moment = Moment::kBefore});
      if (i / kSlices % after_each == 0) points.push_back({.operation = i, .moment = Moment::kAfter});
    }
    return points;
  }
};

TEST_P(RealBinaryTest, IsWholeWhereverItIsKilled) {
  const absl::Time begin = absl::Now();
  Stage stage(story());
  const TracedRun whole = stage.Play(std::nullopt);
  ASSERT_EQ(whole.exit_code, 0) << stage.node.Errors();
  ASSERT_THAT(stage.node.Outcomes(), ElementsAreArray(story().outcomes));
  for (const std::string service : {"web", "mail"}) {
    ASSERT_EQ(stage.node.FilesOf(service), stage.node.LeafOf(story().after));
  }
  // The story is longer than a few calls, or it shows nothing.
  ASSERT_GT(whole.operations.size(), 30u);
  if (slice() == 0) {
    std::cout << story() << ", what it does to files:\n  " << absl::StrJoin(whole.operations, "\n  ") << std::endl;
  }

  const std::vector<KillPoint> points = Points(whole.operations.size(), IsFull() ? 1 : 4);
  for (const KillPoint& point : points) {
    SCOPED_TRACE(Describe(point, whole.operations));
    const TracedRun run = stage.Play(point);
    ASSERT_TRUE(run.killed) << "it came to its end before, with " << run.operations.size() << " operations";
    stage.ExpectWhole();
    stage.Recover();
    stage.ExpectOrder();
    if (IsFull() || point.operation / kSlices % 8 == 0) stage.ExpectNextInstallWorks();
    if (HasFailure()) return;
  }
  std::cout << story() << ", part " << slice() + 1 << " of " << kSlices << ": " << points.size()
            << " kills, of a table of " << whole.operations.size() << " operations, before and after each"
            << (IsFull() ? "" : " (in part; see the head of the file)") << "; " << absl::Now() - begin << std::endl;
}

// Every call of the recovery, after a kill at some calls of the story.
TEST_P(RealBinaryTest, IsWholeWhereverItsRecoveryIsKilledToo) {
  const absl::Time begin = absl::Now();
  if (!IsFull() && story().name != "AnUpdate") return;
  Stage stage(story());
  const size_t operations = stage.Play(std::nullopt).operations.size();
  size_t kills = 0;
  for (const KillPoint& point : Points(operations, operations + 1)) {
    if (!IsFull() && point.operation / kSlices % 16 != 0) continue;
    const TracedRun first = stage.Play(point);
    ASSERT_TRUE(first.killed);
    SCOPED_TRACE(Describe(point, first.operations));
    bool killed = true;
    for (size_t second = 1; killed; ++second) {
      if (second > 1 && !stage.Play(point).killed) FAIL() << "it came to its end before";
      const TracedRun recovery = stage.node.Recover(KillPoint{.operation = second, .moment = Moment::kBefore});
      killed = recovery.killed;
      SCOPED_TRACE(absl::StrCat("and during the recovery at operation ", second, ": ",
                                recovery.operations.empty() ? "none" : recovery.operations.back()));
      stage.ExpectWhole();
      stage.Recover();
      stage.ExpectOrder();
      if (HasFailure()) return;
      kills += killed ? 1 : 0;
    }
  }
  std::cout << story() << ", part " << slice() + 1 << " of " << kSlices << ": " << kills << " second kills; "
            << absl::Now() - begin << std::endl;
}

INSTANTIATE_TEST_SUITE_P(Stories, RealBinaryTest,
                         ::testing::Combine(::testing::ValuesIn(Stories()), ::testing::Range(0, kSlices)),
                         [](const auto& info) {
                           return absl::StrCat(std::get<0>(info.param).name, "Part", std::get<1>(info.param) + 1);
                         });

}  // namespace
}  // namespace certcast
