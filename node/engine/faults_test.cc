// Whatever fails under an install, what was good stays good, the operator is told why, and a restart makes order.
#include <sys/types.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/recover.h"
#include "node/engine/simulated_node.h"
#include "node/engine/stories.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::AnyOf;
using testing::ChangesDisk;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using testing::TakesDescriptor;

// The journal's and the state's.
constexpr int kHeldByEngine = 2;

bool IsRename(absl::string_view operation) {
  return absl::StartsWith(operation, "Rename ");
}

bool ChangesWhatServicesSee(absl::string_view operation) {
  return ChangesDisk(operation) && absl::StrContains(operation, " /etc/");
}

bool IsAny(absl::string_view) {
  return true;
}

bool TakesSpace(absl::string_view operation) {
  return absl::StartsWith(operation, "Make") || absl::StartsWith(operation, "Create");
}

// What fails at the n-th operation.
struct Fault {
  const char* name;
  int error;
  Reason::Code reason;
  bool (*hits)(absl::string_view operation);
  // From there on, until something is done about it; otherwise once.
  bool stays;
};

constexpr Fault kFaults[] = {
    {"the file system is mounted read-only", EROFS, Reason::PERMISSION_DENIED, ChangesDisk, true},
    {"one operation finds it read-only", EROFS, Reason::PERMISSION_DENIED, ChangesDisk, false},
    {"the directories of services become read-only", EACCES, Reason::PERMISSION_DENIED, ChangesWhatServicesSee, true},
    {"a rename crosses file systems", EXDEV, Reason::STORAGE_FAILED, IsRename, false},
    {"all renames cross file systems", EXDEV, Reason::STORAGE_FAILED, IsRename, true},
    {"the process has no descriptor left", EMFILE, Reason::STORAGE_FAILED, TakesDescriptor, false},
    {"it gets none back", EMFILE, Reason::STORAGE_FAILED, TakesDescriptor, true},
    {"the machine has no descriptor left", ENFILE, Reason::STORAGE_FAILED, TakesDescriptor, false},
    {"there is no memory", ENOMEM, Reason::STORAGE_FAILED, IsAny, false},
    {"the quota is used up", EDQUOT, Reason::NO_SPACE, TakesSpace, true},
    {"the disk is broken", EIO, Reason::STORAGE_FAILED, IsAny, true},
};

std::vector<v1::Failure> FailuresIn(const SimulatedNode& node) {
  std::vector<v1::Failure> failures;
  for (const v1::Report& report : node.reports) {
    if (report.has_refusal()) failures.push_back(report.refusal().failure());
    if (report.install_result().has_failure()) failures.push_back(report.install_result().failure());
    if (report.install_result().has_cleanup_failure()) failures.push_back(report.install_result().cleanup_failure());
  }
  return failures;
}

// Whether a failure says what happened, where, and what to do.
bool Tells(const v1::Failure& failure, const Fault& fault) {
  return absl::StrContains(failure.detail(), strerrordesc_np(fault.error)) &&
         absl::StrContains(failure.detail(), " /") && !failure.hint().empty() &&
         (failure.reason() == fault.reason || failure.reason() == Reason::REVERT_FAILED);
}

class FaultsTest : public StoryTest {
 protected:
  static std::string Told(const SimulatedNode& node) {
    std::string text;
    for (const v1::Report& report : node.reports) absl::StrAppend(&text, report.ShortDebugString(), "\n");
    return text;
  }

  // The fault is told, or it did no harm.
  static void ExpectTold(SimulatedNode& node, const Fault& fault) {
    const std::vector<v1::Failure> failures = FailuresIn(node);
    for (const v1::Failure& failure : failures) {
      if (Tells(failure, fault)) return;
    }
    EXPECT_EQ(node.FilesOf("nginx"), GetParam().after) << Told(node);
    EXPECT_EQ(node.FilesOf("haproxy"), GetParam().after) << Told(node);
  }

  // A process that runs has what it had, or what it was given; never less.
  static void ExpectServed(SimulatedNode& node) {
    for (const auto& [name, service] : node.running) {
      if (service.served.empty()) continue;
      std::vector<std::string> allowed = GetParam().before;
      allowed.push_back(GetParam().after);
      EXPECT_THAT(service.served, ::testing::AnyOfArray(allowed)) << name;
    }
  }

  static void Try(const Fault& fault) {
    SCOPED_TRACE(fault.name);
    ForEach(
        NumbersOf(fault.hits),
        [&](SimulatedNode& node, int n) {
          node.reports.clear();
          if (fault.stays) {
            node.files.FailFrom(n, fault.hits, fault.error);
          } else {
            node.files.FailAt(n, fault.error);
          }
        },
        [&](SimulatedNode& node, int) {
          // Copies are moved one by one, so a disk that takes nothing any more may cut them off.
          if (fault.stays) {
            ExpectWholeUnlessCutOff(node);
          } else {
            ExpectWhole(node);
          }
          ExpectServed(node);
          ExpectTold(node, fault);
          EXPECT_EQ(node.files.open_directories(), kHeldByEngine);
          node.Kill();
          EXPECT_EQ(node.files.open_directories(), 0);
          ASSERT_THAT(node.Start(), IsOk());
          ExpectWhole(node);
          ExpectOrder(node);
        });
  }
};

TEST_P(FaultsTest, WhereTheFileSystemIsReadOnly) {
  Try(kFaults[0]);
  Try(kFaults[1]);
}

TEST_P(FaultsTest, WhereTheDirectoriesOfServicesBecomeReadOnly) {
  Try(kFaults[2]);
}

TEST_P(FaultsTest, WhereRenamesCrossFileSystems) {
  Try(kFaults[3]);
  Try(kFaults[4]);
}

TEST_P(FaultsTest, WhereDescriptorsAreUsedUp) {
  for (const int i : {5, 6, 7}) Try(kFaults[i]);
}

TEST_P(FaultsTest, WhereThereIsNoMemory) {
  Try(kFaults[8]);
}

TEST_P(FaultsTest, WhereTheQuotaIsUsedUp) {
  Try(kFaults[9]);
}

TEST_P(FaultsTest, WhereTheDiskIsBrokenFromThereOn) {
  Try(kFaults[10]);
}

TEST_P(FaultsTest, WhereTwoOperationsFail) {
  // The second fault meets the way back from the first, at another place for each pace.
  for (const int pace : {2, 5, 11}) {
    ForEachOperation(
        [&](SimulatedNode& node, int n) {
          node.files.FailAt(n, EIO);
          node.files.FailFrom(
              n + pace, [is_over = false](absl::string_view) mutable { return !std::exchange(is_over, true); }, ENOSPC);
        },
        [](SimulatedNode& node, int) {
          ExpectWholeUnlessCutOff(node);
          ExpectServed(node);
          EXPECT_EQ(node.files.open_directories(), kHeldByEngine);
          node.Kill();
          ASSERT_THAT(node.Start(), IsOk());
          ExpectWhole(node);
          ExpectOrder(node);
        });
    if (HasFailure()) return;
  }
}

// Whichever of the changes that were not synced reach the disk, in whatever order: all subsets where they are few, else
// some of them. A crash before an operation that follows one which changes nothing leaves the same as one before that.
TEST_P(FaultsTest, AfterAPowerLossThatKeepsAnySubset) {
  constexpr int kAllUpTo = 4;
  constexpr uint64_t kSubsets = 1 << kAllUpTo;
  std::vector<int> operations = NumbersOf([changed = true](absl::string_view operation) mutable {
    return std::exchange(changed, ChangesDisk(operation) || absl::StartsWith(operation, "Sync "));
  });
  for (uint64_t subset = 0; subset < kSubsets; ++subset) {
    std::vector<int> with_more_subsets;
    ForEach(
        operations, [](SimulatedNode& node, int n) { node.files.CrashAt(n); },
        [&](SimulatedNode& node, int n) {
          const int changes = node.disk.UnsyncedChanges();
          if ((subset + 1) >> std::min(changes, kAllUpTo) == 0) with_more_subsets.push_back(n);
          const uint64_t kept = changes <= kAllUpTo
                                    ? subset
                                    : ((subset + kSubsets * static_cast<uint64_t>(n)) * 0x9e3779b97f4a7c15u) >> 24;
          SCOPED_TRACE(absl::StrCat("kept ", kept, " of ", changes, " changes"));
          node.LosePowerKeeping(kept);
          ExpectWholeUnlessCutOff(node);
          ASSERT_THAT(node.Start(), IsOk());
          ExpectWhole(node);
          ExpectOrder(node);
        });
    if (HasFailure()) return;
    operations = with_more_subsets;
  }
}

TEST_P(FaultsTest, AfterAWriteOfWhichAnySectorsAreThere) {
  const auto writes = [](absl::string_view operation) {
    return absl::StartsWith(operation, "CreateFile ") || absl::StartsWith(operation, "OverwriteFile ");
  };
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    ForEach(
        NumbersOf(writes),
        [&](SimulatedNode& node, int n) { node.files.CrashInTheMiddleOf(n, seed + 16 * static_cast<uint64_t>(n)); },
        [&](SimulatedNode& node, int n) {
          node.LosePower(seed + 16 * static_cast<uint64_t>(n));
          ExpectWholeUnlessCutOff(node);
          ASSERT_THAT(node.Start(), IsOk());
          ExpectWhole(node);
          ExpectOrder(node);
        });
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(StoriesOfLinks, FaultsTest, ::testing::ValuesIn(StoriesOfLinks()),
                         [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(StoriesOfCopies, FaultsTest, ::testing::ValuesIn(StoriesOfCopies()),
                         [](const auto& info) { return info.param.name; });

// The table above is as large as it is said to be: a story that came to do nothing would make it pass.
TEST(FaultTableTest, EachFaultMeetsManyOperations) {
  std::vector<Story> stories = StoriesOfLinks();
  const std::vector<Story> copies = StoriesOfCopies();
  stories.insert(stories.end(), copies.begin(), copies.end());
  std::vector<std::string> operations;
  for (const Story& story : stories) {
    for (std::string& operation : OperationsOf(story)) operations.push_back(std::move(operation));
  }
  size_t all = 0;
  for (const Fault& fault : kFaults) {
    const auto met = std::count_if(operations.begin(), operations.end(), fault.hits);
    EXPECT_GT(met, 100) << fault.name;
    all += static_cast<size_t>(met);
  }
  std::cout << "cases in all of one fault: " << all << std::endl;
  EXPECT_GT(all, 12000u);
}

// What is found before a key is written anywhere.

class ReadOnlyParentTest : public ::testing::TestWithParam<int> {};

TEST_P(ReadOnlyParentTest, IsFoundBeforeTheKeyIsWritten) {
  for (const std::string directory : {"/etc/nginx", "/etc/haproxy"}) {
    SimulatedNode node;
    AddBothServices(node);
    ASSERT_THAT(node.Start(), IsOk());
    node.files.FailWhere(
        [=](absl::string_view operation) {
          return ChangesDisk(operation) && absl::StrContains(operation, absl::StrCat(" ", directory, "/"));
        },
        GetParam());
    const int begin = node.files.count();
    const v1::InstallResult result = node.Install(1);
    EXPECT_EQ(result.outcome(), v1::Outcome::FAILED);
    EXPECT_EQ(result.failure().reason(), Reason::PERMISSION_DENIED) << result.ShortDebugString();
    EXPECT_EQ(result.failure().step(), "verify");
    EXPECT_THAT(result.failure().detail(), HasSubstr(directory));
    EXPECT_THAT(result.failure().detail(), HasSubstr(strerrordesc_np(GetParam())));
    EXPECT_NE(result.failure().hint(), "");
    // Nothing is made but the trial link, which goes again, and the result is remembered in its reserved space.
    const std::vector<std::string> operations = node.files.operations();
    for (size_t i = begin; i < operations.size(); ++i) {
      if (!ChangesDisk(operations[i])) continue;
      EXPECT_THAT(operations[i], AnyOf(HasSubstr("OverwriteFile /var/lib/certcast-node/state."),
                                       HasSubstr(".certcast-0000000000000000")));
    }
    EXPECT_THAT(node.Temporaries(), ::testing::IsEmpty());
    EXPECT_EQ(node.Describe().certificates(0).highest_generation(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReadOnlyParentTest, ::testing::Values(EACCES, EPERM, EROFS),
                         [](const auto& info) { return strerrorname_np(info.param); });

// The first start makes the state directory and what is reserved in it.
TEST(FirstStartTest, FailsClearlyAndTheNextOneGoesThrough) {
  for (const int error : {EROFS, ENOSPC, EMFILE, ENOMEM, EIO}) {
    for (int n = 1;; ++n) {
      SimulatedNode node;
      AddBothServices(node);
      node.files.FailAt(n, error);
      const absl::Status started = node.Start();
      if (node.files.count() < n) {
        EXPECT_GT(n, 20);
        break;
      }
      SCOPED_TRACE(absl::StrCat(node.files.operations()[n - 1], ": ", strerrorname_np(error)));
      if (!started.ok()) {
        const v1::Failure failure = FailureOf(started);
        EXPECT_THAT(failure.detail(), HasSubstr(strerrordesc_np(error)));
        EXPECT_THAT(failure.detail(), HasSubstr(" /"));
        EXPECT_THAT(failure.hint(), Not(::testing::IsEmpty()));
        EXPECT_EQ(node.files.open_directories(), 0);
      }
      node.Kill();
      ASSERT_THAT(node.Start(), IsOk());
      EXPECT_THAT(node.Temporaries(), ::testing::IsEmpty());
      node.Bring(1);
      if (::testing::Test::HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace certcast::node
