#include "controller/keyring/envelope.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/key_library.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"

namespace certcast::controller {
namespace {

constexpr uint32_t kSchema = 1;
constexpr size_t kNonceSize = 12;
constexpr size_t kTagSize = 16;
// Beyond what any secret of ours has; bounds what a damaged record makes us allocate.
constexpr size_t kMaxSecretSize = 1 << 20;

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* MutableBytes(char* text) {
  return reinterpret_cast<unsigned char*>(text);
}

absl::Status OpensslFailed(absl::string_view doing) {
  return absl::InternalError(absl::StrCat(doing, ": ", TakeOpensslErrors()));
}

// Nonce, ciphertext, tag.
absl::StatusOr<std::string> Encrypt(const Secret& key, absl::string_view additional, absl::string_view plaintext) {
  std::string box(kNonceSize + plaintext.size() + kTagSize, '\0');
  unsigned char* nonce = MutableBytes(box.data());
  unsigned char* text = nonce + kNonceSize;
  unsigned char* tag = text + plaintext.size();
  const UsesKeyLibrary uses;
  const SslPtr<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool ok =
      context != nullptr && RAND_bytes(nonce, kNonceSize) == 1 &&
      EVP_EncryptInit_ex2(context.get(), EVP_aes_256_gcm(), Bytes(key.ExposeSecret()), nonce, nullptr) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &size, Bytes(additional), static_cast<int>(additional.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), text, &size, Bytes(plaintext), static_cast<int>(plaintext.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), tag, &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagSize, tag) == 1;
  if (!ok) return OpensslFailed("encrypting");
  return box;
}

// What is not authentic is not returned; why it is not can't be known, so there is no more to say than that.
absl::StatusOr<Secret> Decrypt(const Secret& key, absl::string_view additional, absl::string_view box) {
  if (box.size() < kNonceSize + kTagSize || box.size() > kNonceSize + kTagSize + kMaxSecretSize) {
    return absl::DataLossError("of an impossible size");
  }
  const absl::string_view nonce = box.substr(0, kNonceSize);
  const absl::string_view text = box.substr(kNonceSize, box.size() - kNonceSize - kTagSize);
  std::string tag(box.substr(box.size() - kTagSize));
  Secret plaintext = Secret::OfSize(text.size());
  // OpenSSL wants somewhere to write even when there is nothing to.
  unsigned char nowhere[1];
  unsigned char* out = plaintext.empty() ? nowhere : MutableBytes(plaintext.MutableBytes());
  const UsesKeyLibrary uses;
  const SslPtr<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool ok =
      context != nullptr &&
      EVP_DecryptInit_ex2(context.get(), EVP_aes_256_gcm(), Bytes(key.ExposeSecret()), Bytes(nonce), nullptr) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &size, Bytes(additional), static_cast<int>(additional.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), out, &size, Bytes(text), static_cast<int>(text.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagSize, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), nowhere, &size) == 1;
  TakeOpensslErrors();
  if (!ok) return absl::DataLossError("not authentic");
  return plaintext;
}

absl::Status DoesNotOpen(absl::string_view purpose) {
  return Fail(Reason::STORAGE_FAILED,
              absl::StrCat("the sealed record `", purpose,
                           "` does not open: it was changed, or sealed under another master key"),
              "put the state directory and the master key back from the same backup");
}

}  // namespace

absl::StatusOr<state::v1::Sealed> SealUnder(const Secret& master, absl::string_view purpose, const Secret& secret) {
  if (purpose.empty() || secret.size() > kMaxSecretSize) {
    return absl::InternalError(absl::StrCat("sealing ", secret.size(), " bytes for the purpose `", purpose, "`"));
  }
  Secret data_key = Secret::OfSize(kMasterKeySize);
  if (RAND_priv_bytes(MutableBytes(data_key.MutableBytes()), kMasterKeySize) != 1) {
    return OpensslFailed("making a data key");
  }
  state::v1::Sealed sealed;
  sealed.set_schema(kSchema);
  sealed.set_purpose(std::string(purpose));
  ASSIGN_OR_RETURN(*sealed.mutable_wrapped_key(), Encrypt(master, purpose, data_key.ExposeSecret()));
  ASSIGN_OR_RETURN(*sealed.mutable_ciphertext(), Encrypt(data_key, purpose, secret.ExposeSecret()));
  return sealed;
}

absl::StatusOr<Secret> OpenUnder(const Secret& master, absl::string_view purpose, const state::v1::Sealed& sealed) {
  if (sealed.schema() > kSchema) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat("`", purpose, "` was sealed by a newer certcast"),
                "run the newer certcast");
  }
  if (sealed.purpose() != purpose) {
    return Fail(
        Reason::STORAGE_FAILED,
        absl::StrCat("in the place of the sealed record `", purpose, "` there is one for `", sealed.purpose(), "`"),
        "put the state directory back from a backup");
  }
  const absl::StatusOr<Secret> data_key = Decrypt(master, purpose, sealed.wrapped_key());
  if (!data_key.ok() || data_key->size() != kMasterKeySize) return DoesNotOpen(purpose);
  absl::StatusOr<Secret> secret = Decrypt(*data_key, purpose, sealed.ciphertext());
  if (!secret.ok()) return DoesNotOpen(purpose);
  return secret;
}

}  // namespace certcast::controller
