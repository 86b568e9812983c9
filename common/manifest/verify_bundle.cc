#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "common/x509/names.h"

namespace certcast {
namespace {

constexpr size_t kMaxManifest = size_t{64} * 1024;
constexpr size_t kSignatureSize = 64;
constexpr size_t kMaxFullchain = size_t{64} * 1024;
constexpr size_t kMaxPrivateKey = size_t{16} * 1024;
constexpr size_t kMaxCertificateName = 64;
constexpr absl::Duration kClockTolerance = absl::Minutes(1);

absl::Status CheckSize(absl::string_view part, size_t size, size_t limit) {
  if (size == 0) return Fail(Reason::MALFORMED, absl::StrCat("the bundle has no ", part));
  if (size > limit) {
    return Fail(Reason::MALFORMED,
                absl::StrCat("the bundle's ", part, " has ", size, " bytes; ", limit, " are allowed"));
  }
  return absl::OkStatus();
}

absl::Status CheckSizes(const v1::Bundle& bundle) {
  RETURN_IF_ERROR(CheckSize("manifest", bundle.manifest().size(), kMaxManifest));
  RETURN_IF_ERROR(CheckSize("signature", bundle.signature().size(), kSignatureSize));
  RETURN_IF_ERROR(CheckSize("chain", bundle.fullchain_pem().size(), kMaxFullchain));
  return CheckSize("private key", bundle.private_key_pem().size(), kMaxPrivateKey);
}

// It becomes the name of a directory.
bool IsCertificateName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxCertificateName && absl::ascii_isalnum(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

absl::StatusOr<v1::Manifest> ParseManifest(const std::string& bytes) {
  v1::Manifest manifest;
  if (!manifest.ParseFromString(bytes)) return Fail(Reason::MALFORMED, "the manifest does not parse");
  if (!IsCertificateName(manifest.certificate())) {
    return Fail(Reason::MALFORMED, "the manifest does not name a certificate");
  }
  if (manifest.generation() == 0) return Fail(Reason::MALFORMED, "the manifest has no generation");
  if (!manifest.has_signed_at() || !manifest.has_expires_at()) {
    return Fail(Reason::MALFORMED, "the manifest does not say when it was signed and until when it counts");
  }
  return manifest;
}

absl::Status CheckFleet(const v1::Manifest& manifest, const std::string& fleet_id) {
  if (!fleet_id.empty() && manifest.fleet_id() == fleet_id) return absl::OkStatus();
  return Fail(Reason::FOREIGN_FLEET, absl::StrCat("the bundle is for fleet \"", manifest.fleet_id(),
                                                  "\", this node is of \"", fleet_id, "\""));
}

absl::Status CheckLifetime(const v1::Manifest& manifest, absl::Time now) {
  const absl::Time signed_at = FromTimestamp(manifest.signed_at());
  const absl::Time expires_at = FromTimestamp(manifest.expires_at());
  if (now + kClockTolerance < signed_at) {
    return Fail(Reason::MANIFEST_EXPIRED,
                absl::StrCat("the manifest is from the future: signed at ", ShowUtcSecond(signed_at), "; it is ",
                             ShowUtcSecond(now), " here"),
                "compare the clocks of controller and node");
  }
  if (now - kClockTolerance > expires_at) {
    return Fail(
        Reason::MANIFEST_EXPIRED,
        absl::StrCat("the manifest counted until ", ShowUtcSecond(expires_at), "; it is ", ShowUtcSecond(now), " here"),
        "compare the clocks of controller and node, then apply again");
  }
  return absl::OkStatus();
}

absl::Status CheckPart(absl::string_view name, absl::string_view bytes, const v1::Manifest::Part& part) {
  if (bytes.size() == part.size() && Sha256Hex(bytes) == part.sha256()) return absl::OkStatus();
  return Fail(Reason::FINGERPRINT_MISMATCH, absl::StrCat("the bundle's ", name, " is not the one that was signed"));
}

// What the manifest says of the leaf is what reports and records repeat, so it must be true.
absl::Status CheckLeafAsSigned(const Certificate& leaf, const v1::Manifest& manifest) {
  const auto mismatch = [](absl::string_view what) {
    return Fail(Reason::FINGERPRINT_MISMATCH, absl::StrCat("the leaf's ", what, " is not what the manifest says"));
  };
  if (leaf.sha256() != manifest.leaf_sha256()) return mismatch("SHA-256");
  if (leaf.spki_sha256() != manifest.spki_sha256()) return mismatch("public key");
  if (!std::equal(leaf.dns_names().begin(), leaf.dns_names().end(), manifest.dns_names().begin(),
                  manifest.dns_names().end())) {
    return mismatch("list of names");
  }
  if (leaf.not_before() != FromTimestamp(manifest.not_before()) ||
      leaf.not_after() != FromTimestamp(manifest.not_after())) {
    return mismatch("validity");
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const Certificate& leaf, const std::vector<std::string>& allowed) {
  std::vector<std::string> names = leaf.dns_names();
  names.insert(names.end(), leaf.ip_addresses().begin(), leaf.ip_addresses().end());
  if (names.empty()) {
    return Fail(Reason::NAME_NOT_ALLOWED,
                "the certificate names no host: it has no DNS name or IP address as subjectAltName");
  }
  for (const std::string& name : names) {
    if (NameAllowed(allowed, name)) continue;
    return Fail(Reason::NAME_NOT_ALLOWED, absl::StrCat("the certificate's name ", name, " is not allowed here"),
                "where it should be, add it to allow_names in the node's configuration");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VerifiedBundle> VerifyBundle(const v1::Bundle& bundle, const ManifestKey& key,
                                            const BundlePolicy& policy) {
  RETURN_IF_ERROR(CheckSizes(bundle));
  if (!key.Verifies(bundle.manifest(), bundle.signature())) {
    return Fail(Reason::SIGNATURE_INVALID, "the manifest is not signed by this fleet's signing key",
                "was this node enrolled with another controller?");
  }
  ASSIGN_OR_RETURN(v1::Manifest manifest, ParseManifest(bundle.manifest()));
  RETURN_IF_ERROR(CheckFleet(manifest, policy.fleet_id));
  RETURN_IF_ERROR(CheckLifetime(manifest, policy.now));
  RETURN_IF_ERROR(CheckPart("chain", bundle.fullchain_pem(), manifest.fullchain_pem()));
  RETURN_IF_ERROR(CheckPart("private key", bundle.private_key_pem(), manifest.private_key_pem()));

  ASSIGN_OR_RETURN(std::vector<Certificate> chain, ParseChainPem(bundle.fullchain_pem()));
  ASSIGN_OR_RETURN(PrivateKey private_key, PrivateKey::FromPem(bundle.private_key_pem()));
  const Certificate& leaf = chain.front();
  RETURN_IF_ERROR(CheckLeafAsSigned(leaf, manifest));
  RETURN_IF_ERROR(CheckKeyMatches(leaf, private_key));
  RETURN_IF_ERROR(CheckKeyStrength(leaf));
  RETURN_IF_ERROR(CheckChain(chain, policy.now, /*allow_leaf_alone=*/true));
  RETURN_IF_ERROR(CheckDates(leaf, policy.now));
  RETURN_IF_ERROR(CheckNames(leaf, policy.allow_names));

  ASSIGN_OR_RETURN(Secret key_pem, private_key.ToPem());
  std::string digest = Sha256Hex(absl::StrCat(leaf.sha256(), leaf.spki_sha256()));
  std::string fullchain_pem = ChainToPem(chain);
  return VerifiedBundle{.manifest = std::move(manifest),
                        .chain = std::move(chain),
                        .key = std::move(private_key),
                        .fullchain_pem = std::move(fullchain_pem),
                        .private_key_pem = std::move(key_pem),
                        .digest = std::move(digest)};
}

}  // namespace certcast
