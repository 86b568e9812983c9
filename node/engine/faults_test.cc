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

bool Writes(absl::string_view operation) {
  return absl::StartsWith(operation, "CreateFile ") || absl::StartsWith(operation, "OverwriteFile ");
}

// What a file system that copies on write may need space for: also over what was reserved, also as late as at fsync.
bool ChangesOrSyncs(absl::string_view operation) {
  return ChangesDisk(operation) || absl::StartsWith(operation, "Sync ");
}

// What fails at the n-th operation.
struct Fault {
  enum class Kind { kReadOnly, kCrossesFileSystems, kNoDescriptor, kNoMemory, kNoSpace, kBroken };
  enum class Extent {
    kOnce,
    // From there on, until something is done about it.
    kStays,
    // Once, and the bytes of the write are there: half of them, or all that its fsync could not make durable.
    kHalfWritten,
    kNotSynced,
  };
  using enum Kind;
  using enum Extent;

  const char* name;
  Kind kind;
  int error;
  Reason::Code reason;
  bool (*hits)(absl::string_view operation);
  Extent extent;
};

// Signals and short writes are not among them: Directory completes what they cut off, which its interrupted_test shows.
constexpr Fault kFaults[] = {
    {"the file system is mounted read-only", Fault::kReadOnly, EROFS, Reason::PERMISSION_DENIED, ChangesDisk,
     Fault::kStays},
    {"one operation finds it read-only", Fault::kReadOnly, EROFS, Reason::PERMISSION_DENIED, ChangesDisk, Fault::kOnce},
    {"the directories of services become read-only", Fault::kReadOnly, EACCES, Reason::PERMISSION_DENIED,
     ChangesWhatServicesSee, Fault::kStays},
    {"a rename crosses file systems", Fault::kCrossesFileSystems, EXDEV, Reason::STORAGE_FAILED, IsRename,
     Fault::kOnce},
    {"all renames cross file systems", Fault::kCrossesFileSystems, EXDEV, Reason::STORAGE_FAILED, IsRename,
     Fault::kStays},
    {"the process has no descriptor left", Fault::kNoDescriptor, EMFILE, Reason::STORAGE_FAILED, TakesDescriptor,
     Fault::kOnce},
    {"it gets none back", Fault::kNoDescriptor, EMFILE, Reason::STORAGE_FAILED, TakesDescriptor, Fault::kStays},
    {"the machine has no descriptor left", Fault::kNoDescriptor, ENFILE, Reason::STORAGE_FAILED, TakesDescriptor,
     Fault::kOnce},
    {"there is no memory", Fault::kNoMemory, ENOMEM, Reason::STORAGE_FAILED, IsAny, Fault::kOnce},
    {"the quota is used up", Fault::kNoSpace, EDQUOT, Reason::NO_SPACE, TakesSpace, Fault::kStays},
    {"the disk is full", Fault::kNoSpace, ENOSPC, Reason::NO_SPACE, TakesSpace, Fault::kStays},
    {"nor is there space over what is reserved", Fault::kNoSpace, ENOSPC, Reason::NO_SPACE, ChangesOrSyncs,
     Fault::kStays},
    {"there is no space for one operation", Fault::kNoSpace, ENOSPC, Reason::NO_SPACE, ChangesOrSyncs, Fault::kOnce},
    {"there is space for half of a file", Fault::kNoSpace, ENOSPC, Reason::NO_SPACE, Writes, Fault::kHalfWritten},
    {"the disk is broken", Fault::kBroken, EIO, Reason::STORAGE_FAILED, IsAny, Fault::kStays},
    {"one operation meets a bad block", Fault::kBroken, EIO, Reason::STORAGE_FAILED, IsAny, Fault::kOnce},
    {"one write stops at a bad block", Fault::kBroken, EIO, Reason::STORAGE_FAILED, Writes, Fault::kHalfWritten},
    {"one file is written, and its fsync fails", Fault::kBroken, EIO, Reason::STORAGE_FAILED, Writes,
     Fault::kNotSynced},
};

void Arm(SimulatedNode& node, int n, const Fault& fault) {
  switch (fault.extent) {
    case Fault::kOnce:
      return node.files.FailAt(n, fault.error);
    case Fault::kStays:
      return node.files.FailFrom(n, fault.hits, fault.error);
    case Fault::kHalfWritten:
      return node.files.FailInTheMiddleOf(n, fault.error);
    case Fault::kNotSynced:
      return node.files.FailAtFsyncOf(n, fault.error);
  }
}

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

std::string ShortOf(const v1::Failure& failure) {
  return absl::StrCat(v1::Reason::Code_Name(failure.reason()), " at ", failure.step());
}

// What came of a story: each command's answer, and what its services have and serve.
std::vector<std::string> EndOf(SimulatedNode& node) {
  std::vector<std::string> end;
  for (const v1::Report& report : node.reports) {
    const v1::InstallResult& result = report.install_result();
    end.push_back(report.has_refusal()
                      ? absl::StrCat("refused: ", ShortOf(report.refusal().failure()))
                      : absl::StrCat(v1::Outcome::Code_Name(result.outcome()), ": ", ShortOf(result.failure()),
                                     "; then ", ShortOf(result.cleanup_failure()),
                                     "; in force: ", result.generation_in_force(), " ", result.installed_sha256()));
  }
  for (const auto& [name, service] : node.running) {
    end.push_back(absl::StrCat(name, ": ", node.FilesOf(name), ", serves ", service.served));
  }
  return end;
}

class FaultsTest : public StoryTest {
 protected:
  void SetUp() override {
    SimulatedNode node;
    GetParam().prepare(node);
    node.reports.clear();
    GetParam().act(node);
    usual_end_ = EndOf(node);
  }

  static std::string Told(const SimulatedNode& node) {
    std::string text;
    for (const v1::Report& report : node.reports) absl::StrAppend(&text, report.ShortDebugString(), "\n");
    return text;
  }

  // The fault is told, or it did no harm: all came as it does without one.
  void ExpectTold(SimulatedNode& node, const Fault& fault) const {
    const std::vector<v1::Failure> failures = FailuresIn(node);
    for (const v1::Failure& failure : failures) {
      if (Tells(failure, fault)) return;
    }
    EXPECT_EQ(EndOf(node), usual_end_) << Told(node);
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

  void Try(const Fault& fault) const {
    SCOPED_TRACE(fault.name);
    ForEach(
        NumbersOf(fault.hits),
        [&](SimulatedNode& node, int n) {
          node.reports.clear();
          Arm(node, n, fault);
        },
        [&](SimulatedNode& node, int) {
          // Copies are moved one by one, so a disk that takes nothing any more may cut them off.
          if (fault.extent == Fault::kStays) {
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

  void TryAll(Fault::Kind kind) const {
    for (const Fault& fault : kFaults) {
      if (fault.kind == kind) Try(fault);
      if (HasFailure()) return;
    }
  }

 private:
  std::vector<std::string> usual_end_;
};

TEST_P(FaultsTest, WhereTheFileSystemIsReadOnly) {
  TryAll(Fault::kReadOnly);
}

TEST_P(FaultsTest, WhereRenamesCrossFileSystems) {
  TryAll(Fault::kCrossesFileSystems);
}

TEST_P(FaultsTest, WhereDescriptorsAreUsedUp) {
  TryAll(Fault::kNoDescriptor);
}

TEST_P(FaultsTest, WhereThereIsNoMemory) {
  TryAll(Fault::kNoMemory);
}

TEST_P(FaultsTest, WhereThereIsNoSpace) {
  TryAll(Fault::kNoSpace);
}

TEST_P(FaultsTest, WhereTheDiskIsBroken) {
  TryAll(Fault::kBroken);
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
  for (uint64_t seed = 1; seed <= 16; ++seed) {
    ForEach(
        NumbersOf(Writes),
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
  EXPECT_GT(all, 20000u);
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
