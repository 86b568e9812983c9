// Bundles as a node gets them: as they came, and signed by the fleet's key whatever they say, so that what is behind
// the signature is looked at too.
#include "common/manifest/manifest.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "certcast/v1/bundle.pb.h"
#include "common/clock/timestamp.h"
#include "common/x509/certificate.h"
#include "common/x509/digest.h"
#include "common/x509/names.h"
#include "tests/fuzz/target.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::fuzz {
namespace {

constexpr absl::Time kNow = absl::FromUnixSeconds(1893456000);

const testing::TestFleet& Fleet() {
  static const auto* const fleet = new testing::TestFleet();
  return *fleet;
}

BundlePolicy Policy() {
  return {.fleet_id = Fleet().id(), .allow_names = {"*.example.com", "example.com", "192.0.2.1"}, .now = kNow};
}

// What VerifyBundle promises of what it lets pass, looked at anew.
void RequireVerified(const v1::Bundle& bundle, const VerifiedBundle& verified) {
  Require(Fleet().key().Verifies(bundle.manifest(), bundle.signature()), "what passes is signed");
  v1::Manifest manifest;
  Require(manifest.ParseFromString(bundle.manifest()), "what passes parses");
  Require(manifest.SerializeAsString() == verified.manifest.SerializeAsString(), "the manifest is the one that came");
  Require(manifest.fleet_id() == Fleet().id(), "what passes is for this fleet");
  Require(manifest.generation() > 0, "what passes has a generation");
  Require(manifest.certificate().find('/') == std::string::npos && manifest.certificate().front() != '.',
          "a certificate's name is the name of a directory");
  Require(manifest.fullchain_pem().sha256() == Sha256Hex(bundle.fullchain_pem()) &&
              manifest.private_key_pem().sha256() == Sha256Hex(bundle.private_key_pem()),
          "the manifest's digests are those of the parts");
  Require(FromTimestamp(manifest.signed_at()) <= kNow + absl::Minutes(1) &&
              FromTimestamp(manifest.expires_at()) >= kNow - absl::Minutes(1),
          "what passes counts now");
  Require(!verified.chain.empty() && verified.chain.size() <= 10, "what passes has a chain");
  const Certificate& leaf = verified.chain.front();
  Require(leaf.sha256() == manifest.leaf_sha256() && leaf.spki_sha256() == manifest.spki_sha256(),
          "the leaf is the one that was signed for");
  Require(verified.key.spki_sha256() == leaf.spki_sha256(), "the key is the leaf's");
  Require(leaf.not_after() >= kNow && leaf.not_before() <= kNow + absl::Minutes(1), "the leaf is valid");
  for (const std::string& name : leaf.dns_names()) {
    Require(NameAllowed(Policy().allow_names, name), "the leaf's names are allowed");
  }
  Require(verified.digest == Sha256Hex(absl::StrCat(leaf.sha256(), leaf.spki_sha256())), "the digest is the leaf's");
  const auto chain = ParseChainPem(verified.fullchain_pem);
  Require(chain.ok() && chain->front().sha256() == leaf.sha256(), "what is installed is the chain that was checked");
  const auto key = PrivateKey::FromPem(verified.private_key_pem.ExposeSecret());
  Require(key.ok() && key->spki_sha256() == leaf.spki_sha256(), "what is installed is the key that was checked");
}

absl::StatusOr<VerifiedBundle> Try(const v1::Bundle& bundle) {
  absl::StatusOr<VerifiedBundle> verified = VerifyBundle(bundle, Fleet().key(), Policy());
  RequireOrderly(verified.status());
  RequireHidden(verified.status(), bundle.private_key_pem(), absl::StrCat(bundle.manifest(), bundle.fullchain_pem()));
  if (verified.ok()) RequireVerified(bundle, *verified);
  return verified;
}

// Parts that are as the manifest says, with the rest of the manifest as it came.
v1::Bundle WithTrueParts(const v1::Bundle& bundle) {
  v1::Manifest manifest;
  manifest.ParseFromString(bundle.manifest());
  manifest.mutable_fullchain_pem()->set_size(bundle.fullchain_pem().size());
  manifest.mutable_fullchain_pem()->set_sha256(Sha256Hex(bundle.fullchain_pem()));
  manifest.mutable_private_key_pem()->set_size(bundle.private_key_pem().size());
  manifest.mutable_private_key_pem()->set_sha256(Sha256Hex(bundle.private_key_pem()));
  return Fleet().Resign(bundle, manifest);
}

// And a manifest that says of the leaf what is true, so that what follows is looked at.
v1::Bundle WithTrueLeaf(const v1::Bundle& bundle) {
  const auto chain = ParseChainPem(bundle.fullchain_pem());
  if (!chain.ok()) return bundle;
  const Certificate& leaf = chain->front();
  v1::Manifest manifest;
  manifest.ParseFromString(bundle.manifest());
  manifest.set_fleet_id(Fleet().id());
  manifest.set_leaf_sha256(leaf.sha256());
  manifest.set_spki_sha256(leaf.spki_sha256());
  manifest.mutable_dns_names()->Assign(leaf.dns_names().begin(), leaf.dns_names().end());
  *manifest.mutable_not_before() = ToTimestamp(leaf.not_before());
  *manifest.mutable_not_after() = ToTimestamp(leaf.not_after());
  *manifest.mutable_signed_at() = ToTimestamp(kNow);
  *manifest.mutable_expires_at() = ToTimestamp(kNow + absl::Hours(1));
  return Fleet().Resign(bundle, manifest);
}

}  // namespace

std::vector<Seed> Seeds() {
  const testing::TestCa root = testing::TestCa::Root();
  const testing::TestCa ca = root.Intermediate();
  const auto bundle = [&](const testing::CertificateSpec& spec) {
    return Fleet().Bundle(ca.Issue(spec), "wildcard", 7, kNow).SerializeAsString();
  };
  v1::Bundle alone = Fleet().Bundle(testing::TestCa::SelfSigned({.dns_names = {"a.example.com"}}), "shop", 1, kNow);
  return {
      {.name = "good", .bytes = bundle({.dns_names = {"*.example.com", "example.com"}})},
      {.name = "address", .bytes = bundle({.dns_names = {"a.example.com"}, .ip_addresses = {"192.0.2.1"}})},
      {.name = "rsa", .bytes = bundle({.dns_names = {"a.example.com"}, .key_type = KeyType::kRsa2048})},
      {.name = "foreign-name", .bytes = bundle({.dns_names = {"a.example.org"}})},
      {.name = "expired", .bytes = bundle({.dns_names = {"a.example.com"}, .not_after = kNow - absl::Hours(1)})},
      {.name = "alone", .bytes = alone.SerializeAsString()},
  };
}

void TryInput(absl::string_view input) {
  v1::Bundle bundle;
  if (!bundle.ParseFromArray(input.data(), static_cast<int>(input.size()))) return;
  Try(bundle).IgnoreError();
  v1::Manifest manifest;
  if (!manifest.ParseFromString(bundle.manifest())) return;
  Try(Fleet().Resign(bundle, manifest)).IgnoreError();
  const v1::Bundle signed_bundle = WithTrueParts(bundle);
  Try(signed_bundle).IgnoreError();
  const v1::Bundle true_bundle = WithTrueLeaf(WithTrueParts(bundle));
  const absl::StatusOr<VerifiedBundle> verified = Try(true_bundle);
  if (!verified.ok()) return;
  // What passed is refused with any part cut off by a byte.
  v1::Bundle cut = true_bundle;
  cut.mutable_fullchain_pem()->pop_back();
  Require(!Try(cut).ok(), "a chain that was cut does not pass");
  cut = true_bundle;
  cut.mutable_private_key_pem()->pop_back();
  Require(!Try(cut).ok(), "a key that was cut does not pass");
  cut = true_bundle;
  cut.mutable_signature()->front() ^= 1;
  Require(!Try(cut).ok(), "another signature does not pass");
}

}  // namespace certcast::fuzz
