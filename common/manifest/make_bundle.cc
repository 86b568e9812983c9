#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {
namespace {

constexpr size_t kSignatureSize = 64;

v1::Manifest::Part PartOf(absl::string_view bytes) {
  v1::Manifest::Part part;
  part.set_size(bytes.size());
  part.set_sha256(Sha256Hex(bytes));
  return part;
}

v1::Manifest ManifestOf(const BundleInput& input, const Certificate& leaf) {
  v1::Manifest manifest;
  manifest.set_fleet_id(input.fleet_id);
  manifest.set_certificate(input.certificate);
  manifest.set_generation(input.generation);
  manifest.set_leaf_sha256(leaf.sha256());
  manifest.set_spki_sha256(leaf.spki_sha256());
  manifest.mutable_dns_names()->Add(leaf.dns_names().begin(), leaf.dns_names().end());
  *manifest.mutable_not_before() = ToTimestamp(leaf.not_before());
  *manifest.mutable_not_after() = ToTimestamp(leaf.not_after());
  *manifest.mutable_signed_at() = ToTimestamp(input.signed_at);
  *manifest.mutable_expires_at() = ToTimestamp(input.signed_at + input.lifetime);
  return manifest;
}

absl::StatusOr<std::string> Sign(absl::string_view bytes, const PrivateKey& key) {
  if (EVP_PKEY_is_a(key.get(), "ED25519") != 1) return FailInput("manifests are signed with an Ed25519 key only");
  const SslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  std::string signature(kSignatureSize, '\0');
  size_t size = signature.size();
  if (context == nullptr || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) != 1) {
    return absl::InternalError(absl::StrCat("signing a manifest: ", TakeOpensslErrors()));
  }
  return signature;
}

}  // namespace

absl::StatusOr<v1::Bundle> MakeBundle(const BundleInput& input, const PrivateKey& signing_key) {
  if (input.private_key_pem == nullptr) return FailInput("a bundle needs its private key");
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(input.fullchain_pem));
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::FromPem(input.private_key_pem->ExposeSecret()));
  RETURN_IF_ERROR(CheckKeyMatches(chain.front(), key));
  ASSIGN_OR_RETURN(const Secret key_pem, key.ToPem());

  v1::Bundle bundle;
  bundle.set_fullchain_pem(ChainToPem(chain));
  v1::Manifest manifest = ManifestOf(input, chain.front());
  *manifest.mutable_fullchain_pem() = PartOf(bundle.fullchain_pem());
  *manifest.mutable_private_key_pem() = PartOf(key_pem.ExposeSecret());
  bundle.set_manifest(manifest.SerializeAsString());
  ASSIGN_OR_RETURN(*bundle.mutable_signature(), Sign(bundle.manifest(), signing_key));
  bundle.set_private_key_pem(key_pem.ExposeSecret().data(), key_pem.size());
  return bundle;
}

void WipeKey(v1::Bundle& bundle) {
  std::string* key = bundle.mutable_private_key_pem();
  Wipe(key->data(), key->size());
  key->clear();
}

}  // namespace certcast
