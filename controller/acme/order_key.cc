#include "controller/acme/order_key.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "common/secret/secret.h"
#include "common/status/status.h"
#include "controller/acme/revocation_reason.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"
#include "controller/store/replacement_records.h"

namespace certcast::controller {
namespace {

using state::v1::Generation;

absl::StatusOr<bool> IsOut(const std::string& spki_sha256, const std::vector<Generation>& all,
                           const std::string& certificate, Store& store) {
  const bool revoked = std::any_of(all.begin(), all.end(), [&](const Generation& generation) {
    return generation.spki_sha256() == spki_sha256 && MayBeRevoked(generation) &&
           generation.revocation_reason() == kKeyCompromise;
  });
  if (revoked) return true;
  ASSIGN_OR_RETURN(const auto replacement, ReplacementRecords(store).Get(certificate));
  if (!replacement) return false;
  const auto& out = replacement->compromised_spki_sha256();
  return std::find(out.begin(), out.end(), spki_sha256) != out.end();
}

}  // namespace

absl::StatusOr<PrivateKey> MakeKey(const CertificateConfig& certificate, Store& store, Sealer& sealer) {
  if (!certificate.reuse_key) return PrivateKey::Generate(certificate.key_type);
  ASSIGN_OR_RETURN(const std::vector<Generation> all, GenerationRecords(store).List(certificate.name));
  if (all.empty() || all.back().key_type() != KeyTypeName(certificate.key_type)) {
    return PrivateKey::Generate(certificate.key_type);
  }
  const Generation& latest = all.back();
  ASSIGN_OR_RETURN(const bool is_out, IsOut(latest.spki_sha256(), all, certificate.name, store));
  if (is_out) return PrivateKey::Generate(certificate.key_type);
  ASSIGN_OR_RETURN(const Secret pem,
                   sealer.Open(GenerationKeyPurpose(certificate.name, latest.generation()), latest.private_key()));
  return PrivateKey::FromPem(pem.ExposeSecret());
}

}  // namespace certcast::controller
