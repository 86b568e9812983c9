#include "common/manifest/manifest.h"

#include <openssl/err.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/clock/timestamp.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast {
namespace {

using ::certcast::testing::CertificateSpec;
using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::certcast::testing::IssuedCertificate;
using ::certcast::testing::MakeEcKey;
using ::certcast::testing::MakeRsaKey;
using ::certcast::testing::TestCa;
using ::certcast::testing::TestFleet;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr absl::Time kNow = absl::FromUnixSeconds(1893456000);

class BundleTest : public ::testing::Test {
 protected:
  // A leaf as a public CA issues it.
  IssuedCertificate Issue(const CertificateSpec& spec = {.dns_names = {"*.example.com", "example.com"}}) const {
    return intermediate_.Issue(spec);
  }
  v1::Bundle Bundle(const IssuedCertificate& issued) const { return fleet_.Bundle(issued, "wildcard", 7, kNow); }
  v1::Bundle Bundle() const { return Bundle(Issue()); }

  absl::StatusOr<VerifiedBundle> Verify(const v1::Bundle& bundle, absl::Time now = kNow) const {
    return VerifyBundle(bundle, fleet_.key(), {fleet_.id(), {"*.example.com", "example.com"}, now});
  }

  // With a manifest that was signed by the right key but says something else.
  v1::Bundle Changed(v1::Bundle bundle, const std::function<void(v1::Manifest&)>& change) const {
    v1::Manifest manifest;
    EXPECT_TRUE(manifest.ParseFromString(bundle.manifest()));
    change(manifest);
    return fleet_.Resign(std::move(bundle), manifest);
  }

  // With other parts, signed as they are.
  v1::Bundle WithParts(const std::string& fullchain_pem, const std::string& key_pem, v1::Bundle bundle) const {
    bundle.set_fullchain_pem(fullchain_pem);
    bundle.set_private_key_pem(key_pem);
    return Changed(std::move(bundle), [&](v1::Manifest& manifest) {
      manifest.mutable_fullchain_pem()->set_size(fullchain_pem.size());
      manifest.mutable_fullchain_pem()->set_sha256(Sha256Hex(fullchain_pem));
      manifest.mutable_private_key_pem()->set_size(key_pem.size());
      manifest.mutable_private_key_pem()->set_sha256(Sha256Hex(key_pem));
    });
  }

  const TestFleet fleet_;
  const TestCa root_ = TestCa::Root();
  const TestCa intermediate_ = root_.Intermediate();
};

TEST_F(BundleTest, ManifestSaysWhatTheBundleHolds) {
  const IssuedCertificate issued = Issue();
  const v1::Bundle bundle = fleet_.Bundle(issued, "wildcard", 7, kNow, absl::Hours(2));
  v1::Manifest manifest;
  ASSERT_TRUE(manifest.ParseFromString(bundle.manifest()));
  EXPECT_EQ(manifest.fleet_id(), fleet_.id());
  EXPECT_EQ(manifest.certificate(), "wildcard");
  EXPECT_EQ(manifest.generation(), 7u);
  EXPECT_EQ(manifest.leaf_sha256(), issued.certificate.sha256());
  EXPECT_EQ(manifest.spki_sha256(), issued.key.spki_sha256());
  EXPECT_THAT(manifest.dns_names(), ElementsAre("*.example.com", "example.com"));
  EXPECT_EQ(FromTimestamp(manifest.not_before()), issued.certificate.not_before());
  EXPECT_EQ(FromTimestamp(manifest.not_after()), issued.certificate.not_after());
  EXPECT_EQ(FromTimestamp(manifest.signed_at()), kNow);
  EXPECT_EQ(FromTimestamp(manifest.expires_at()), kNow + absl::Hours(2));
  EXPECT_EQ(manifest.fullchain_pem().size(), issued.fullchain_pem.size());
  EXPECT_EQ(manifest.private_key_pem().sha256(), Sha256Hex(issued.key_pem.ExposeSecret()));
  EXPECT_EQ(bundle.fullchain_pem(), issued.fullchain_pem);
  EXPECT_TRUE(fleet_.key().Verifies(bundle.manifest(), bundle.signature()));
}

TEST_F(BundleTest, MakeBundleRefusesWhatCanNotWork) {
  const IssuedCertificate issued = Issue();
  const IssuedCertificate other = Issue();
  BundleInput input{.fleet_id = "f", .certificate = "c", .generation = 1, .signed_at = kNow};
  EXPECT_THAT(MakeBundle(input, fleet_.signing_key()), HasCode(absl::StatusCode::kInvalidArgument));
  input.private_key_pem = &issued.key_pem;
  EXPECT_THAT(MakeBundle(input, fleet_.signing_key()), HasReason(Reason::MALFORMED));
  input.fullchain_pem = other.fullchain_pem;
  EXPECT_THAT(MakeBundle(input, fleet_.signing_key()), HasReason(Reason::KEY_MISMATCH));
  input.fullchain_pem = issued.fullchain_pem;
  EXPECT_THAT(MakeBundle(input, issued.key), HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(MakeBundle(input, fleet_.signing_key()), IsOk());
}

TEST_F(BundleTest, WindowsLineEndsDoNotTravel) {
  IssuedCertificate issued = Issue();
  const std::string pem = issued.fullchain_pem;
  for (size_t i = 0; (i = issued.fullchain_pem.find('\n', i)) != std::string::npos; i += 2) {
    issued.fullchain_pem.insert(i, 1, '\r');
  }
  EXPECT_EQ(Bundle(issued).fullchain_pem(), pem);
}

TEST_F(BundleTest, WipeKeyLeavesTheRest) {
  v1::Bundle bundle = Bundle();
  const char* bytes = bundle.private_key_pem().data();
  WipeKey(bundle);
  // A cleared string keeps its memory.
  EXPECT_EQ(std::string(bytes + 1, 8), std::string(8, '\0'));
  EXPECT_TRUE(bundle.private_key_pem().empty());
  EXPECT_FALSE(bundle.manifest().empty());
}

TEST_F(BundleTest, GoodOneIsAccepted) {
  const IssuedCertificate issued = Issue();
  const auto verified = Verify(Bundle(issued));
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->manifest.generation(), 7u);
  ASSERT_EQ(verified->chain.size(), 2u);
  EXPECT_EQ(verified->chain[0].sha256(), issued.certificate.sha256());
  EXPECT_EQ(verified->key.spki_sha256(), issued.key.spki_sha256());
  EXPECT_EQ(verified->fullchain_pem, issued.fullchain_pem);
  EXPECT_TRUE(verified->private_key_pem.Equals(issued.key_pem));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(BundleTest, EveryAllowedKeyIsAccepted) {
  for (const KeyType type : {KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kRsa2048}) {
    EXPECT_THAT(Verify(Bundle(Issue({.dns_names = {"example.com"}, .key_type = type}))), IsOk());
  }
}

TEST_F(BundleTest, SelfSignedAndPrivateRootAreAccepted) {
  EXPECT_THAT(Verify(Bundle(TestCa::SelfSigned({.dns_names = {"example.com"}}))), IsOk());
  EXPECT_THAT(Verify(Bundle(root_.Issue({.dns_names = {"example.com"}}))), IsOk());
}

TEST_F(BundleTest, DigestIsOfLeafAndKeyNotOfGenerationOrTime) {
  const IssuedCertificate issued = Issue();
  const auto first = Verify(Bundle(issued));
  const auto again = Verify(fleet_.Bundle(issued, "wildcard", 8, kNow - absl::Hours(1)));
  const auto other = Verify(Bundle(Issue()));
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(again, IsOk());
  ASSERT_THAT(other, IsOk());
  EXPECT_EQ(first->digest, again->digest);
  EXPECT_NE(first->digest, other->digest);
  EXPECT_EQ(first->digest.size(), 64u);
}

TEST_F(BundleTest, SizesAreBoundedBeforeAnythingElse) {
  struct {
    const char* part;
    std::string* (v1::Bundle::*field)();
    size_t limit;
  } const parts[] = {
      {"manifest", &v1::Bundle::mutable_manifest, size_t{64} * 1024},
      {"signature", &v1::Bundle::mutable_signature, 64},
      {"chain", &v1::Bundle::mutable_fullchain_pem, size_t{64} * 1024},
      {"private key", &v1::Bundle::mutable_private_key_pem, size_t{16} * 1024},
  };
  for (const auto& part : parts) {
    v1::Bundle bundle = Bundle();
    (bundle.*part.field)()->assign(part.limit + 1, 'x');
    EXPECT_THAT(Verify(bundle), HasReason(Reason::MALFORMED, HasSubstr(part.part)));
    (bundle.*part.field)()->clear();
    EXPECT_THAT(Verify(bundle), HasReason(Reason::MALFORMED, HasSubstr(part.part)));
  }
}

TEST_F(BundleTest, EveryChangedByteIsNoticed) {
  const v1::Bundle good = Bundle();
  struct {
    std::string* (v1::Bundle::*field)();
    Reason::Code reason;
  } const parts[] = {
      {&v1::Bundle::mutable_manifest, Reason::SIGNATURE_INVALID},
      {&v1::Bundle::mutable_signature, Reason::SIGNATURE_INVALID},
      {&v1::Bundle::mutable_fullchain_pem, Reason::FINGERPRINT_MISMATCH},
      {&v1::Bundle::mutable_private_key_pem, Reason::FINGERPRINT_MISMATCH},
  };
  for (const auto& part : parts) {
    v1::Bundle bundle = good;
    std::string& bytes = *(bundle.*part.field)();
    for (char& byte : bytes) {
      byte ^= 0x20;
      EXPECT_THAT(Verify(bundle), HasReason(part.reason));
      byte ^= 0x20;
    }
    ASSERT_THAT(Verify(bundle), IsOk());
  }
}

TEST_F(BundleTest, TruncatedAnywhereIsNoticed) {
  const v1::Bundle good = Bundle();
  for (size_t size = 0; size < good.manifest().size(); ++size) {
    v1::Bundle bundle = good;
    bundle.mutable_manifest()->resize(size);
    EXPECT_THAT(Verify(bundle), HasReason(size == 0 ? Reason::MALFORMED : Reason::SIGNATURE_INVALID)) << size;
  }
  for (size_t size = 0; size < good.signature().size(); ++size) {
    v1::Bundle bundle = good;
    bundle.mutable_signature()->resize(size);
    EXPECT_THAT(Verify(bundle), HasReason(size == 0 ? Reason::MALFORMED : Reason::SIGNATURE_INVALID)) << size;
  }
  for (size_t size = 0; size < good.fullchain_pem().size(); ++size) {
    v1::Bundle bundle = good;
    bundle.mutable_fullchain_pem()->resize(size);
    EXPECT_THAT(Verify(bundle), HasReason(size == 0 ? Reason::MALFORMED : Reason::FINGERPRINT_MISMATCH)) << size;
  }
  for (size_t size = 0; size < good.private_key_pem().size(); ++size) {
    v1::Bundle bundle = good;
    bundle.mutable_private_key_pem()->resize(size);
    EXPECT_THAT(Verify(bundle), HasReason(size == 0 ? Reason::MALFORMED : Reason::FINGERPRINT_MISMATCH)) << size;
  }
}

TEST_F(BundleTest, TruncatedMessageNeverPasses) {
  const std::string whole = Bundle().SerializeAsString();
  for (size_t size = 0; size < whole.size(); size += 13) {
    v1::Bundle bundle;
    const bool refused = !bundle.ParseFromString(whole.substr(0, size)) || !Verify(bundle).ok();
    EXPECT_TRUE(refused) << size;
  }
}

TEST_F(BundleTest, WrongSignerIsRefused) {
  const TestFleet impostor(fleet_.id());
  EXPECT_THAT(Verify(impostor.Bundle(Issue(), "wildcard", 7, kNow)), HasReason(Reason::SIGNATURE_INVALID));
}

TEST_F(BundleTest, SignatureOfAnotherManifestIsRefused) {
  v1::Bundle bundle = Bundle();
  bundle.set_signature(fleet_.Bundle(Issue(), "wildcard", 8, kNow).signature());
  EXPECT_THAT(Verify(bundle), HasReason(Reason::SIGNATURE_INVALID));
}

TEST_F(BundleTest, SignedNonsenseIsMalformed) {
  const auto refuses = [&](const std::function<void(v1::Manifest&)>& change) {
    EXPECT_THAT(Verify(Changed(Bundle(), change)), HasReason(Reason::MALFORMED));
  };
  for (const std::string& name : std::vector<std::string>{"", ".", "..", "../../etc", "a/b", ".hidden", "-rf", "a b",
                                                          "a\n", std::string("a\0b", 3), std::string(65, 'a')}) {
    refuses([&](v1::Manifest& m) { m.set_certificate(name); });
  }
  refuses([](v1::Manifest& m) { m.set_generation(0); });
  refuses([](v1::Manifest& m) { m.clear_signed_at(); });
  refuses([](v1::Manifest& m) { m.clear_expires_at(); });
  // Bytes that are no manifest, signed.
  v1::Manifest unknown;
  unknown.GetReflection()->MutableUnknownFields(&unknown)->AddVarint(1, 5);
  EXPECT_THAT(Verify(fleet_.Resign(Bundle(), unknown)), HasReason(Reason::MALFORMED));
}

TEST_F(BundleTest, ForeignFleetIsRefused) {
  EXPECT_THAT(Verify(Changed(Bundle(), [](v1::Manifest& m) { m.set_fleet_id("another"); })),
              HasReason(Reason::FOREIGN_FLEET, HasSubstr("\"another\"")));
  // Nor does a node without a fleet accept a manifest without one.
  const v1::Bundle nobody = Changed(Bundle(), [](v1::Manifest& m) { m.clear_fleet_id(); });
  EXPECT_THAT(VerifyBundle(nobody, fleet_.key(), {"", {"*"}, kNow}), HasReason(Reason::FOREIGN_FLEET));
}

TEST_F(BundleTest, ManifestCountsForItsLifetimeAndAMinuteAround) {
  const v1::Bundle bundle = fleet_.Bundle(Issue(), "wildcard", 7, kNow, absl::Hours(1));
  EXPECT_THAT(Verify(bundle, kNow - absl::Seconds(60)), IsOk());
  EXPECT_THAT(Verify(bundle, kNow - absl::Seconds(61)),
              HasReason(Reason::MANIFEST_EXPIRED, HasSubstr("from the future")));
  EXPECT_THAT(Verify(bundle, kNow + absl::Minutes(61)), IsOk());
  EXPECT_THAT(Verify(bundle, kNow + absl::Minutes(61) + absl::Seconds(1)),
              HasReason(Reason::MANIFEST_EXPIRED, HasSubstr("counted until 2030-01-01 01:00:00 UTC")));
}

TEST_F(BundleTest, WhatTheManifestSaysOfTheLeafMustBeTrue) {
  const std::string zeros(64, '0');
  const auto refuses = [&](absl::string_view what, const std::function<void(v1::Manifest&)>& change) {
    EXPECT_THAT(Verify(Changed(Bundle(), change)),
                HasReason(Reason::FINGERPRINT_MISMATCH, HasSubstr(std::string(what))));
  };
  refuses("chain", [&](v1::Manifest& m) { m.mutable_fullchain_pem()->set_sha256(zeros); });
  refuses("chain", [&](v1::Manifest& m) { m.mutable_fullchain_pem()->set_size(1); });
  refuses("chain", [&](v1::Manifest& m) { m.clear_fullchain_pem(); });
  refuses("private key", [&](v1::Manifest& m) { m.mutable_private_key_pem()->set_sha256(zeros); });
  refuses("private key", [&](v1::Manifest& m) { m.mutable_private_key_pem()->set_size(1); });
  refuses("SHA-256", [&](v1::Manifest& m) { m.set_leaf_sha256(zeros); });
  refuses("SHA-256", [&](v1::Manifest& m) { m.clear_leaf_sha256(); });
  refuses("public key", [&](v1::Manifest& m) { m.set_spki_sha256(zeros); });
  refuses("list of names", [&](v1::Manifest& m) { m.add_dns_names("more.example.com"); });
  refuses("list of names", [&](v1::Manifest& m) { m.clear_dns_names(); });
  refuses("validity", [&](v1::Manifest& m) { m.mutable_not_before()->set_seconds(1); });
  refuses("validity", [&](v1::Manifest& m) { m.mutable_not_after()->set_seconds(1); });
}

TEST_F(BundleTest, PartsThatDoNotParseAreMalformed) {
  const IssuedCertificate issued = Issue();
  const std::string key(issued.key_pem.ExposeSecret());
  EXPECT_THAT(Verify(WithParts("no pem", key, Bundle(issued))), HasReason(Reason::MALFORMED));
  EXPECT_THAT(Verify(WithParts(issued.fullchain_pem + key, key, Bundle(issued))), HasReason(Reason::MALFORMED));
  EXPECT_THAT(Verify(WithParts(issued.fullchain_pem, "no pem", Bundle(issued))), HasReason(Reason::MALFORMED));
}

TEST_F(BundleTest, OtherWhiteSpaceIsNormalized) {
  const IssuedCertificate issued = Issue();
  const std::string key(issued.key_pem.ExposeSecret());
  const auto verified = Verify(WithParts("  \r\n" + issued.fullchain_pem + "\n", "\n  " + key, Bundle(issued)));
  ASSERT_THAT(verified, IsOk());
  EXPECT_EQ(verified->fullchain_pem, issued.fullchain_pem);
  EXPECT_EQ(verified->private_key_pem.ExposeSecret(), key);
}

TEST_F(BundleTest, AnotherKeyIsRefused) {
  const IssuedCertificate issued = Issue();
  const IssuedCertificate other = Issue();
  EXPECT_THAT(Verify(WithParts(issued.fullchain_pem, std::string(other.key_pem.ExposeSecret()), Bundle(issued))),
              HasReason(Reason::KEY_MISMATCH));
}

TEST_F(BundleTest, WeakOrOtherKeysAreRefused) {
  const PrivateKey rsa1024 = MakeRsaKey(1024);
  const PrivateKey koblitz = MakeEcKey("secp256k1");
  const auto refuses = [&](CertificateSpec spec) {
    spec.dns_names = {"example.com"};
    EXPECT_THAT(Verify(Bundle(Issue(spec))), HasReason(Reason::KEY_TYPE_NOT_ALLOWED));
  };
  refuses({.key = &rsa1024});
  refuses({.key = &koblitz});
  refuses({.key_type = KeyType::kEd25519});
}

TEST_F(BundleTest, WrongChainsAreRefused) {
  const TestCa lower = intermediate_.Intermediate("Lower");
  const IssuedCertificate issued = lower.Issue({.dns_names = {"example.com"}});
  const std::string leaf = issued.certificate.ToPem();
  const std::string upper_pem = intermediate_.certificate().ToPem();
  const std::string lower_pem = lower.certificate().ToPem();
  const std::string foreign_pem = TestCa::Root().Intermediate("Foreign").certificate().ToPem();
  const auto check = [&](const std::string& fullchain) {
    return Verify(WithParts(fullchain, std::string(issued.key_pem.ExposeSecret()), Bundle(issued)));
  };
  EXPECT_THAT(check(leaf + lower_pem + upper_pem), IsOk());
  EXPECT_THAT(check(leaf + upper_pem + lower_pem), HasReason(Reason::CHAIN_INVALID, HasSubstr("wrong order")));
  EXPECT_THAT(check(leaf + upper_pem), HasReason(Reason::CHAIN_INVALID, HasSubstr("missing intermediate")));
  EXPECT_THAT(check(leaf + foreign_pem + lower_pem),
              HasReason(Reason::CHAIN_INVALID, HasSubstr("foreign certificate")));
  EXPECT_THAT(Verify(Bundle(Issue({.dns_names = {"example.com"}, .wrong_signature = true}))),
              HasReason(Reason::CHAIN_INVALID, HasSubstr("bad signature")));
}

TEST_F(BundleTest, DatesCount) {
  const absl::Duration day = absl::Hours(24);
  const auto check = [&](absl::Time from, absl::Time to) {
    return Verify(Bundle(Issue({.dns_names = {"example.com"}, .not_before = from, .not_after = to})));
  };
  EXPECT_THAT(check(kNow - day, kNow + day), IsOk());
  EXPECT_THAT(check(kNow - day, kNow - absl::Seconds(1)), HasReason(Reason::EXPIRED));
  EXPECT_THAT(check(kNow + absl::Seconds(61), kNow + day), HasReason(Reason::NOT_YET_VALID));
}

TEST_F(BundleTest, EveryNameMustBeAllowed) {
  const auto check = [&](const CertificateSpec& spec) { return Verify(Bundle(Issue(spec))); };
  EXPECT_THAT(check({.dns_names = {"api.example.com"}}), IsOk());
  EXPECT_THAT(check({.dns_names = {"example.com", "other.test"}}),
              HasReason(Reason::NAME_NOT_ALLOWED, HasSubstr("other.test")));
  EXPECT_THAT(check({.dns_names = {"*.api.example.com"}}), HasReason(Reason::NAME_NOT_ALLOWED));
  EXPECT_THAT(check({.dns_names = {"a.b.example.com"}}), HasReason(Reason::NAME_NOT_ALLOWED));
  EXPECT_THAT(check({.dns_names = {"example.com"}, .ip_addresses = {"192.0.2.1"}}),
              HasReason(Reason::NAME_NOT_ALLOWED, HasSubstr("192.0.2.1")));
  EXPECT_THAT(check({.common_name = "example.com"}), HasReason(Reason::NAME_NOT_ALLOWED, HasSubstr("names no host")));
}

TEST_F(BundleTest, NothingIsAllowedByAnEmptyList) {
  EXPECT_THAT(VerifyBundle(Bundle(), fleet_.key(), {fleet_.id(), {}, kNow}), HasReason(Reason::NAME_NOT_ALLOWED));
  EXPECT_THAT(VerifyBundle(Bundle(), fleet_.key(), {fleet_.id(), {"*"}, kNow}), IsOk());
}

TEST_F(BundleTest, TheFirstReasonIsGiven) {
  // Expired leaf, foreign name, and a manifest that is over: the manifest comes first.
  const IssuedCertificate bad = Issue({.dns_names = {"other.test"}, .not_after = kNow - absl::Hours(1)});
  EXPECT_THAT(Verify(Bundle(bad), kNow + absl::Hours(48)), HasReason(Reason::MANIFEST_EXPIRED));
  EXPECT_THAT(Verify(Bundle(bad)), HasReason(Reason::EXPIRED));
}

TEST_F(BundleTest, ErrorsHoldNoKeyMaterial) {
  const IssuedCertificate issued = Issue();
  const std::string key(issued.key_pem.ExposeSecret());
  const std::string body = key.substr(28, 64);
  for (const v1::Bundle& bundle : {WithParts(issued.fullchain_pem, key + key, Bundle(issued)),
                                   WithParts(issued.fullchain_pem + key, key, Bundle(issued)),
                                   WithParts(issued.fullchain_pem, key.substr(0, 90), Bundle(issued))}) {
    const absl::Status status = Verify(bundle).status();
    ASSERT_FALSE(status.ok());
    for (size_t i = 0; i + 8 <= body.size(); i += 4)
      EXPECT_FALSE(absl::StrContains(status.ToString(), body.substr(i, 8)));
  }
}

}  // namespace
}  // namespace certcast
