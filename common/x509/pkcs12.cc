#include "common/x509/pkcs12.h"

#include <openssl/asn1t.h>
#include <openssl/pkcs12.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"

namespace certcast {
namespace {

constexpr int kIterations = 10'000;
constexpr int64_t kMaxIterations = 1'000'000;
constexpr size_t kMaxPassword = 1024;
constexpr size_t kMaxBytes = size_t{1024} * 1024;
constexpr int kLegacyNid = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;

// Frees the certificates too.
struct ChainDeleter {
  void operator()(STACK_OF(X509) * chain) const { sk_X509_pop_free(chain, X509_free); }
};
using X509Chain = std::unique_ptr<STACK_OF(X509), ChainDeleter>;

struct SafesDeleter {
  void operator()(STACK_OF(PKCS7) * safes) const { sk_PKCS7_pop_free(safes, PKCS7_free); }
};
using Safes = std::unique_ptr<STACK_OF(PKCS7), SafesDeleter>;

struct BagsDeleter {
  void operator()(STACK_OF(PKCS12_SAFEBAG) * bags) const { sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free); }
};
using Bags = std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), BagsDeleter>;

absl::Status Malformed(absl::string_view what) {
  const std::string errors = TakeOpensslErrors();
  return Fail(Reason::MALFORMED, absl::StrCat("PKCS#12: ", what, errors.empty() ? "" : ": ", errors));
}

absl::Status CheckPassword(const Secret& password) {
  const absl::string_view text = password.ExposeSecret();
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isprint(c); });
  if (!text.empty() && text.size() <= kMaxPassword && printable) return absl::OkStatus();
  return FailInput(text.empty() ? "the password of a PKCS#12 file is empty"
                                : "the password of a PKCS#12 file has other characters than printable ASCII, or more "
                                  "than 1024",
                   "openssl rand -hex 24 makes a good one");
}

// As OpenSSL wants it.
Secret WithNul(const Secret& password) {
  Secret text = Secret::OfSize(password.size() + 1);
  std::memcpy(text.MutableBytes(), password.ExposeSecret().data(), password.size());
  return text;
}

absl::StatusOr<X509Chain> StackOf(const std::vector<Certificate>& chain) {
  X509Chain stack(sk_X509_new_null());
  for (const Certificate& certificate : chain) {
    if (X509_up_ref(certificate.get()) == 1 && sk_X509_push(stack.get(), certificate.get()) > 0) continue;
    return Malformed("can't be made");
  }
  return stack;
}

// How many times a password is hashed for this, and whether it is one of the two ways of encryption; nullopt: neither.
struct Scheme {
  Pkcs12Encryption encryption;
  int64_t iterations;
};

std::optional<int64_t> Number(const ASN1_INTEGER* number) {
  int64_t value = 0;
  if (number == nullptr || ASN1_INTEGER_get_int64(&value, number) != 1) return std::nullopt;
  return value;
}

template <typename T>
struct ItemDeleter {
  const ASN1_ITEM* item;
  void operator()(T* value) const { ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(value), item); }
};

// The parameters of an algorithm.
template <typename T>
std::unique_ptr<T, ItemDeleter<T>> Parameters(const X509_ALGOR* algorithm, const ASN1_ITEM* item) {
  const void* value = nullptr;
  int type = V_ASN1_UNDEF;
  X509_ALGOR_get0(nullptr, &type, &value, algorithm);
  void* parsed = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), item) : nullptr;
  return std::unique_ptr<T, ItemDeleter<T>>(static_cast<T*>(parsed), ItemDeleter<T>{item});
}

int NidOf(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  return OBJ_obj2nid(object);
}

std::optional<Scheme> SchemeOf(const X509_ALGOR* algorithm) {
  if (NidOf(algorithm) == kLegacyNid) {
    const auto legacy = Parameters<PBEPARAM>(algorithm, ASN1_ITEM_rptr(PBEPARAM));
    const std::optional<int64_t> iterations = legacy == nullptr ? std::nullopt : Number(legacy->iter);
    if (!iterations.has_value()) return std::nullopt;
    return Scheme{Pkcs12Encryption::kLegacy, *iterations};
  }
  if (NidOf(algorithm) != NID_pbes2) return std::nullopt;
  const auto modern = Parameters<PBE2PARAM>(algorithm, ASN1_ITEM_rptr(PBE2PARAM));
  if (modern == nullptr || NidOf(modern->keyfunc) != NID_id_pbkdf2 || NidOf(modern->encryption) != NID_aes_256_cbc) {
    return std::nullopt;
  }
  const auto derivation = Parameters<PBKDF2PARAM>(modern->keyfunc, ASN1_ITEM_rptr(PBKDF2PARAM));
  const std::optional<int64_t> iterations = derivation == nullptr ? std::nullopt : Number(derivation->iter);
  if (!iterations.has_value()) return std::nullopt;
  return Scheme{Pkcs12Encryption::kModern, *iterations};
}

// What all encrypted parts are to have in common, and the iterations of all of them together.
struct Parts {
  std::optional<Pkcs12Encryption> encryption;
  int64_t iterations = 0;
};

absl::Status Note(const X509_ALGOR* algorithm, Parts& parts) {
  const std::optional<Scheme> found = SchemeOf(algorithm);
  if (!found.has_value()) return Malformed("is encrypted in a way that certcast does not use");
  if (found->iterations < 1 || found->iterations > kMaxIterations - parts.iterations) {
    return Malformed("asks for too many iterations");
  }
  if (parts.encryption.value_or(found->encryption) != found->encryption) return Malformed("is encrypted in two ways");
  parts.encryption = found->encryption;
  parts.iterations += found->iterations;
  return absl::OkStatus();
}

absl::Status NoteKeys(const PKCS7* safe, Parts& parts) {
  const Bags bags(PKCS12_unpack_p7data(const_cast<PKCS7*>(safe)));
  if (bags == nullptr) return Malformed("does not parse");
  for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags.get()); ++i) {
    const PKCS12_SAFEBAG* bag = sk_PKCS12_SAFEBAG_value(bags.get(), i);
    const X509_SIG* key = PKCS12_SAFEBAG_get0_pkcs8(bag);
    if (key == nullptr) return Malformed("holds something that is not encrypted");
    const X509_ALGOR* algorithm = nullptr;
    X509_SIG_get0(key, &algorithm, nullptr);
    RETURN_IF_ERROR(Note(algorithm, parts));
  }
  return absl::OkStatus();
}

// Looked at before any password is hashed.
absl::StatusOr<Pkcs12Encryption> EncryptionOf(const PKCS12* file) {
  const ASN1_INTEGER* mac_iterations = nullptr;
  PKCS12_get0_mac(nullptr, nullptr, nullptr, &mac_iterations, file);
  Parts parts;
  // Absent: one (RFC 7292 section 4).
  parts.iterations = mac_iterations == nullptr ? 1 : Number(mac_iterations).value_or(0);
  if (parts.iterations < 1 || parts.iterations > kMaxIterations) return Malformed("asks for too many iterations");
  const Safes safes(PKCS12_unpack_authsafes(file));
  if (safes == nullptr) return Malformed("does not parse");
  for (int i = 0; i < sk_PKCS7_num(safes.get()); ++i) {
    const PKCS7* safe = sk_PKCS7_value(safes.get(), i);
    if (PKCS7_type_is_data(safe)) {
      RETURN_IF_ERROR(NoteKeys(safe, parts));
    } else if (PKCS7_type_is_encrypted(safe)) {
      RETURN_IF_ERROR(Note(safe->d.encrypted->enc_data->algorithm, parts));
    } else {
      return Malformed("has a part that is neither data nor encrypted");
    }
  }
  if (!parts.encryption.has_value()) return Malformed("holds nothing");
  return *parts.encryption;
}

absl::StatusOr<SslPtr<PKCS12>> Parse(absl::string_view bytes) {
  if (bytes.size() > kMaxBytes) return Malformed("is larger than 1 MiB");
  const auto* position = reinterpret_cast<const unsigned char*>(bytes.data());
  const unsigned char* const end = position + bytes.size();
  SslPtr<PKCS12> file(d2i_PKCS12(nullptr, &position, static_cast<long>(bytes.size())));
  if (file == nullptr) return Malformed("does not parse");
  if (position != end) return Malformed("is followed by other bytes");
  if (PKCS12_mac_present(file.get()) != 1) return Malformed("has no MAC");
  return file;
}

}  // namespace

absl::StatusOr<Secret> MakePkcs12(const PrivateKey& key, const std::vector<Certificate>& chain, const Secret& password,
                                  const std::string& alias, Pkcs12Encryption encryption) {
  RETURN_IF_ERROR(CheckPassword(password));
  const Secret text = WithNul(password);
  const char* const pass = text.ExposeSecret().data();
  ASSIGN_OR_RETURN(const X509Chain others, StackOf({chain.begin() + 1, chain.end()}));
  const bool modern = encryption == Pkcs12Encryption::kModern;
  const int nid = modern ? NID_aes_256_cbc : kLegacyNid;
  // The MAC is set below: its digest can't be chosen here.
  constexpr int kNoMac = -1;
  const SslPtr<PKCS12> file(PKCS12_create(pass, alias.c_str(), key.get(), chain.front().get(), others.get(), nid, nid,
                                          kIterations, kNoMac, /*keytype=*/0));
  if (file == nullptr ||
      PKCS12_set_mac(file.get(), pass, -1, nullptr, 0, kIterations, modern ? EVP_sha256() : EVP_sha1()) != 1) {
    return Malformed("can't be made");
  }
  unsigned char* der = nullptr;
  const int size = i2d_PKCS12(file.get(), &der);
  if (size <= 0) return Malformed("can't be made");
  Secret bytes(absl::string_view(reinterpret_cast<const char*>(der), static_cast<size_t>(size)));
  OPENSSL_free(der);
  return bytes;
}

absl::StatusOr<Pkcs12Contents> OpenPkcs12(absl::string_view bytes, const Secret& password) {
  RETURN_IF_ERROR(CheckPassword(password));
  ASSIGN_OR_RETURN(const SslPtr<PKCS12> file, Parse(bytes));
  ASSIGN_OR_RETURN(const Pkcs12Encryption encryption, EncryptionOf(file.get()));
  const Secret text = WithNul(password);
  EVP_PKEY* key = nullptr;
  X509* leaf = nullptr;
  STACK_OF(X509)* others = nullptr;
  if (PKCS12_parse(file.get(), text.ExposeSecret().data(), &key, &leaf, &others) != 1) {
    return Malformed("does not open with the password");
  }
  const SslPtr<EVP_PKEY> owned_key(key);
  const SslPtr<X509> owned_leaf(leaf);
  const X509Chain owned_others(others);
  TakeOpensslErrors();
  if (key == nullptr || leaf == nullptr) return Malformed("does not hold a key with its certificate");

  int alias_size = 0;
  const unsigned char* alias = X509_alias_get0(leaf, &alias_size);
  ASSIGN_OR_RETURN(Certificate certificate, Certificate::FromX509(leaf));
  Pkcs12Contents contents{.leaf = std::move(certificate), .encryption = encryption};
  if (alias != nullptr) contents.alias.assign(reinterpret_cast<const char*>(alias), static_cast<size_t>(alias_size));
  for (int i = 0; i < sk_X509_num(others); ++i) {
    ASSIGN_OR_RETURN(Certificate other, Certificate::FromX509(sk_X509_value(others, i)));
    contents.others.push_back(std::move(other));
  }
  return contents;
}

}  // namespace certcast
