#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include <string>
#include <vector>

#include "common/x509/certificate.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast {
namespace {

using ::certcast::testing::CertificateSpec;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::MakeRsaKey;
using ::certcast::testing::TestCa;
using ::testing::HasSubstr;

using Chain = std::vector<Certificate>;

class CheckChainTest : public ::testing::Test {
 protected:
  static absl::Status Check(const Chain& chain) { return CheckChain(chain, kNow, /*allow_leaf_alone=*/false); }
  static Certificate Leaf(const TestCa& ca, const CertificateSpec& spec = {.dns_names = {"leaf.test"}}) {
    return ca.Issue(spec).certificate;
  }
  static auto Invalid(const std::string& text) {
    return HasReason(Reason::CHAIN_INVALID, ::testing::ContainsRegex(text));
  }

  static constexpr absl::Time kNow = absl::FromUnixSeconds(1893456000);
  const TestCa root_ = TestCa::Root("R");
  const TestCa upper_ = root_.Intermediate("Upper");
  const TestCa lower_ = upper_.Intermediate("Lower");
  const Certificate leaf_ = Leaf(lower_);
  const TestCa foreign_root_ = TestCa::Root("Foreign Root");
  const TestCa foreign_ = foreign_root_.Intermediate("Foreign");

  const Certificate& root() const { return root_.certificate(); }
  const Certificate& upper() const { return upper_.certificate(); }
  const Certificate& lower() const { return lower_.certificate(); }
};

TEST_F(CheckChainTest, AcceptsWithAndWithoutRoot) {
  EXPECT_THAT(Check({leaf_, lower(), upper()}), IsOk());
  EXPECT_THAT(Check({leaf_, lower(), upper(), root()}), IsOk());
  EXPECT_THAT(Check({leaf_, lower()}), IsOk());
  EXPECT_THAT(Check({Leaf(root_), root()}), IsOk());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(CheckChainTest, AcceptsOtherKindsOfKeys) {
  const TestCa rsa_root = TestCa::Root("RSA Root", {.key_type = KeyType::kRsa2048});
  const TestCa p384 = rsa_root.Intermediate("P-384", {.key_type = KeyType::kEcdsaP384});
  EXPECT_THAT(Check({Leaf(p384), p384.certificate(), rsa_root.certificate()}), IsOk());
}

TEST_F(CheckChainTest, EmptyIsInvalid) {
  EXPECT_THAT(Check({}), Invalid("empty"));
}

TEST_F(CheckChainTest, LeafAloneOnlyWhereAllowed) {
  EXPECT_THAT(Check({leaf_}), Invalid("^missing intermediate: .* issued by \"Lower\""));
  EXPECT_THAT(CheckChain({leaf_}, kNow, /*allow_leaf_alone=*/true), IsOk());
  EXPECT_THAT(Check({root()}), Invalid("^the certificate is self-signed"));
  EXPECT_THAT(CheckChain({root()}, kNow, /*allow_leaf_alone=*/true), IsOk());
}

TEST_F(CheckChainTest, TellsWrongOrder) {
  EXPECT_THAT(Check({leaf_, upper(), lower()}),
              Invalid("^wrong order: certificate 1 was issued by certificate 3 \\(\"Lower\"\\), not by certificate 2 "
                      "\\(\"Upper\"\\)"));
  EXPECT_THAT(Check({lower(), leaf_}),
              Invalid("^wrong order: certificate 1 \\(\"Lower\"\\) comes before what it issued"));
  EXPECT_THAT(Check({upper(), lower(), leaf_}), Invalid("^wrong order: certificate 1 \\(\"Upper\"\\)"));
  EXPECT_THAT(Check({root(), upper(), lower(), leaf_}), Invalid("^wrong order: certificate 1 \\(\"R\"\\)"));
  EXPECT_THAT(Check({upper(), leaf_, lower()}), Invalid("^wrong order: certificate 1 \\(\"Upper\"\\)"));
  EXPECT_THAT(Check({leaf_, lower(), root(), upper()}),
              Invalid("^wrong order: certificate 2 was issued by certificate 4"));
  EXPECT_THAT(Check({leaf_, leaf_, lower()}), Invalid("^wrong order: certificates 1 and 2 are the same"));
  EXPECT_THAT(Check({leaf_, lower(), lower()}), Invalid("^wrong order: certificates 2 and 3 are the same"));
}

TEST_F(CheckChainTest, TellsMissingIntermediate) {
  EXPECT_THAT(Check({leaf_, upper()}),
              Invalid("^missing intermediate: \"Lower\", the issuer of certificate 1, is not there; certificate 2 "
                      "\\(\"Upper\"\\) did not issue it"));
  EXPECT_THAT(Check({leaf_, upper(), root()}), Invalid("^missing intermediate: \"Lower\""));
  EXPECT_THAT(Check({leaf_, root()}), Invalid("^missing intermediate: \"Lower\""));
  EXPECT_THAT(Check({leaf_, lower(), root()}),
              Invalid("^missing intermediate: \"Upper\", the issuer of certificate 2"));
  EXPECT_THAT(Check({leaf_, foreign_.certificate()}), Invalid("^missing intermediate: \"Lower\".*\"Foreign\""));
}

TEST_F(CheckChainTest, TellsForeignCertificate) {
  EXPECT_THAT(
      Check({leaf_, foreign_.certificate(), lower(), upper()}),
      Invalid("^foreign certificate: certificate 2 \\(\"Foreign\"\\) is not above certificate 1, whose issuer is "
              "certificate 3 \\(\"Lower\"\\)"));
  EXPECT_THAT(Check({leaf_, lower(), foreign_.certificate(), upper()}),
              Invalid("^foreign certificate: certificate 3 \\(\"Foreign\"\\)"));
  EXPECT_THAT(
      Check({leaf_, lower(), upper(), root(), foreign_root_.certificate()}),
      Invalid("^foreign certificate: certificate 5 \\(\"Foreign Root\"\\) follows the self-signed certificate 4"));
}

TEST_F(CheckChainTest, TellsAnIntermediateOfTheSameNameButAnotherKey) {
  const TestCa other = upper_.Intermediate("Lower");
  EXPECT_THAT(
      Check({leaf_, other.certificate(), upper()}),
      Invalid("^foreign certificate: certificate 2 \\(\"Lower\"\\) has the name of the issuer of certificate 1, but "
              "another key"));
}

TEST_F(CheckChainTest, TellsBadSignature) {
  const Certificate forged = Leaf(lower_, {.dns_names = {"leaf.test"}, .wrong_signature = true});
  EXPECT_THAT(Check({forged, lower(), upper()}),
              Invalid("^bad signature: certificate 1 \\(\"leaf.test\"\\) is not signed by the key of certificate 2"));
  const TestCa forged_lower = upper_.Intermediate("Forged", {.wrong_signature = true});
  EXPECT_THAT(Check({Leaf(forged_lower), forged_lower.certificate(), upper()}),
              Invalid("^bad signature: certificate 2 \\(\"Forged\"\\)"));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(CheckChainTest, EveryFlippedByteOfTheLeafIsNoticed) {
  const std::string der = leaf_.der();
  for (size_t i = 0; i < der.size(); ++i) {
    std::string changed = der;
    changed[i] = static_cast<char>(changed[i] ^ 0x01);
    const auto parsed = Certificate::FromDer(changed);
    if (!parsed.ok()) continue;
    EXPECT_THAT(Check({*parsed, lower(), upper()}), HasReason(Reason::CHAIN_INVALID)) << i;
  }
}

TEST_F(CheckChainTest, NamesWhoHasNoCommonName) {
  const TestCa nameless = root_.Intermediate("");
  EXPECT_THAT(Check({leaf_, nameless.certificate()}),
              Invalid("^missing intermediate: \"Lower\".*certificate 2 \\(without a name\\)"));
}

TEST_F(CheckChainTest, IssuerMustBeACa) {
  const auto fake = upper_.Issue({.dns_names = {"not-a-ca.test"}});
  // An ordinary certificate's holder signs for another name.
  const TestCa holder = upper_.Intermediate("not-a-ca.test", {.key = &fake.key});
  const Certificate victim = Leaf(holder);
  EXPECT_THAT(Check({victim, holder.certificate(), upper()}), IsOk());
  EXPECT_THAT(Check({victim, fake.certificate, upper()}),
              Invalid("^certificate 2 \\(\"not-a-ca.test\"\\) is not a CA"));
}

TEST_F(CheckChainTest, AuthorityDatesCount) {
  const TestCa expired = root_.Intermediate("Old", {.not_after = kNow - absl::Seconds(1)});
  EXPECT_THAT(Check({Leaf(expired), expired.certificate()}),
              Invalid("^certificate 2 \\(\"Old\"\\) expired at 2029-12-31 23:59:59 UTC"));
  const TestCa future = root_.Intermediate("New", {.not_before = kNow + absl::Seconds(61)});
  EXPECT_THAT(Check({Leaf(future), future.certificate()}), Invalid("^certificate 2 \\(\"New\"\\) is valid from 2030"));
  const TestCa soon = root_.Intermediate("Soon", {.not_before = kNow + absl::Seconds(60)});
  EXPECT_THAT(Check({Leaf(soon), soon.certificate()}), IsOk());
}

TEST_F(CheckChainTest, LeafDatesAreNotItsMatter) {
  EXPECT_THAT(Check({Leaf(lower_, {.not_after = kNow - absl::Hours(1)}), lower()}), IsOk());
}

TEST_F(CheckChainTest, PathLengthCounts) {
  const TestCa no_more = root_.Intermediate("No More", {.path_length = 0});
  EXPECT_THAT(Check({Leaf(no_more), no_more.certificate(), root()}), IsOk());
  const TestCa below = no_more.Intermediate("Below");
  EXPECT_THAT(Check({Leaf(below), below.certificate(), no_more.certificate(), root()}), Invalid("path length"));
}

TEST_F(CheckChainTest, NameConstraintsCount) {
  const TestCa limited =
      root_.Intermediate("Limited", {.extensions = {{NID_name_constraints, "critical,permitted;DNS:ours.test"}}});
  EXPECT_THAT(Check({Leaf(limited, {.dns_names = {"a.ours.test"}}), limited.certificate(), root()}), IsOk());
  EXPECT_THAT(Check({Leaf(limited, {.dns_names = {"a.other.test"}}), limited.certificate(), root()}),
              Invalid("certificate 1 .*permitted subtree violation"));
}

TEST_F(CheckChainTest, WeakAuthorityKeyIsRefused) {
  const PrivateKey weak = MakeRsaKey(1024);
  const TestCa ca = root_.Intermediate("Weak", {.key = &weak});
  EXPECT_THAT(Check({Leaf(ca), ca.certificate(), root()}),
              Invalid("certificate 2 \\(\"Weak\"\\): CA certificate key too weak"));
}

TEST_F(CheckChainTest, HintsSayWhatToDo) {
  EXPECT_THAT(FailureOf(Check({leaf_, upper(), lower()})).hint(), HasSubstr("leaf first"));
  EXPECT_THAT(FailureOf(Check({leaf_, upper()})).hint(), HasSubstr("add \"Lower\" after certificate 1"));
  EXPECT_THAT(FailureOf(Check({leaf_, foreign_.certificate(), lower()})).hint(), HasSubstr("leave certificate 2 out"));
}

class CheckChainAgainstRootsTest : public CheckChainTest {
 protected:
  static absl::Status CheckRoots(const Chain& chain, const Chain& roots, absl::Time now = kNow) {
    return CheckChainAgainstRoots(chain, roots, now);
  }
};

TEST_F(CheckChainAgainstRootsTest, AcceptsChainsThatEndAtARoot) {
  EXPECT_THAT(CheckRoots({leaf_, lower(), upper()}, {root()}), IsOk());
  EXPECT_THAT(CheckRoots({leaf_, lower(), upper(), root()}, {root()}), IsOk());
  EXPECT_THAT(CheckRoots({leaf_, lower(), upper()}, {foreign_root_.certificate(), root()}), IsOk());
  EXPECT_THAT(CheckRoots({Leaf(root_)}, {root()}), IsOk());
  // A trusted intermediate ends it as well.
  EXPECT_THAT(CheckRoots({leaf_, lower()}, {upper()}), IsOk());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(CheckChainAgainstRootsTest, RefusesOthers) {
  EXPECT_THAT(CheckRoots({}, {root()}), Invalid("empty"));
  EXPECT_THAT(CheckRoots({leaf_}, {}), Invalid("no root"));
  EXPECT_THAT(CheckRoots({leaf_, lower(), upper()}, {foreign_root_.certificate()}),
              Invalid("certificate 3 .*its issuer, \"R\", is neither in the chain nor among"));
  EXPECT_THAT(CheckRoots({leaf_, upper()}, {root()}), Invalid("certificate 1 .*its issuer, \"Lower\", is neither"));
  EXPECT_THAT(CheckRoots({leaf_, lower(), upper(), root()}, {foreign_root_.certificate()}), Invalid("self.signed"));
  EXPECT_THAT(CheckRoots({Leaf(root_, {.dns_names = {"leaf.test"}, .wrong_signature = true})}, {root()}),
              Invalid("certificate 1 .*signature failure"));
  // A root of the same name with another key.
  EXPECT_THAT(CheckRoots({leaf_, lower(), upper()}, {TestCa::Root("R").certificate()}),
              HasReason(Reason::CHAIN_INVALID));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(CheckChainAgainstRootsTest, AllDatesCount) {
  const Certificate leaf = Leaf(lower_, {.not_after = kNow + absl::Seconds(1)});
  EXPECT_THAT(CheckRoots({leaf, lower(), upper()}, {root()}), IsOk());
  EXPECT_THAT(CheckRoots({leaf, lower(), upper()}, {root()}, kNow + absl::Seconds(2)),
              Invalid("certificate 1 .*has expired"));
  EXPECT_THAT(CheckRoots({leaf_, lower(), upper()}, {root()}, kNow - absl::Hours(24 * 365 * 20)),
              Invalid("not yet valid"));
}

}  // namespace
}  // namespace certcast
