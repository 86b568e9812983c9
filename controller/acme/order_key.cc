#include "controller/acme/order_key.h"

#include <openssl/evp.h>
#include <openssl/obj_mac.h>

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

bool IsOfType(const PrivateKey& key, KeyType type) {
  const int bits = EVP_PKEY_get_bits(key.get());
  switch (type) {
    case KeyType::kRsa2048:
    case KeyType::kRsa3072:
    case KeyType::kRsa4096:
      return EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_RSA && bits == (type == KeyType::kRsa2048   ? 2048
                                                                         : type == KeyType::kRsa3072 ? 3072
                                                                                                     : 4096);
    case KeyType::kEcdsaP256:
      return CurveOf(key.get()) == NID_X9_62_prime256v1;
    case KeyType::kEcdsaP384:
      return CurveOf(key.get()) == NID_secp384r1;
    case KeyType::kEd25519:
      return false;
  }
  return false;
}

}  // namespace

absl::StatusOr<PrivateKey> MakeKey(const CertificateConfig& certificate, Store& store, Sealer& sealer) {
  if (!certificate.reuse_key) return PrivateKey::Generate(certificate.key_type);
  ASSIGN_OR_RETURN(const std::vector<Generation> all, GenerationRecords(store).List(certificate.name));
  if (all.empty()) return PrivateKey::Generate(certificate.key_type);
  const Generation& latest = all.back();
  ASSIGN_OR_RETURN(const bool is_out, IsOut(latest.spki_sha256(), all, certificate.name, store));
  if (is_out) return PrivateKey::Generate(certificate.key_type);
  ASSIGN_OR_RETURN(const Secret pem,
                   sealer.Open(GenerationKeyPurpose(certificate.name, latest.generation()), latest.private_key()));
  ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::FromPem(pem.ExposeSecret()));
  // As it is: one that was taken over from another client has no type on record.
  if (!IsOfType(key, certificate.key_type)) return PrivateKey::Generate(certificate.key_type);
  return key;
}

}  // namespace certcast::controller
