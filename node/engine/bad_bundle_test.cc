// What a node refuses, each for its own reason, before it has written anything.
#include <functional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "common/clock/timestamp.h"
#include "common/x509/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/install.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using testing::CertificateSpec;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::IssuedCertificate;
using testing::TestCa;
using v1::Outcome;

// In force on the node.
constexpr uint64_t kInForce = 5;
constexpr uint64_t kNext = 6;

absl::Time Now() {
  return testing::FakeClock().Now();
}

v1::Bundle BundleOf(const IssuedCertificate& issued, uint64_t generation = kNext) {
  return SignerOfTests().Bundle(issued, "wildcard", generation, Now());
}

v1::Bundle Good() {
  return BundleOf(IssuedFor(kNext));
}

// Whose manifest says something else, rightly signed.
v1::Bundle Saying(v1::Bundle bundle, const std::function<void(v1::Manifest&)>& change) {
  v1::Manifest manifest;
  EXPECT_TRUE(manifest.ParseFromString(bundle.manifest()));
  change(manifest);
  return SignerOfTests().Resign(std::move(bundle), manifest);
}

// With other parts, rightly signed as they are.
v1::Bundle Holding(const std::string& fullchain_pem, const std::string& key_pem) {
  v1::Bundle bundle = Good();
  bundle.set_fullchain_pem(fullchain_pem);
  bundle.set_private_key_pem(key_pem);
  return Saying(std::move(bundle), [&](v1::Manifest& manifest) {
    manifest.mutable_fullchain_pem()->set_size(fullchain_pem.size());
    manifest.mutable_fullchain_pem()->set_sha256(Sha256Hex(fullchain_pem));
    manifest.mutable_private_key_pem()->set_size(key_pem.size());
    manifest.mutable_private_key_pem()->set_sha256(Sha256Hex(key_pem));
  });
}

std::string Key() {
  return std::string(IssuedFor(kNext).key_pem.ExposeSecret());
}

// Below two intermediates, with the chain as given by their places: 0 is the leaf.
v1::Bundle InOrder(const std::vector<int>& places) {
  const TestCa upper = TestCa::Root().Intermediate("Upper");
  const TestCa lower = upper.Intermediate("Lower");
  const IssuedCertificate issued = lower.Issue({.dns_names = {"*.example.com"}});
  const std::vector<std::string> all = {issued.certificate.ToPem(), lower.certificate().ToPem(),
                                        upper.certificate().ToPem()};
  std::string pem;
  for (const int place : places) pem += all[place];
  v1::Bundle bundle = BundleOf(issued);
  bundle.set_fullchain_pem(pem);
  return Saying(std::move(bundle), [&](v1::Manifest& manifest) {
    manifest.mutable_fullchain_pem()->set_size(pem.size());
    manifest.mutable_fullchain_pem()->set_sha256(Sha256Hex(pem));
  });
}

v1::Bundle Issued(const CertificateSpec& spec) {
  return BundleOf(CaOfTests().Issue(spec));
}

v1::Bundle WithForeignIntermediate() {
  // Of the same name, by another root.
  const TestCa other = TestCa::Root().Intermediate();
  return Holding(IssuedFor(kNext).certificate.ToPem() + other.certificate().ToPem(), Key());
}

v1::Bundle BelowAnExpiredIntermediate() {
  CertificateSpec spec;
  spec.not_after = Now() - absl::Hours(1);
  return BundleOf(TestCa::Root().Intermediate("Expired", spec).Issue({.dns_names = {"*.example.com"}}));
}

v1::Bundle WithKeyOf(PrivateKey key) {
  return Issued({.dns_names = {"*.example.com"}, .key = &key});
}

v1::Bundle WithSignature(const std::function<void(std::string&)>& change) {
  v1::Bundle bundle = Good();
  change(*bundle.mutable_signature());
  return bundle;
}

struct BadBundle {
  const char* name;
  Reason::Code reason;
  // In the detail.
  const char* says;
  std::function<v1::Bundle()> make;

  friend std::ostream& operator<<(std::ostream& out, const BadBundle& bad) { return out << bad.name; }
};

using M = v1::Manifest;

std::vector<BadBundle> KeysAndChains() {
  return {
      {"WrongKey", Reason::KEY_MISMATCH, "key",
       [] { return Holding(IssuedFor(kNext).fullchain_pem, std::string(IssuedFor(7).key_pem.ExposeSecret())); }},
      {"WrongChainOrder", Reason::CHAIN_INVALID, "Upper",
       [] {
         return InOrder({0, 2, 1});
       }},
      {"LeafLast", Reason::FINGERPRINT_MISMATCH, "leaf's SHA-256",
       [] {
         return InOrder({1, 2, 0});
       }},
      {"MissingIntermediate", Reason::CHAIN_INVALID, "Upper",
       [] {
         return InOrder({0, 2});
       }},
      {"TheSameIntermediateTwice", Reason::CHAIN_INVALID, "certificates 2 and 3 are the same",
       [] {
         return InOrder({0, 1, 1});
       }},
      {"ForeignIntermediate", Reason::CHAIN_INVALID, "but another key", WithForeignIntermediate},
      {"ForeignCertificateAtTheEnd", Reason::CHAIN_INVALID, "",
       [] { return Holding(IssuedFor(kNext).fullchain_pem + IssuedFor(7).certificate.ToPem(), Key()); }},
      {"LeafWithAWrongSignature", Reason::CHAIN_INVALID, "signature",
       [] { return Issued({.dns_names = {"*.example.com"}, .wrong_signature = true}); }},
      {"WeakRsaKey", Reason::KEY_TYPE_NOT_ALLOWED, "1024", [] { return WithKeyOf(testing::MakeRsaKey(1024)); }},
      {"ForeignCurve", Reason::KEY_TYPE_NOT_ALLOWED, "secp256k1",
       [] { return WithKeyOf(testing::MakeEcKey("secp256k1")); }},
      {"GarbageAsChain", Reason::MALFORMED, "", [] { return Holding("garbage", Key()); }},
      {"DerAsChain", Reason::MALFORMED, "", [] { return Holding(IssuedFor(kNext).certificate.der(), Key()); }},
      {"KeyAmongTheChain", Reason::MALFORMED, "",
       [] { return Holding(IssuedFor(kNext).fullchain_pem + Key(), Key()); }},
      {"GarbageAsKey", Reason::MALFORMED, "", [] { return Holding(IssuedFor(kNext).fullchain_pem, "garbage"); }},
      {"CertificateAsKey", Reason::MALFORMED, "",
       [] { return Holding(IssuedFor(kNext).fullchain_pem, IssuedFor(kNext).certificate.ToPem()); }},
  };
}

std::vector<BadBundle> DatesAndNames() {
  return {
      {"Expired", Reason::EXPIRED, "",
       [] { return Issued({.dns_names = {"*.example.com"}, .not_after = Now() - absl::Seconds(1)}); }},
      {"NotYetValid", Reason::NOT_YET_VALID, "",
       [] { return Issued({.dns_names = {"*.example.com"}, .not_before = Now() + absl::Hours(1)}); }},
      {"ExpiredIntermediate", Reason::CHAIN_INVALID, "Expired", BelowAnExpiredIntermediate},
      {"NameNotAllowed", Reason::NAME_NOT_ALLOWED, "www.example.net",
       [] { return Issued({.dns_names = {"www.example.net"}}); }},
      {"OneNameOfTwoNotAllowed", Reason::NAME_NOT_ALLOWED, "www.example.net",
       [] {
         return Issued({.dns_names = {"*.example.com", "www.example.net"}});
       }},
      {"WiderWildcard", Reason::NAME_NOT_ALLOWED, "*.com", [] { return Issued({.dns_names = {"*.com"}}); }},
      {"AddressNotAllowed", Reason::NAME_NOT_ALLOWED, "192.0.2.1",
       [] { return Issued({.dns_names = {"*.example.com"}, .ip_addresses = {"192.0.2.1"}}); }},
      {"NoNames", Reason::NAME_NOT_ALLOWED, "no DNS name", [] { return Issued({.common_name = "www.example.com"}); }},
  };
}

std::vector<BadBundle> Manifests() {
  return {
      {"WrongSignature", Reason::SIGNATURE_INVALID, "",
       [] { return WithSignature([](std::string& signature) { signature[5] ^= 1; }); }},
      {"SignedByAnother", Reason::SIGNATURE_INVALID, "",
       [] { return testing::TestFleet("test-fleet").Bundle(IssuedFor(kNext), "wildcard", kNext, Now()); }},
      {"NotSigned", Reason::MALFORMED, "no signature",
       [] { return WithSignature([](std::string& signature) { signature.clear(); }); }},
      {"OtherFleet", Reason::FOREIGN_FLEET, "other-fleet",
       [] { return Saying(Good(), [](M& manifest) { manifest.set_fleet_id("other-fleet"); }); }},
      {"LowerGeneration", Reason::DOWNGRADE, "is below 5", [] { return BundleOf(IssuedFor(4), 4); }},
      {"SameGenerationWithAnotherDigest", Reason::DOWNGRADE, "other contents",
       [] { return BundleOf(IssuedFor(4), kInForce); }},
      {"NoGeneration", Reason::MALFORMED, "generation",
       [] { return Saying(Good(), [](M& manifest) { manifest.clear_generation(); }); }},
      {"ExpiredManifest", Reason::MANIFEST_EXPIRED, "counted until",
       [] { return SignerOfTests().Bundle(IssuedFor(kNext), "wildcard", kNext, Now() - absl::Hours(30)); }},
      {"ManifestFromTheFuture", Reason::MANIFEST_EXPIRED, "from the future",
       [] { return SignerOfTests().Bundle(IssuedFor(kNext), "wildcard", kNext, Now() + absl::Hours(1)); }},
      {"ManifestWithoutDates", Reason::MALFORMED, "until when",
       [] { return Saying(Good(), [](M& manifest) { manifest.clear_expires_at(); }); }},
      {"NameThatLeadsElsewhere", Reason::MALFORMED, "name a certificate",
       [] { return Saying(Good(), [](M& manifest) { manifest.set_certificate("../../etc"); }); }},
      {"CertificateThatNoServiceUses", Reason::NOT_DECLARED, "unknown",
       [] { return SignerOfTests().Bundle(IssuedFor(kNext), "unknown", 1, Now()); }},
      {"OtherChainThanSigned", Reason::FINGERPRINT_MISMATCH, "chain is not the one",
       [] {
         v1::Bundle bundle = Good();
         bundle.set_fullchain_pem(IssuedFor(7).fullchain_pem);
         return bundle;
       }},
      {"OtherKeyThanSigned", Reason::FINGERPRINT_MISMATCH, "private key is not the one",
       [] {
         v1::Bundle bundle = Good();
         bundle.mutable_private_key_pem()->at(60) ^= 1;
         return bundle;
       }},
      {"LiesAboutTheLeaf", Reason::FINGERPRINT_MISMATCH, "SHA-256",
       [] { return Saying(Good(), [](M& manifest) { manifest.set_leaf_sha256(LeafOf(7)); }); }},
      {"LiesAboutTheNames", Reason::FINGERPRINT_MISMATCH, "names",
       [] { return Saying(Good(), [](M& manifest) { manifest.set_dns_names(0, "www.example.com"); }); }},
      {"LiesAboutTheDates", Reason::FINGERPRINT_MISMATCH, "validity",
       [] { return Saying(Good(), [](M& manifest) { *manifest.mutable_not_after() = ToTimestamp(Now()); }); }},
      {"GarbageAsManifest", Reason::SIGNATURE_INVALID, "",
       [] {
         v1::Bundle bundle = Good();
         bundle.set_manifest("garbage");
         return bundle;
       }},
      {"Nothing", Reason::MALFORMED, "no manifest", [] { return v1::Bundle(); }},
  };
}

std::vector<BadBundle> Sizes() {
  return {
      {"OversizedChain", Reason::MALFORMED, "65537 bytes",
       [] { return Holding(std::string(size_t{64} * 1024 + 1, 'c'), Key()); }},
      {"OversizedKey", Reason::MALFORMED, "16385 bytes",
       [] { return Holding(IssuedFor(kNext).fullchain_pem, std::string(size_t{16} * 1024 + 1, 'k')); }},
      {"OversizedManifest", Reason::MALFORMED, "manifest has",
       [] { return Saying(Good(), [](M& manifest) { manifest.add_dns_names(std::string(size_t{64} * 1024, 'm')); }); }},
      {"OversizedSignature", Reason::MALFORMED, "65 bytes",
       [] { return WithSignature([](std::string& signature) { signature += 's'; }); }},
      {"EndlessChain", Reason::MALFORMED, "",
       [] {
         std::string pem;
         for (int i = 0; i < 40; ++i) pem += IssuedFor(kNext).fullchain_pem;
         return Holding(pem, Key());
       }},
  };
}

class BadBundleTest : public ::testing::Test {
 protected:
  BadBundleTest() {
    node_.AddService("nginx");
    node_.AddService("haproxy");
  }
  void SetUp() override {
    ASSERT_THAT(node_.Start(), IsOk());
    ASSERT_EQ(node_.clock.Now(), Now());
    node_.Bring(kInForce);
  }

  // Which must be refused.
  v1::Failure Refused(const v1::Bundle& bundle) {
    v1::Command command = node_.InstallCommand(kNext);
    *command.mutable_install()->mutable_bundle() = bundle;
    const int begin = node_.files.count();
    const int checks = node_.ChecksOf("nginx");
    const v1::InstallResult result = node_.ResultOf(command);
    EXPECT_EQ(result.outcome(), Outcome::FAILED) << result.ShortDebugString();
    EXPECT_EQ(result.failure().step(), "verify");
    EXPECT_EQ(result.generation_in_force(), result.certificate().empty() ? 0 : kInForce);
    // The only operation: the result is remembered, in the space that is reserved for it.
    const std::vector<std::string> operations = node_.files.operations();
    EXPECT_THAT(std::vector<std::string>(operations.begin() + begin, operations.end()),
                ElementsAre(HasSubstr("OverwriteFile /var/lib/certcast-node/state.")));
    EXPECT_EQ(node_.ChecksOf("nginx"), checks);
    return result.failure();
  }

  // Nothing has come of them.
  void ExpectAsBefore() {
    EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(kInForce));
    EXPECT_EQ(node_.running["haproxy"].served, LeafOf(kInForce));
    const auto certificate = node_.Describe().certificates(0);
    EXPECT_EQ(certificate.generation(), kInForce);
    EXPECT_EQ(certificate.highest_generation(), kInForce);
    EXPECT_TRUE(certificate.confirmed());
    // And the good one is taken.
    node_.Bring(kNext);
  }

  SimulatedNode node_;
};

class EachBadBundleTest : public BadBundleTest, public ::testing::WithParamInterface<BadBundle> {};

TEST_P(EachBadBundleTest, IsRefusedBeforeAnythingIsWritten) {
  const v1::Failure failure = Refused(GetParam().make());
  EXPECT_EQ(failure.reason(), GetParam().reason) << failure.ShortDebugString();
  EXPECT_THAT(failure.detail(), HasSubstr(GetParam().says));
  EXPECT_NE(failure.detail(), "");
  ExpectAsBefore();
}

constexpr auto kNameOf = [](const auto& info) { return info.param.name; };
INSTANTIATE_TEST_SUITE_P(KeysAndChains, EachBadBundleTest, ::testing::ValuesIn(KeysAndChains()), kNameOf);
INSTANTIATE_TEST_SUITE_P(DatesAndNames, EachBadBundleTest, ::testing::ValuesIn(DatesAndNames()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Manifests, EachBadBundleTest, ::testing::ValuesIn(Manifests()), kNameOf);
INSTANTIATE_TEST_SUITE_P(Sizes, EachBadBundleTest, ::testing::ValuesIn(Sizes()), kNameOf);

TEST_F(BadBundleTest, EachPartCutOffAtEveryByteIsRefused) {
  const v1::Bundle good = Good();
  for (const int part : {v1::Bundle::kManifestFieldNumber, v1::Bundle::kSignatureFieldNumber,
                         v1::Bundle::kFullchainPemFieldNumber, v1::Bundle::kPrivateKeyPemFieldNumber}) {
    const auto* field = v1::Bundle::descriptor()->FindFieldByNumber(part);
    const bool is_signed =
        part == v1::Bundle::kFullchainPemFieldNumber || part == v1::Bundle::kPrivateKeyPemFieldNumber;
    std::string whole = good.GetReflection()->GetString(good, field);
    for (size_t size = 0; size < whole.size() && !HasFailure(); ++size) {
      SCOPED_TRACE(field->name() + " cut off after " + std::to_string(size));
      v1::Bundle cut = good;
      cut.GetReflection()->SetString(&cut, field, whole.substr(0, size));
      EXPECT_EQ(Refused(cut).reason(), size == 0   ? Reason::MALFORMED
                                       : is_signed ? Reason::FINGERPRINT_MISMATCH
                                                   : Reason::SIGNATURE_INVALID);
    }
  }
  ExpectAsBefore();
}

// By a controller that itself has only a part of them, and signs that.
TEST_F(BadBundleTest, EachPartCutOffBeforeItIsSignedIsRefused) {
  const std::string& chain = IssuedFor(kNext).fullchain_pem;
  const size_t leaf = IssuedFor(kNext).certificate.ToPem().size();
  for (size_t size = 1; size < chain.size() && !HasFailure(); ++size) {
    // A leaf alone may be all that there is: the controller knows.
    if (size == leaf || size == leaf - 1 || size == chain.size() - 1) continue;
    SCOPED_TRACE("chain cut off after " + std::to_string(size));
    EXPECT_EQ(Refused(Holding(chain.substr(0, size), Key())).reason(), Reason::MALFORMED);
  }
  for (size_t size = 1; size < Key().size() - 1 && !HasFailure(); ++size) {
    SCOPED_TRACE("key cut off after " + std::to_string(size));
    EXPECT_EQ(Refused(Holding(chain, Key().substr(0, size))).reason(), Reason::MALFORMED);
  }
  ExpectAsBefore();
}

TEST_F(BadBundleTest, ACommandCutOffAtEveryByteInstallsNothing) {
  v1::Command command = node_.InstallCommand(kNext);
  *command.mutable_install()->mutable_bundle() = Good();
  const std::string whole = command.SerializeAsString();
  int parsed = 0;
  for (size_t size = 0; size < whole.size() && !HasFailure(); ++size) {
    v1::Command cut;
    if (!cut.ParseFromString(whole.substr(0, size))) continue;
    ++parsed;
    cut.set_id(node_.NewCommandId());
    cut.set_epoch(1);
    const v1::Report report = node_.Handle(cut);
    EXPECT_TRUE(report.has_refusal() || report.install_result().outcome() == Outcome::FAILED) << size;
  }
  EXPECT_GT(parsed, 1);
  ExpectAsBefore();
}

}  // namespace
}  // namespace certcast::node
