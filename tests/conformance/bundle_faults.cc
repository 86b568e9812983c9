#include <algorithm>
#include <functional>
#include <string>

#include "absl/time/clock.h"
#include "common/clock/timestamp.h"
#include "common/x509/certificate.h"
#include "common/x509/digest.h"
#include "tests/conformance/fault.h"

namespace certcast::conformance {
namespace {

using Change = std::function<void(Passage&, v1::Bundle&, v1::Manifest&)>;

// Brings bundles into the shape that a right node wants, so that it takes them: those with the fleet's signature, or
// with any.
Fault Mends(const Change& change, bool with_any_signature = false) {
  Fault fault;
  fault.on_command = [=](Passage& passage, v1::Command& command) {
    if (!command.has_install()) return;
    v1::Bundle& bundle = *command.mutable_install()->mutable_bundle();
    v1::Manifest manifest;
    if (!manifest.ParseFromString(bundle.manifest())) return;
    const testing::TestFleet& fleet = passage.site.fleet();
    if (!with_any_signature && !fleet.key().Verifies(bundle.manifest(), bundle.signature())) return;
    change(passage, bundle, manifest);
    bundle = fleet.Resign(bundle, manifest);
  };
  return fault;
}

void Describe(const std::string& part, v1::Manifest::Part& described) {
  described.set_size(part.size());
  described.set_sha256(Sha256Hex(part));
}

// The right node always sees one that it has not seen.
void TakeNewGeneration(Passage& passage, v1::Manifest& manifest) {
  const bool is_new = manifest.generation() > passage.highest ||
                      (manifest.generation() == passage.highest && passage.seen.contains(manifest.leaf_sha256()));
  if (!is_new) manifest.set_generation(passage.highest + 1);
  passage.highest = manifest.generation();
  passage.seen.insert(manifest.leaf_sha256());
}

}  // namespace

Faults BundleFaults() {
  Faults faults;
  faults["takes-any-signature"] = Mends([](Passage&, v1::Bundle&, v1::Manifest&) {}, /*with_any_signature=*/true);
  faults["takes-any-fleet"] = Mends(
      [](Passage& passage, v1::Bundle&, v1::Manifest& manifest) { manifest.set_fleet_id(passage.site.fleet().id()); });
  faults["takes-old-manifests"] = Mends([](Passage&, v1::Bundle&, v1::Manifest& manifest) {
    *manifest.mutable_signed_at() = ToTimestamp(absl::Now());
    *manifest.mutable_expires_at() = ToTimestamp(absl::Now() + absl::Hours(1));
  });
  faults["takes-any-generation"] =
      Mends([](Passage& passage, v1::Bundle&, v1::Manifest& manifest) { TakeNewGeneration(passage, manifest); });
  faults["takes-any-part"] = Mends([](Passage&, v1::Bundle& bundle, v1::Manifest& manifest) {
    Describe(bundle.fullchain_pem(), *manifest.mutable_fullchain_pem());
    Describe(bundle.private_key_pem(), *manifest.mutable_private_key_pem());
    const auto chain = ParseChainPem(bundle.fullchain_pem());
    if (chain.ok()) manifest.set_leaf_sha256(chain->front().sha256());
  });
  faults["takes-any-certificate"] = Mends([](Passage& passage, v1::Bundle&, v1::Manifest& manifest) {
    if (manifest.certificate() != kCertificate) manifest.set_generation(passage.highest + 1);
    passage.highest = std::max(passage.highest, manifest.generation());
    manifest.set_certificate(kCertificate);
  });
  faults["waits-for-ever"].on_command = [](Passage&, v1::Command& command) {
    if (!command.has_install()) return;
    auto& timeout = *command.mutable_install()->mutable_confirm_timeout();
    timeout.set_seconds(std::clamp<int64_t>(timeout.seconds(), 1, 3600));
  };
  faults["allows-any-name"].reconfigured = {"allow_names: [\"*.conformance.test\"]",
                                            "allow_names: [\"*.conformance.test\", \"*.bank.test\"]"};
  return faults;
}

}  // namespace certcast::conformance
