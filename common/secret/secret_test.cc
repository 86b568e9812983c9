#include "common/secret/secret.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace {

// What the watched array held when it was given back, before its memory could be used again.
const void* g_watched = nullptr;
char g_seen[16];
bool g_freed = false;

void NoteFree(const void* memory) {
  if (memory == nullptr || memory != g_watched) return;
  std::memcpy(g_seen, memory, sizeof(g_seen));
  g_freed = true;
  g_watched = nullptr;
}

}  // namespace

// Replaces the program's, which is the only way to look at the bytes between their last use and the end of their
// memory.
void* operator new[](size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete[](void* memory) noexcept {
  NoteFree(memory);
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  NoteFree(memory);
  std::free(memory);
}

namespace certcast {
namespace {

using ::certcast::testing::IsOk;

constexpr absl::string_view kSixteen = "0123456789abcdef";

void Watch(Secret& secret) {
  ASSERT_EQ(secret.size(), sizeof(g_seen));
  g_freed = false;
  std::memset(g_seen, 'x', sizeof(g_seen));
  g_watched = secret.MutableBytes();
}

std::string Seen() {
  return g_freed ? std::string(g_seen, sizeof(g_seen)) : "not freed";
}

TEST(SecretTest, BytesAreWipedBeforeTheMemoryIsGivenBack) {
  {
    Secret secret(kSixteen);
    Watch(secret);
    EXPECT_EQ(Seen(), "not freed");
  }
  EXPECT_EQ(Seen(), std::string(16, '\0'));
}

TEST(SecretTest, OldBytesAreWipedOnAssignment) {
  Secret secret(kSixteen);
  Watch(secret);
  secret = Secret("other");
  EXPECT_EQ(Seen(), std::string(16, '\0'));
  EXPECT_EQ(secret.ExposeSecret(), "other");
}

TEST(SecretTest, MovedBytesAreNotCopied) {
  Secret first(kSixteen);
  const char* bytes = first.ExposeSecret().data();
  Secret second(std::move(first));
  EXPECT_EQ(second.ExposeSecret().data(), bytes);
  EXPECT_EQ(second.ExposeSecret(), kSixteen);
  // NOLINTNEXTLINE(bugprone-use-after-move): that it is empty then is promised.
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(first.ExposeSecret(), "");
}

TEST(SecretTest, SelfAssignmentKeepsTheBytes) {
  Secret secret(kSixteen);
  Secret& same = secret;
  secret = std::move(same);
  EXPECT_EQ(secret.ExposeSecret(), kSixteen);
}

TEST(SecretTest, CloneIsAnotherCopy) {
  const Secret secret(kSixteen);
  Secret clone = secret.Clone();
  EXPECT_TRUE(clone.Equals(secret));
  clone.MutableBytes()[0] = 'X';
  EXPECT_EQ(secret.ExposeSecret(), kSixteen);
}

TEST(SecretTest, HoldsAnyBytes) {
  const absl::string_view bytes("a\0b", 3);
  EXPECT_EQ(Secret(bytes).ExposeSecret(), bytes);
}

TEST(SecretTest, NewOneOfASizeIsZero) {
  Secret secret = Secret::OfSize(3);
  EXPECT_EQ(secret.ExposeSecret(), absl::string_view("\0\0\0", 3));
  std::memcpy(secret.MutableBytes(), "abc", 3);
  EXPECT_EQ(secret.ExposeSecret(), "abc");
}

TEST(SecretTest, EmptyOnesAreEqual) {
  EXPECT_TRUE(Secret().Equals(Secret("")));
  EXPECT_TRUE(Secret().empty());
  EXPECT_EQ(Secret::OfSize(0).ExposeSecret(), "");
}

TEST(SecretTest, EqualsComparesSizeAndEveryByte) {
  const Secret secret("abc");
  EXPECT_TRUE(secret.Equals(Secret("abc")));
  EXPECT_FALSE(secret.Equals(Secret("abd")));
  EXPECT_FALSE(secret.Equals(Secret("Abc")));
  EXPECT_FALSE(secret.Equals(Secret("ab")));
  EXPECT_FALSE(secret.Equals(Secret()));
}

TEST(SecretTest, WipeOverwritesExactlyThatMuch) {
  char bytes[] = "secret";
  Wipe(bytes, 3);
  EXPECT_EQ(std::string(bytes, 6), std::string("\0\0\0ret", 6));
}

TEST(HardenProcessTest, ForbidsCoreDumpsAndDebugging) {
  ASSERT_THAT(HardenProcess(), IsOk());
  rlimit core = {};
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &core), 0);
  EXPECT_EQ(core.rlim_cur, 0u);
  EXPECT_EQ(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}

}  // namespace
}  // namespace certcast
