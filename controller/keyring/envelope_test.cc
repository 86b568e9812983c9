#include "controller/keyring/envelope.h"

#include <set>

#include "absl/strings/match.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::HasSubstr;

Secret Master(char byte) {
  return Secret(std::string(kMasterKeySize, byte));
}

state::v1::Sealed SealText(absl::string_view purpose, absl::string_view text) {
  auto sealed = SealUnder(Master('m'), purpose, Secret(text));
  EXPECT_THAT(sealed, IsOk());
  return *std::move(sealed);
}

TEST(Envelope, OpensWhatItSealed) {
  for (const std::string& text : {std::string("a private key"), std::string(), std::string(1 << 20, 'x')}) {
    const auto opened = OpenUnder(Master('m'), "certificate/wildcard/7", SealText("certificate/wildcard/7", text));
    ASSERT_THAT(opened, IsOk());
    EXPECT_EQ(opened->ExposeSecret(), text);
  }
}

TEST(Envelope, HidesTheSecretAndNeverRepeatsItself) {
  std::set<std::string> seen;
  for (int i = 0; i < 10; ++i) {
    const state::v1::Sealed sealed = SealText("purpose", "a private key");
    EXPECT_FALSE(absl::StrContains(sealed.SerializeAsString(), "private"));
    // Nonces and data keys are fresh each time.
    EXPECT_TRUE(seen.insert(sealed.wrapped_key()).second);
    EXPECT_TRUE(seen.insert(sealed.ciphertext()).second);
    EXPECT_TRUE(seen.insert(sealed.wrapped_key().substr(0, 12)).second);
    EXPECT_TRUE(seen.insert(sealed.ciphertext().substr(0, 12)).second);
  }
}

TEST(Envelope, RefusesAnotherMasterKey) {
  const auto opened = OpenUnder(Master('n'), "purpose", SealText("purpose", "secret"));
  EXPECT_THAT(opened, HasReason(Reason::STORAGE_FAILED, HasSubstr("another master key")));
}

TEST(Envelope, RefusesARecordInTheWrongPlace) {
  const auto opened = OpenUnder(Master('m'), "certificate/wildcard/8", SealText("certificate/wildcard/7", "secret"));
  EXPECT_THAT(opened, HasReason(Reason::STORAGE_FAILED, HasSubstr("`certificate/wildcard/7`")));
}

TEST(Envelope, RefusesARelabelledRecord) {
  state::v1::Sealed sealed = SealText("certificate/wildcard/7", "secret");
  sealed.set_purpose("certificate/wildcard/8");
  EXPECT_THAT(OpenUnder(Master('m'), "certificate/wildcard/8", sealed), HasReason(Reason::STORAGE_FAILED));
}

TEST(Envelope, RefusesPartsOfTwoRecordsPutTogether) {
  state::v1::Sealed one = SealText("purpose", "one");
  const state::v1::Sealed two = SealText("purpose", "two");
  one.set_wrapped_key(two.wrapped_key());
  EXPECT_THAT(OpenUnder(Master('m'), "purpose", one), HasReason(Reason::STORAGE_FAILED));
}

TEST(Envelope, RefusesAChangeOfAnyByte) {
  const state::v1::Sealed sealed = SealText("purpose", "secret");
  for (size_t i = 0; i < sealed.wrapped_key().size(); ++i) {
    state::v1::Sealed changed = sealed;
    (*changed.mutable_wrapped_key())[i] ^= 1;
    EXPECT_THAT(OpenUnder(Master('m'), "purpose", changed), HasReason(Reason::STORAGE_FAILED))
        << "wrapped key, byte " << i;
  }
  for (size_t i = 0; i < sealed.ciphertext().size(); ++i) {
    state::v1::Sealed changed = sealed;
    (*changed.mutable_ciphertext())[i] ^= 1;
    EXPECT_THAT(OpenUnder(Master('m'), "purpose", changed), HasReason(Reason::STORAGE_FAILED))
        << "ciphertext, byte " << i;
  }
}

TEST(Envelope, RefusesWhatIsCutShort) {
  const state::v1::Sealed sealed = SealText("purpose", "secret");
  for (size_t size = 0; size < sealed.ciphertext().size(); ++size) {
    state::v1::Sealed changed = sealed;
    changed.set_ciphertext(sealed.ciphertext().substr(0, size));
    EXPECT_THAT(OpenUnder(Master('m'), "purpose", changed), HasReason(Reason::STORAGE_FAILED)) << size;
    changed = sealed;
    changed.set_wrapped_key(sealed.wrapped_key().substr(0, size));
    EXPECT_THAT(OpenUnder(Master('m'), "purpose", changed), HasReason(Reason::STORAGE_FAILED)) << size;
  }
  EXPECT_THAT(OpenUnder(Master('m'), "purpose", state::v1::Sealed()), HasReason(Reason::STORAGE_FAILED));
}

TEST(Envelope, LeavesWhatANewerCertcastSealedAlone) {
  state::v1::Sealed sealed = SealText("purpose", "secret");
  sealed.set_schema(2);
  EXPECT_THAT(OpenUnder(Master('m'), "purpose", sealed), HasReason(Reason::STORAGE_FAILED, HasSubstr("newer")));
}

TEST(Envelope, NeverQuotesASecretInAnError) {
  const auto opened = OpenUnder(Master('n'), "purpose", SealText("purpose", "a private key"));
  EXPECT_FALSE(absl::StrContains(certcast::testing::Describe(opened.status()), "private"));
}

}  // namespace
}  // namespace certcast::controller
