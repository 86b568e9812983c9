#include "node/engine/reserved_record.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fault_file_system.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::AnyOf;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Pair;

constexpr size_t kSlot = 1024;

class ReservedRecordTest : public ::testing::Test {
 protected:
  ReservedRecordTest() { disk.PutDirectory("/state", {.mode = 0755}); }

  absl::StatusOr<ReservedRecord> Open(uint32_t schema = 1) {
    return ReservedRecord::Open(files.OpenDirectory("/state").value(), "journal", kSlot, schema);
  }
  std::string Read() {
    const auto record = Open();
    return record.ok() ? record->payload() : std::string(record.status().message());
  }

  testing::MemoryFileSystem disk;
  testing::FaultFileSystem files{disk};
};

TEST_F(ReservedRecordTest, IsEmptyAtFirst) {
  EXPECT_EQ(Read(), "");
  EXPECT_EQ(disk.GetFile("/state/journal.0")->size(), kSlot);
  EXPECT_EQ(disk.GetFile("/state/journal.1")->size(), kSlot);
}

TEST_F(ReservedRecordTest, GivesWhatWasWrittenLast) {
  auto record = Open();
  for (const char* text : {"one", "two", "three is longer", "four"}) {
    ASSERT_THAT(record->Write(text), IsOk());
    EXPECT_EQ(record->payload(), text);
    EXPECT_EQ(Read(), text);
  }
}

TEST_F(ReservedRecordTest, WritingNeedsNoSpace) {
  auto record = Open();
  disk.SetFreeBytes(0);
  EXPECT_THAT(record->Write(std::string(record->capacity(), 'x')), IsOk());
  EXPECT_THAT(record->Write("small"), IsOk());
  EXPECT_EQ(Read(), "small");
}

// Of a slot as large as the agent's are, the start is read first, and all of it only where that is not enough.
TEST_F(ReservedRecordTest, ReadsNoMoreThanItHasTo) {
  constexpr size_t kLarge = size_t{64} * 1024;
  const auto open = [&] { return ReservedRecord::Open(files.OpenDirectory("/state").value(), "journal", kLarge, 1); };
  // What it holds, and how many slots were read in whole.
  const auto read = [&] {
    const auto before = static_cast<std::ptrdiff_t>(files.operations().size());
    const auto record = open();
    const std::vector<std::string> all = files.operations();
    return std::pair(record.ok() ? record->payload() : record.status().ToString(),
                     std::count_if(all.begin() + before, all.end(), [](const std::string& operation) {
                       return absl::StartsWith(operation, "ReadFile");
                     }));
  };
  auto record = open();
  const std::string large(record->capacity(), 'x');
  ASSERT_THAT(record->Write("one"), IsOk());
  ASSERT_THAT(record->Write("two"), IsOk());
  EXPECT_THAT(read(), Pair("two", 0));
  ASSERT_THAT(record->Write(large), IsOk());
  EXPECT_THAT(read(), Pair(large, 1));
  std::string damaged = *disk.GetFile("/state/journal.0");
  damaged.back() = 'y';
  disk.PutFile("/state/journal.0", damaged, {.mode = 0600});
  EXPECT_THAT(read(), Pair("two", 1));
}

TEST_F(ReservedRecordTest, RefusesWhatDoesNotFit) {
  auto record = Open();
  ASSERT_THAT(record->Write("kept"), IsOk());
  EXPECT_THAT(record->Write(std::string(record->capacity() + 1, 'x')), HasReason(Reason::STORAGE_FAILED));
  EXPECT_EQ(Read(), "kept");
}

TEST_F(ReservedRecordTest, ATornWriteLeavesTheOneBefore) {
  auto record = Open();
  std::string before;
  for (int i = 1; i <= 5; ++i) {
    files.CrashInTheMiddleOf(files.count() + 1);
    EXPECT_FALSE(record->Write("torn, and longer than what was there before it").ok());
    disk.Crash();
    files.Heal();
    EXPECT_EQ(Read(), before);
    record = Open();
    before = "record " + std::to_string(i);
    ASSERT_THAT(record->Write(before), IsOk());
  }
}

TEST_F(ReservedRecordTest, AfterAFailedWriteTheNextOneDoesNotTouchTheGoodSlot) {
  auto record = Open();
  ASSERT_THAT(record->Write("good"), IsOk());
  for (int i = 0; i < 3; ++i) {
    files.FailAt(files.count() + 1, EIO);
    EXPECT_FALSE(record->Write("bad").ok());
    EXPECT_EQ(record->payload(), "good");
    EXPECT_THAT(Read(), "good");
  }
  EXPECT_THAT(record->Write("better"), IsOk());
  EXPECT_EQ(Read(), "better");
}

TEST_F(ReservedRecordTest, ACrashWhileItIsMadeIsMadeGoodNextTime) {
  for (int n = 1;; ++n) {
    testing::MemoryFileSystem fresh;
    fresh.PutDirectory("/state", {.mode = 0755});
    testing::FaultFileSystem faulty(fresh);
    auto directory = faulty.OpenDirectory("/state");
    faulty.CrashAt(faulty.count() + n);
    (void)ReservedRecord::Open(*std::move(directory), "journal", kSlot, 1);
    if (!faulty.has_crashed()) break;
    fresh.Crash(static_cast<uint64_t>(n));
    const auto again = ReservedRecord::Open(fresh.OpenDirectory("/state").value(), "journal", kSlot, 1);
    ASSERT_THAT(again, IsOk()) << n;
    EXPECT_EQ(again->payload(), "");
  }
}

TEST_F(ReservedRecordTest, RefusesTwoDamagedSlots) {
  {
    auto record = Open();
    ASSERT_THAT(record->Write("one"), IsOk());
    ASSERT_THAT(record->Write("two"), IsOk());
  }
  for (const char* path : {"/state/journal.0", "/state/journal.1"}) {
    std::string bytes = *disk.GetFile(path);
    bytes[90] ^= 1;
    disk.PutFile(path, bytes);
  }
  EXPECT_THAT(Open(), HasReason(Reason::STORAGE_FAILED, HasSubstr("both damaged")));
}

TEST_F(ReservedRecordTest, RefusesAMissingHalf) {
  {
    auto record = Open();
    ASSERT_THAT(record->Write("one"), IsOk());
  }
  ASSERT_THAT(disk.OpenDirectory("/state").value()->Remove("journal.0"), IsOk());
  // What is left is blank, and may be all that there ever was; with a record in it, it may not.
  EXPECT_EQ(Read(), "");
  ASSERT_THAT(Open()->Write("one"), IsOk());
  ASSERT_THAT(disk.OpenDirectory("/state").value()->Remove("journal.1"), IsOk());
  EXPECT_THAT(Open(), HasReason(Reason::STORAGE_FAILED, HasSubstr("journal.1 is missing")));
}

TEST_F(ReservedRecordTest, RefusesWhatANewerOneWrote) {
  {
    auto record = Open(/*schema=*/2);
    ASSERT_THAT(record->Write("of tomorrow"), IsOk());
  }
  EXPECT_THAT(Open(/*schema=*/1), HasReason(Reason::STORAGE_FAILED, HasSubstr("schema 2")));
  EXPECT_THAT(Open(/*schema=*/3), IsOk());
}

}  // namespace
}  // namespace certcast::node
