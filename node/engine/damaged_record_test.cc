// A journal or a state that can't be read any more: services go on, the operator is told what to do, and who does just
// that has a node that is as good as new.
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "node/engine/stories.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;

class DamagedRecordTest : public StoryTest {
 protected:
  static std::string PathOf(const SimulatedNode& node, const std::string& record, int slot) {
    return absl::StrCat(node.config.state, "/", record, ".", slot);
  }

  static void Damage(SimulatedNode& node, const std::string& record) {
    for (int slot = 0; slot < 2; ++slot) node.disk.PutFile(PathOf(node, record, slot), "damaged", {.mode = 0600});
  }

  static void Remove(SimulatedNode& node, const std::string& record) {
    for (int slot = 0; slot < 2; ++slot) {
      const auto state = node.disk.OpenDirectory(node.config.state);
      ASSERT_THAT((*state)->Remove(absl::StrCat(record, ".", slot)), IsOk());
    }
  }

  // What the controller wants there, which may be what was under way or is in force.
  static void ExpectApplyWorks(SimulatedNode& node) {
    for (auto& [name, service] : node.running) service.ignores_reload = false;
    const v1::InstallResult result = node.Install(2);
    if (result.outcome() == v1::Outcome::UNCHANGED) return;
    ASSERT_EQ(result.outcome(), v1::Outcome::INSTALLED) << result.ShortDebugString();
    ASSERT_EQ(node.Confirm(2).outcome(), v1::Outcome::INSTALLED);
    for (const std::string service : {"nginx", "haproxy"}) {
      EXPECT_EQ(node.FilesOf(service), LeafOf(2));
      EXPECT_EQ(node.running[service].served, LeafOf(2));
    }
  }

  // Killed at each operation, then the record is lost.
  static void LoseAnywhere(const std::string& record) {
    ForEachOperation([](SimulatedNode& node, int n) { node.files.CrashAt(n); },
                     [&](SimulatedNode& node, int) {
                       node.Kill();
                       Damage(node, record);
                       const absl::Status refused = node.Start();
                       const std::string path = absl::StrCat(node.config.state, "/", record);
                       EXPECT_THAT(refused, testing::HasReason(Reason::STORAGE_FAILED, HasSubstr(path + ".0")));
                       EXPECT_THAT(FailureOf(refused).hint(),
                                   HasSubstr(absl::StrCat("rm -f ", path, ".0 ", path, ".1")));
                       Remove(node, record);
                       ASSERT_THAT(node.Start(), IsOk());
                       ExpectWholeUnlessCutOff(node);
                       // Where only the state was lost, the journal's install may wait for its Confirm.
                       node.clock.Advance(absl::Minutes(2));
                       EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
                       ExpectApplyWorks(node);
                       ExpectNextInstallWorks(node);
                       EXPECT_THAT(node.Temporaries(), ::testing::IsEmpty());
                     });
  }
};

TEST_P(DamagedRecordTest, AJournalIsLostAndTheNextInstallPutsItRight) {
  LoseAnywhere("journal");
}

TEST_P(DamagedRecordTest, AStateIsLostAndTheNextInstallPutsItRight) {
  LoseAnywhere("state");
}

INSTANTIATE_TEST_SUITE_P(StoriesOfLinks, DamagedRecordTest, ::testing::ValuesIn(StoriesOfLinks()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(StoriesOfCopies, DamagedRecordTest, ::testing::ValuesIn(StoriesOfCopies()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace certcast::node
