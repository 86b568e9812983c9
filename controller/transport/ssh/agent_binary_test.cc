#include "controller/transport/ssh/agent_binary.h"

#include <sys/stat.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file/file_system.h"
#include "common/x509/digest.h"
#include "controller/transport/ssh/agent_digests.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::ReadFile;
using testing::WriteFile;

// A program of this machine that was not changed just now.
constexpr char kProgram[] = "/bin/true";

class AgentBinaryTest : public ::testing::Test {
 protected:
  AgentBinary Look(const std::string& path = kProgram) {
    const auto binary = AgentBinary::Look(path, digests_);
    EXPECT_THAT(binary, IsOk());
    return binary.ok() ? **binary : AgentBinary();
  }

  testing::TemporaryDirectory directory_;
  const std::string kept_ = directory_.path() + "/digests";
  const AgentDigests digests_{FileSystem::Real(), kept_};
  const std::string sha256_ = Sha256Hex(ReadFile(kProgram));
};

struct stat InfoOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0);
  return info;
}

TEST_F(AgentBinaryTest, IsReadOnceAndThenKnown) {
  const AgentBinary first = Look();
  EXPECT_EQ(first.sha256, sha256_);
  // What is kept is believed: that is how it shows.
  const std::string other(64, 'a');
  ASSERT_THAT(WriteFile(kept_, absl::StrReplaceAll(ReadFile(kept_), {{sha256_, other}})), IsOk());
  const AgentBinary again = Look();
  EXPECT_EQ(again.sha256, other);
  EXPECT_EQ(again.size, first.size);
  EXPECT_EQ(again.machine, first.machine);
}

TEST_F(AgentBinaryTest, IsReadAgainWhereWhatIsKeptIsUnusable) {
  Look();
  const std::string kept = ReadFile(kept_);
  for (const std::string& text :
       {std::string(), kept.substr(0, kept.size() / 2), std::string("\0\xff\n\n \n", 6),
        absl::StrReplaceAll(kept, {{sha256_, sha256_.substr(1)}}),
        absl::StrReplaceAll(kept, {{sha256_, std::string(64, 'G')}}), std::string(5000, 'x')}) {
    ASSERT_THAT(WriteFile(kept_, text), IsOk());
    EXPECT_EQ(Look().sha256, sha256_) << text;
  }
}

TEST_F(AgentBinaryTest, WithoutAPlaceToKeepItIsReadEachTime) {
  for (const std::string& file : {std::string(), directory_.path() + "/missing/digests", std::string("relative")}) {
    const auto binary = AgentBinary::Look(kProgram, AgentDigests(FileSystem::Real(), file));
    ASSERT_THAT(binary, IsOk());
    EXPECT_EQ((*binary)->sha256, sha256_);
  }
}

TEST_F(AgentBinaryTest, WhatWasChangedJustNowIsNotKept) {
  const std::string program = directory_.path() + "/program";
  ASSERT_THAT(WriteFile(program, ReadFile(kProgram)), IsOk());
  EXPECT_EQ(Look(program).sha256, sha256_);
  EXPECT_EQ(digests_.Find(InfoOf(program)), "");
}

TEST_F(AgentBinaryTest, EveryChangeOfTheFileMakesItAnother) {
  const struct stat info = InfoOf(kProgram);
  digests_.Keep(info, sha256_);
  ASSERT_EQ(digests_.Find(info), sha256_);
  struct stat other = info;
  ++other.st_ino;
  EXPECT_EQ(digests_.Find(other), "");
  other = info;
  ++other.st_dev;
  EXPECT_EQ(digests_.Find(other), "");
  other = info;
  ++other.st_size;
  EXPECT_EQ(digests_.Find(other), "");
  other = info;
  ++other.st_mtim.tv_nsec;
  EXPECT_EQ(digests_.Find(other), "");
  other = info;
  --other.st_ctim.tv_sec;
  EXPECT_EQ(digests_.Find(other), "");
}

TEST_F(AgentBinaryTest, AClockThatWasSetBackKeepsNothing) {
  struct stat info = InfoOf(kProgram);
  info.st_ctim = absl::ToTimespec(absl::Now() + absl::Hours(1));
  digests_.Keep(info, sha256_);
  EXPECT_EQ(digests_.Find(info), "");
}

TEST_F(AgentBinaryTest, AFewAreKept) {
  struct stat info = InfoOf(kProgram);
  for (int i = 0; i < 20; ++i) {
    ++info.st_ino;
    digests_.Keep(info, sha256_);
    digests_.Keep(info, sha256_);
    EXPECT_EQ(digests_.Find(info), sha256_);
  }
  for (int i = 0; i < 7; ++i) --info.st_ino;
  EXPECT_EQ(digests_.Find(info), sha256_);
  --info.st_ino;
  EXPECT_EQ(digests_.Find(info), "");
  EXPECT_EQ(InfoOf(kept_).st_mode & 0777, 0600);
  digests_.Forget();
  EXPECT_EQ(ReadFile(kept_), "");
}

TEST_F(AgentBinaryTest, WhatIsNoProgramIsRefusedByName) {
  const std::string text = directory_.path() + "/text";
  ASSERT_THAT(WriteFile(text, "#!/bin/sh\n"), IsOk());
  for (const std::string& path : {text, directory_.path() + "/missing", directory_.path()}) {
    const auto binary = AgentBinary::Look(path, digests_);
    ASSERT_FALSE(binary.ok());
    EXPECT_THAT(std::string(binary.status().message()), HasSubstr(path));
  }
  EXPECT_EQ(ReadFile(kept_), "");
}

}  // namespace
}  // namespace certcast::controller
