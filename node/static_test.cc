// The agent is one file that needs nothing of the machine it is copied to.
#include <elf.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/process/process.h"
#include "common/version/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::node {
namespace {

constexpr char kAgent[] = "node/certcast-node";
constexpr off_t kMaxSize = 20'000'000;

class StaticTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(kAgent, std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    ASSERT_GT(bytes_.size(), sizeof header_);
    memcpy(&header_, bytes_.data(), sizeof header_);
    ASSERT_EQ(memcmp(header_.e_ident, ELFMAG, SELFMAG), 0);
    ASSERT_EQ(header_.e_ident[EI_CLASS], ELFCLASS64);
  }

  // The `count` records of type T from `offset` on.
  template <typename T>
  std::vector<T> Read(size_t offset, size_t count) const {
    std::vector<T> records(count);
    EXPECT_LE(offset + count * sizeof(T), bytes_.size());
    memcpy(records.data(), bytes_.data() + offset, count * sizeof(T));
    return records;
  }

  std::string bytes_;
  Elf64_Ehdr header_;
};

TEST_F(StaticTest, HasNoDynamicSectionAndNoInterpreter) {
  ASSERT_GT(header_.e_phnum, 0);
  bool has_code = false;
  for (const Elf64_Phdr& segment : Read<Elf64_Phdr>(header_.e_phoff, header_.e_phnum)) {
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_DYNAMIC));
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_INTERP));
    has_code = has_code || (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0);
  }
  EXPECT_TRUE(has_code);
}

TEST_F(StaticTest, IsStripped) {
  for (const Elf64_Shdr& section : Read<Elf64_Shdr>(header_.e_shoff, header_.e_shnum)) {
    EXPECT_NE(section.sh_type, static_cast<Elf64_Word>(SHT_SYMTAB));
  }
}

TEST_F(StaticTest, HasAStackThatRunsNoCode) {
  bool found = false;
  for (const Elf64_Phdr& segment : Read<Elf64_Phdr>(header_.e_phoff, header_.e_phnum)) {
    if (segment.p_type != PT_GNU_STACK) continue;
    found = true;
    EXPECT_EQ(segment.p_flags & PF_X, 0u);
  }
  EXPECT_TRUE(found);
}

TEST_F(StaticTest, IsBelowTwentyMegabytes) {
  struct stat info;
  ASSERT_EQ(stat(kAgent, &info), 0);
  EXPECT_LT(info.st_size, kMaxSize);
  RecordProperty("bytes", std::to_string(info.st_size));
}

TEST_F(StaticTest, Runs) {
  auto result = ProcessRunner::Real().Run({.argv = {kAgent, "--version"}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0) << result->error;
  EXPECT_EQ(result->output, std::string("certcast-node ") + kVersion + "\n");
}

}  // namespace
}  // namespace certcast::node
