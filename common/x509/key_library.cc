#include "common/x509/key_library.h"

#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "common/x509/openssl_errors.h"

namespace certcast {
namespace {

bool starts_soon = false;

// Hash_DRBG; OpenSSL's own choice is made of a cipher, and looks through all of them. Before the context has one, and
// before it has read openssl.cnf, which may choose another.
void SetRandomGenerator(OSSL_LIB_CTX* library) {
  if (RAND_set_DRBG_type(library, "HASH-DRBG", nullptr, nullptr, "SHA256") != 1) TakeOpensslErrors();
}

// What keys and PKCS #12 are encrypted with.
void AddCiphersOfKeys() {
  for (const EVP_CIPHER* cipher : {EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc(), EVP_des_ede3_cbc()}) {
    EVP_add_cipher(cipher);
  }
}

// OpenSSL's own default provider, in the default context, where its algorithms look for what they use themselves.
OSSL_PROVIDER* whole = nullptr;

template <size_t kSize>
bool IsOneOf(absl::string_view name, const std::array<absl::string_view, kSize>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// "EC:id-ecPublicKey:1.2.840.10045.2.1" is EC.
absl::string_view NameOf(const OSSL_ALGORITHM& algorithm) {
  const absl::string_view names = algorithm.algorithm_names;
  return names.substr(0, names.find(':'));
}

// That a certificate may have.
bool IsKindOfKey(absl::string_view name) {
  constexpr std::array<absl::string_view, 5> kKinds = {"RSA", "RSA-PSS", "EC", "ED25519", "ED448"};
  return IsOneOf(name, kKinds);
}

// Keys that it makes for a connection.
bool IsOfTls(absl::string_view name) {
  constexpr std::array<absl::string_view, 4> kKinds = {"X25519", "X448", "DH", "HMAC"};
  return IsOneOf(name, kKinds);
}

// "input=der,structure=PrivateKeyInfo", with more before it.
bool IsFormat(absl::string_view properties) {
  return !absl::StrContains(properties, "=text") && !absl::StrContains(properties, "=msblob") &&
         !absl::StrContains(properties, "=pvk") && !absl::StrContains(properties, "=blob") &&
         !absl::StrContains(properties, "structure=EncryptedPrivateKeyInfo");
}

// The same under a name of the kind's own.
bool IsAlias(absl::string_view properties) {
  constexpr std::array<absl::string_view, 4> kAliases = {"rsa", "ec", "pkcs1", "X9.62"};
  return IsOneOf(properties.substr(properties.rfind('=') + 1), kAliases);
}

// Of TLS, and of the random generator (CTR, ECB), which looks in the context of who asks it.
bool IsCipher(absl::string_view name) {
  constexpr std::array<absl::string_view, 5> kModes = {"-CBC", "-CCM", "-CTR", "-ECB", "-GCM"};
  const bool is_mode =
      absl::StrContains(name, "-CBC-HMAC-") ||
      std::any_of(kModes.begin(), kModes.end(), [name](absl::string_view mode) { return absl::EndsWith(name, mode); });
  return (is_mode && (absl::StartsWith(name, "AES-128-") || absl::StartsWith(name, "AES-256-"))) ||
         name == "ChaCha20-Poly1305" || name == "DES-EDE3-CBC" || name == "NULL";
}

// What makes the keys of a connection, and keys of passphrases.
bool IsDerivation(absl::string_view name) {
  constexpr std::array<absl::string_view, 5> kDerivations = {"TLS13-KDF", "TLS1-PRF", "HKDF", "SCRYPT", "PBKDF2"};
  return IsOneOf(name, kDerivations);
}

bool IsKeyExchange(absl::string_view name) {
  return name == "ECDH" || IsOfTls(name);
}

bool IsSignature(absl::string_view name) {
  return name == "ECDSA" || name == "HMAC" || IsKindOfKey(name);
}

bool IsKept(int operation, const OSSL_ALGORITHM& algorithm) {
  const absl::string_view name = NameOf(algorithm);
  const absl::string_view properties = algorithm.property_definition;
  switch (operation) {
    case OSSL_OP_KEYMGMT:
      return IsKindOfKey(name) || IsOfTls(name);
    case OSSL_OP_DECODER:
      // DER: from PEM, and which kind it is.
      return (IsKindOfKey(name) || name == "DER") && IsFormat(properties) && !IsAlias(properties);
    case OSSL_OP_ENCODER:
      return IsKindOfKey(name) && IsFormat(properties) && !IsAlias(properties);
    case OSSL_OP_CIPHER:
      return IsCipher(name);
    case OSSL_OP_MAC:
      return name == "HMAC";
    case OSSL_OP_KDF:
      return IsDerivation(name);
    case OSSL_OP_KEYEXCH:
      return IsKeyExchange(name);
    case OSSL_OP_SIGNATURE:
      return IsSignature(name);
    default:
      return true;
  }
}

using Table = std::vector<OSSL_ALGORITHM>;

Table Filtered(int operation) {
  int no_cache = 0;
  Table table;
  const OSSL_ALGORITHM* algorithm = OSSL_PROVIDER_query_operation(whole, operation, &no_cache);
  for (; algorithm != nullptr && algorithm->algorithm_names != nullptr; ++algorithm) {
    if (IsKept(operation, *algorithm)) table.push_back(*algorithm);
  }
  table.push_back({});
  return table;
}

// All are made at once: OpenSSL asks from any thread.
const std::map<int, Table>& Tables() {
  static const auto* const tables = [] {
    auto* made = new std::map<int, Table>;
    for (int operation = 1; operation <= OSSL_OP__HIGHEST; ++operation) made->emplace(operation, Filtered(operation));
    return made;
  }();
  return *tables;
}

const OSSL_ALGORITHM* Query(void*, int operation, int* no_cache) {
  *no_cache = 0;
  const auto found = Tables().find(operation);
  return found == Tables().end() ? nullptr : found->second.data();
}

// The groups that TLS may use.
int GetCapabilities(void*, const char* capability, OSSL_CALLBACK* callback, void* argument) {
  return OSSL_PROVIDER_get_capabilities(whole, capability, callback, argument);
}

int Init(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** functions, void** context) {
  static const OSSL_DISPATCH kFunctions[] = {
      {OSSL_FUNC_PROVIDER_QUERY_OPERATION, reinterpret_cast<void (*)()>(Query)},
      {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, reinterpret_cast<void (*)()>(GetCapabilities)},
      {0, nullptr}};
  *functions = kFunctions;
  *context = OSSL_PROVIDER_get0_provider_ctx(whole);
  return 1;
}

OSSL_LIB_CTX* Make() {
  constexpr char kName[] = "certcast";
  whole = OSSL_PROVIDER_load(nullptr, "default");
  OSSL_LIB_CTX* const made = whole == nullptr ? nullptr : OSSL_LIB_CTX_new();
  if (made != nullptr && OSSL_PROVIDER_add_builtin(made, kName, Init) == 1 &&
      OSSL_PROVIDER_load(made, kName) != nullptr) {
    if (starts_soon) SetRandomGenerator(made);
    return made;
  }
  TakeOpensslErrors();
  OSSL_LIB_CTX_free(made);
  return OSSL_LIB_CTX_get0_global_default();
}

}  // namespace

OSSL_LIB_CTX* KeyLibrary() {
  static OSSL_LIB_CTX* const library = Make();
  return library;
}

void StartOpensslForOneRun() {
  SetRandomGenerator(nullptr);
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_ATEXIT, nullptr);
  AddCiphersOfKeys();
  starts_soon = true;
}

void StartOpensslBriefly() {
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
                      nullptr);
  for (const EVP_MD* digest : {EVP_sha1(), EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_sha3_256(),
                               EVP_sha3_384(), EVP_sha3_512()}) {
    EVP_add_digest(digest);
  }
  AddCiphersOfKeys();
  SetRandomGenerator(nullptr);
  starts_soon = true;
}

UsesKeyLibrary::UsesKeyLibrary() : before_(OSSL_LIB_CTX_set0_default(KeyLibrary())) {
}
UsesKeyLibrary::~UsesKeyLibrary() {
  OSSL_LIB_CTX_set0_default(before_);
}

}  // namespace certcast
