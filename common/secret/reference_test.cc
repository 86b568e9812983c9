#include "common/secret/reference.h"

#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Kind = SecretReference::Kind;

class SecretReferenceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(setenv("CREDENTIALS_DIRECTORY", ::testing::TempDir().c_str(), 1), 0);
    ASSERT_EQ(unsetenv("CERTCAST_TEST_SECRET"), 0);
  }

  static std::string Write(const std::string& name, const std::string& bytes, mode_t mode = 0600) {
    std::string path = ::testing::TempDir() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  static std::string Read(Kind kind, const std::string& name) {
    const absl::StatusOr<Secret> secret = ReadSecret({kind, name});
    EXPECT_THAT(secret, IsOk());
    return secret.ok() ? std::string(secret->ExposeSecret()) : "";
  }
};

TEST_F(SecretReferenceTest, ReadsAFileWithoutItsLineEnd) {
  EXPECT_EQ(Read(Kind::kFile, Write("lf", "hush\n")), "hush");
  EXPECT_EQ(Read(Kind::kFile, Write("crlf", "hush\r\n")), "hush");
  EXPECT_EQ(Read(Kind::kFile, Write("none", "hush")), "hush");
  EXPECT_EQ(Read(Kind::kFile, Write("two", "hush\n\n")), "hush\n");
  EXPECT_EQ(Read(Kind::kFile, Write("cr", "hush\r")), "hush\r");
  EXPECT_EQ(Read(Kind::kFile, Write("bytes", std::string("\0\xff", 2), 0400)), std::string("\0\xff", 2));
}

TEST_F(SecretReferenceTest, RefusesAFileThatOthersMayUse) {
  for (const mode_t mode : {0640, 0604, 0620, 0602, 0660, 0644, 0666}) {
    const std::string path = Write("open", "hush\n", mode);
    const absl::StatusOr<Secret> secret = ReadSecret({Kind::kFile, path});
    EXPECT_THAT(secret, HasReason(Reason::PERMISSION_DENIED, HasSubstr(path))) << mode;
    EXPECT_EQ(FailureOf(secret.status()).hint(), "chmod go= " + path);
  }
}

TEST_F(SecretReferenceTest, BoundsTheSize) {
  EXPECT_EQ(Read(Kind::kFile, Write("most", std::string(size_t{64} * 1024, 'x'))).size(), 64u * 1024);
  EXPECT_THAT(ReadSecret({Kind::kFile, Write("more", std::string(size_t{64} * 1024 + 1, 'x'))}),
              AllOf(HasCode(absl::StatusCode::kInvalidArgument),
                    HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("larger than 64 KiB"))));
}

TEST_F(SecretReferenceTest, EmptyIsAnError) {
  for (const char* bytes : {"", "\n", "\r\n"}) {
    EXPECT_THAT(ReadSecret({Kind::kFile, Write("empty", bytes)}), HasCode(absl::StatusCode::kInvalidArgument));
  }
  ASSERT_EQ(setenv("CERTCAST_TEST_SECRET", "", 1), 0);
  EXPECT_THAT(ReadSecret({Kind::kEnvironment, "CERTCAST_TEST_SECRET"}), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ReadSecret({}), HasCode(absl::StatusCode::kInvalidArgument));
}

TEST_F(SecretReferenceTest, MissingIsNotFoundWithItsPlace) {
  EXPECT_THAT(
      ReadSecret({Kind::kFile, "/nowhere/key"}),
      AllOf(HasCode(absl::StatusCode::kNotFound), HasReason(Reason::STORAGE_FAILED, HasSubstr("/nowhere/key"))));
  EXPECT_THAT(ReadSecret({Kind::kEnvironment, "CERTCAST_TEST_SECRET"}),
              AllOf(HasCode(absl::StatusCode::kNotFound),
                    HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("CERTCAST_TEST_SECRET"))));
  EXPECT_THAT(ReadSecret({Kind::kCredential, "absent"}), HasCode(absl::StatusCode::kNotFound));
  ASSERT_EQ(unsetenv("CREDENTIALS_DIRECTORY"), 0);
  EXPECT_THAT(ReadSecret({Kind::kCredential, "absent"}), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(SecretReferenceTest, RefusesWhatIsNotAFileWithoutWaitingForIt) {
  EXPECT_THAT(ReadSecret({Kind::kFile, ::testing::TempDir()}), Not(IsOk()));
  const std::string fifo = ::testing::TempDir() + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(ReadSecret({Kind::kFile, fifo}), HasReason(Reason::REASON_UNSPECIFIED, HasSubstr("not a regular file")));
}

TEST_F(SecretReferenceTest, ReadsTheEnvironment) {
  ASSERT_EQ(setenv("CERTCAST_TEST_SECRET", "hush", 1), 0);
  EXPECT_EQ(Read(Kind::kEnvironment, "CERTCAST_TEST_SECRET"), "hush");
}

TEST_F(SecretReferenceTest, ReadsACredentialWhateverItsMode) {
  Write("credential", "hush\n", 0440);
  EXPECT_EQ(Read(Kind::kCredential, "credential"), "hush");
}

TEST_F(SecretReferenceTest, CredentialStaysInItsDirectory) {
  for (const char* name : {"", ".", "..", "../etc/passwd", "/etc/passwd", "a/b"}) {
    EXPECT_THAT(ReadSecret({Kind::kCredential, name}), HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
}

TEST_F(SecretReferenceTest, DescribesThePlaceNotTheSecret) {
  EXPECT_EQ((SecretReference{Kind::kFile, "/a"}.Describe()), "file /a");
  EXPECT_EQ((SecretReference{Kind::kEnvironment, "A"}.Describe()), "environment variable A");
  EXPECT_EQ((SecretReference{Kind::kCredential, "a"}.Describe()), "credential a");
  EXPECT_EQ(SecretReference().Describe(), "nothing");
}

}  // namespace
}  // namespace certcast
