#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/pem.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {
namespace {

constexpr size_t kRawSize = 32;
constexpr size_t kMaxPem = 1024;
constexpr absl::string_view kLabel = "PUBLIC KEY";
// What is before the 32 bytes in the DER of an Ed25519 key (RFC 8410 section 4), which has no other encoding. OpenSSL
// takes as long to find that out as to verify ten signatures.
constexpr absl::string_view kDerPrefix("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12);

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

SslPtr<EVP_PKEY> ToOpenssl(absl::string_view raw) {
  return SslPtr<EVP_PKEY>(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(raw), raw.size()));
}

absl::Status NotEd25519() {
  return Fail(Reason::MALFORMED, "the manifest key is not an Ed25519 key");
}

absl::StatusOr<std::string> RawPublicKey(const EVP_PKEY* key) {
  std::string raw(kRawSize, '\0');
  size_t size = raw.size();
  if (EVP_PKEY_is_a(key, "ED25519") != 1 ||
      EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(raw.data()), &size) != 1 || size != kRawSize) {
    TakeOpensslErrors();
    return NotEd25519();
  }
  return raw;
}

}  // namespace

absl::StatusOr<ManifestKey> ManifestKey::FromRaw(absl::string_view raw) {
  if (raw.size() != kRawSize) {
    return Fail(Reason::MALFORMED, absl::StrCat("the manifest key has ", raw.size(), " bytes, not ", kRawSize));
  }
  return ManifestKey(raw);
}

absl::StatusOr<ManifestKey> ManifestKey::FromPem(absl::string_view pem) {
  ASSIGN_OR_RETURN(const std::vector<PemBlock> blocks, SplitPem(pem, kMaxPem));
  if (blocks.size() != 1 || blocks[0].label != kLabel) {
    return Fail(Reason::MALFORMED, "the manifest key is not one PUBLIC KEY in PEM form");
  }
  ASSIGN_OR_RETURN(const std::string der, DecodePem(blocks[0]));
  absl::string_view raw = der;
  if (!absl::ConsumePrefix(&raw, kDerPrefix) || raw.size() != kRawSize) return NotEd25519();
  return FromRaw(raw);
}

absl::StatusOr<ManifestKey> ManifestKey::FromPrivate(const PrivateKey& key) {
  ASSIGN_OR_RETURN(const std::string raw, RawPublicKey(key.get()));
  return FromRaw(raw);
}

std::string ManifestKey::ToPem() const {
  return EncodePem(kLabel, absl::StrCat(kDerPrefix, raw_));
}

bool ManifestKey::Verifies(absl::string_view bytes, absl::string_view signature) const {
  const SslPtr<EVP_PKEY> key = ToOpenssl(raw_);
  const SslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const bool verifies =
      key != nullptr && context != nullptr &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(bytes), bytes.size()) == 1;
  TakeOpensslErrors();
  return verifies;
}

}  // namespace certcast
