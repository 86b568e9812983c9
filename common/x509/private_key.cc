#include "common/x509/private_key.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/objects.h>
#include <openssl/pem.h>

#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "common/x509/key_library.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/pem.h"

namespace certcast {
namespace {

constexpr size_t kMaxKeyPem = size_t{16} * 1024;

struct NamedType {
  KeyType type;
  absl::string_view name;
};
constexpr NamedType kTypes[] = {
    {KeyType::kEcdsaP256, "ecdsa-p256"}, {KeyType::kEcdsaP384, "ecdsa-p384"}, {KeyType::kRsa2048, "rsa-2048"},
    {KeyType::kRsa3072, "rsa-3072"},     {KeyType::kRsa4096, "rsa-4096"},     {KeyType::kEd25519, "ed25519"},
};

EVP_PKEY* GenerateRaw(KeyType type) {
  OSSL_LIB_CTX* const library = KeyLibrary();
  const auto rsa = [&](size_t bits) { return EVP_PKEY_Q_keygen(library, nullptr, "RSA", bits); };
  switch (type) {
    case KeyType::kEcdsaP256:
      return EVP_PKEY_Q_keygen(library, nullptr, "EC", "P-256");
    case KeyType::kEcdsaP384:
      return EVP_PKEY_Q_keygen(library, nullptr, "EC", "P-384");
    case KeyType::kRsa2048:
      return rsa(2048);
    case KeyType::kRsa3072:
      return rsa(3072);
    case KeyType::kRsa4096:
      return rsa(4096);
    case KeyType::kEd25519:
      return EVP_PKEY_Q_keygen(library, nullptr, "ED25519");
  }
  return nullptr;
}

absl::StatusOr<std::string> PublicDer(const EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return Fail(Reason::MALFORMED, absl::StrCat("no public key: ", TakeOpensslErrors()));
  std::string result(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return result;
}

// A file may have the public point compressed or in hybrid form: the same key, which would have other digests.
void WriteWholePoint(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "EC") != 1) return;
  EVP_PKEY_set_utf8_string_param(key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
                                 OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED);
}

absl::Status FailEncrypted() {
  return Fail(Reason::MALFORMED, "the private key is encrypted",
              "decrypt it first: openssl pkey -in KEY -out NEW, into a file of mode 0600");
}

// Never asks on the terminal, which is OpenSSL's way without a callback.
int RefusePassphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

// The one private key among `blocks`.
absl::StatusOr<PemBlock> FindKeyBlock(const std::vector<PemBlock>& blocks) {
  PemBlock found;
  for (const PemBlock& block : blocks) {
    if (block.label == "EC PARAMETERS" && found.text.empty()) continue;
    if (block.label == "ENCRYPTED PRIVATE KEY") return FailEncrypted();
    if (!absl::EndsWith(block.label, "PRIVATE KEY")) {
      return Fail(Reason::MALFORMED, absl::StrCat("found a ", block.label, " where only a private key is expected"));
    }
    if (!found.text.empty()) return Fail(Reason::MALFORMED, "more than one private key");
    found = block;
  }
  if (found.text.empty()) return Fail(Reason::MALFORMED, "no private key in PEM form");
  return found;
}

}  // namespace

absl::string_view KeyTypeName(KeyType type) {
  for (const NamedType& known : kTypes) {
    if (known.type == type) return known.name;
  }
  return "";
}

absl::StatusOr<KeyType> ParseKeyType(absl::string_view name) {
  std::string names;
  for (const NamedType& known : kTypes) {
    if (known.name == name) return known.type;
    absl::StrAppend(&names, names.empty() ? "" : " ", known.name);
  }
  return FailInput(absl::StrCat("\"", name, "\" is not a key type"), absl::StrCat("one of: ", names));
}

absl::StatusOr<PrivateKey> PrivateKey::Generate(KeyType type) {
  SslPtr<EVP_PKEY> key(GenerateRaw(type));
  if (key == nullptr) {
    return absl::InternalError(absl::StrCat("making a key of type ", KeyTypeName(type), ": ", TakeOpensslErrors()));
  }
  ASSIGN_OR_RETURN(const std::string public_der, PublicDer(key.get()));
  return PrivateKey(std::move(key), Sha256Hex(public_der));
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(absl::string_view pem) {
  ASSIGN_OR_RETURN(const std::vector<PemBlock> blocks, SplitPem(pem, kMaxKeyPem));
  ASSIGN_OR_RETURN(const PemBlock block, FindKeyBlock(blocks));
  const SslPtr<BIO> bio(BIO_new_mem_buf(block.text.data(), static_cast<int>(block.text.size())));
  bool asked = false;
  SslPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey_ex(bio.get(), nullptr, RefusePassphrase, &asked, KeyLibrary(), nullptr));
  const std::string errors = TakeOpensslErrors();
  if (asked) return FailEncrypted();
  if (key == nullptr) return Fail(Reason::MALFORMED, absl::StrCat("the private key does not parse: ", errors));
  WriteWholePoint(key.get());
  ASSIGN_OR_RETURN(const std::string public_der, PublicDer(key.get()));
  return PrivateKey(std::move(key), Sha256Hex(public_der));
}

absl::StatusOr<Secret> PrivateKey::ToPem() const {
  // OpenSSL wipes a memory BIO's buffer when it grows and when it is freed.
  const SslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return absl::InternalError(absl::StrCat("writing a private key: ", TakeOpensslErrors()));
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return Secret(absl::string_view(text, static_cast<size_t>(size)));
}

absl::StatusOr<std::string> PrivateKey::PublicKeyDer() const {
  return PublicDer(key_.get());
}

int CurveOf(const EVP_PKEY* key) {
  int is_spelt_out = 0;
  char name[80] = {};
  EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_spelt_out);
  const bool has_name = EVP_PKEY_is_a(key, "EC") == 1 && is_spelt_out == 0 &&
                        EVP_PKEY_get_group_name(key, name, sizeof name, nullptr) == 1;
  TakeOpensslErrors();
  return has_name ? OBJ_txt2nid(name) : NID_undef;
}

const EVP_MD* SigningDigest(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return nullptr;
  if (EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_bits(key) == 384) return EVP_sha384();
  return EVP_sha256();
}

}  // namespace certcast
