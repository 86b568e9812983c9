#include "common/x509/pem.h"

#include <openssl/err.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IsOkAndHolds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr size_t kLimit = 4096;

std::string Block(const std::string& label, const std::string& bytes = "bytes") {
  return EncodePem(label, bytes);
}

TEST(SplitPemTest, TakesBlocksApart) {
  const std::string pem = "\n" + Block("ONE") + "\r\n \t\n" + Block("TWO WORDS");
  const auto blocks = SplitPem(pem, kLimit);
  ASSERT_THAT(blocks, IsOkAndHolds(SizeIs(2)));
  EXPECT_EQ((*blocks)[0].label, "ONE");
  EXPECT_EQ((*blocks)[1].label, "TWO WORDS");
  EXPECT_EQ(absl::StrCat((*blocks)[0].text, "\n"), Block("ONE"));
}

TEST(SplitPemTest, NothingIsNoBlock) {
  EXPECT_THAT(SplitPem("", kLimit), IsOkAndHolds(IsEmpty()));
  EXPECT_THAT(SplitPem(" \r\n\t", kLimit), IsOkAndHolds(IsEmpty()));
}

TEST(SplitPemTest, RefusesAnythingElse) {
  const std::string block = Block("ONE");
  struct {
    std::string pem;
    absl::string_view why;
  } const cases[] = {
      {"text\n" + block, "text before the first block, at byte 1"},
      {"\xef\xbb\xbf" + block, "text before the first block"},
      {block + "text", "text between or after the blocks"},
      {block + "text\n" + block, "text between or after the blocks"},
      {block + '\0', "text between or after the blocks"},
      {"-----BEGIN ONE-----\nAAAA\n", "ONE has no END line"},
      {"-----BEGIN ONE-----\nAAAA\n-----END TWO-----\n", "ONE has no END line"},
      {"-----BEGIN ONE-----\nAAAA\n" + block, "ONE has no END line"},
      {"-----BEGIN ONE", "does not end in -----"},
      {"-----BEGIN ONE\n-----\n", "something else than a label"},
      {"-----BEGIN " + std::string(100, 'x') + "-----\n", "does not end in -----"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(SplitPem(c.pem, kLimit), HasReason(Reason::MALFORMED, HasSubstr(std::string(c.why)))) << c.pem;
  }
}

TEST(SplitPemTest, TakesNoPartOfAKeyForALabel) {
  // The line end after the BEGIN line was lost, and with it a part of the key.
  const absl::StatusOr<std::vector<PemBlock>> blocks =
      SplitPem("-----BEGIN PRIVATE KEYMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEH-----\n", kLimit);
  EXPECT_THAT(blocks, HasReason(Reason::MALFORMED, HasSubstr("something else than a label")));
  EXPECT_THAT(blocks.status().message(), Not(HasSubstr("MIGH")));
  for (const std::string label : {"X509 CRL", "PKCS #7 SIGNED DATA", "SSH2 ENCRYPTED PRIVATE KEY"}) {
    EXPECT_THAT(SplitPem(Block(label), kLimit), IsOkAndHolds(SizeIs(1))) << label;
  }
}

TEST(SplitPemTest, BoundsTheSize) {
  const std::string block = Block("ONE");
  EXPECT_THAT(SplitPem(block, block.size()), IsOk());
  EXPECT_THAT(SplitPem(block, block.size() - 1), HasReason(Reason::MALFORMED, HasSubstr("larger than")));
}

TEST(DecodePemTest, GivesBackWhatWasEncoded) {
  for (const size_t size : {1, 47, 48, 49, 1000}) {
    const std::string bytes(size, '\xa5');
    const std::string pem = Block("ONE", bytes);
    EXPECT_THAT(DecodePem({"ONE", absl::StripTrailingAsciiWhitespace(pem)}), IsOkAndHolds(bytes));
  }
}

// The next connection's failure would be looked for there.
TEST(EncodePemTest, ABlockOfNothingLeavesNoErrorForOthers) {
  EXPECT_EQ(EncodePem("CERTIFICATE", ""), "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(DecodePemTest, RefusesWhatOpensslWouldNotRead) {
  for (const std::string& text : std::vector<std::string>{
           "-----BEGIN ONE-----\n!!!!\n-----END ONE-----",
           "-----BEGIN ONE-----\nAAA\n-----END ONE-----",
           "-----BEGIN ONE-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END ONE-----",
           "-----BEGIN ONE-----\nX: y\n\nAAAA\n-----END ONE-----",
           "-----BEGIN ONE-----\n-----END ONE-----",
           "-----BEGIN ONE-----AAAA-----END ONE-----",
       }) {
    EXPECT_THAT(DecodePem({"ONE", text}), Not(IsOk())) << text;
  }
}

}  // namespace
}  // namespace certcast
