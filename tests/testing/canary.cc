#include "tests/testing/canary.h"

#include <fnmatch.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/x509/private_key.h"
#include "common/x509/ssl_ptr.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

namespace fs = std::filesystem;

// Shorter lines occur by chance: the last one of a body may be a few characters.
constexpr size_t kShortestLine = 20;

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "canary: %s\n", what);
  std::abort();
}

// What base64 makes of `bytes` whatever stands before and after: for each of the three ways in which they may begin,
// the characters that depend on nothing else.
void AddBase64(absl::string_view bytes, std::vector<std::string>& forms) {
  for (size_t before = 0; before < 3; ++before) {
    std::string encoded;
    absl::Base64Escape(std::string(before, '\0') + std::string(bytes), &encoded);
    const size_t padding = static_cast<size_t>(std::count(encoded.begin(), encoded.end(), '='));
    const size_t first = before == 0 ? 0 : before + 1;
    const size_t last = encoded.size() - padding - (padding == 0 ? 0 : 1);
    forms.push_back(encoded.substr(first, last - first));
    std::string for_urls = forms.back();
    std::replace(for_urls.begin(), for_urls.end(), '+', '-');
    std::replace(for_urls.begin(), for_urls.end(), '/', '_');
    if (for_urls != forms.back()) forms.push_back(std::move(for_urls));
  }
}

void AddBytes(absl::string_view bytes, std::vector<std::string>& forms) {
  forms.emplace_back(bytes);
  forms.push_back(absl::BytesToHexString(bytes));
  forms.push_back(absl::AsciiStrToUpper(forms.back()));
  AddBase64(bytes, forms);
}

// Of EC and RSA keys, by OpenSSL's name for it; nothing where the key has none.
void AddNumber(const EVP_PKEY* key, const char* parameter, std::vector<std::string>& forms) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, parameter, &number) != 1) return;
  std::string bytes(static_cast<size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_clear_free(number);
  AddBytes(bytes, forms);
}

// Of Ed25519 keys.
void AddRaw(const EVP_PKEY* key, std::vector<std::string>& forms) {
  unsigned char bytes[64];
  size_t size = sizeof bytes;
  if (EVP_PKEY_get_raw_private_key(key, bytes, &size) != 1) return;
  AddBytes(absl::string_view(reinterpret_cast<const char*>(bytes), size), forms);
}

std::string Pkcs8(const EVP_PKEY* key) {
  PKCS8_PRIV_KEY_INFO* info = EVP_PKEY2PKCS8(key);
  Require(info != nullptr, "a key has no PKCS#8 form");
  unsigned char* der = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
  PKCS8_PRIV_KEY_INFO_free(info);
  Require(size > 0, "a key has no DER");
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

bool IsDeclared(const std::string& path, const Canary& canary) {
  return std::any_of(canary.holders.begin(), canary.holders.end(),
                     [&](const std::string& pattern) { return fnmatch(pattern.c_str(), path.c_str(), 0) == 0; });
}

// Path below the folder and text of every regular file.
template <typename Look>
void ForEachFile(const std::string& folder, const Look& look) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.is_symlink()) continue;
    look(entry.path().lexically_relative(folder).string(), ReadFile(entry.path().string()));
  }
}

}  // namespace

Canary BytesCanary(const std::string& name, absl::string_view bytes, std::vector<std::string> holders) {
  Require(bytes.size() >= 8, "too short not to occur by chance");
  Canary canary{.name = name, .holders = std::move(holders)};
  AddBytes(bytes, canary.forms);
  return canary;
}

Canary KeyCanary(const std::string& name, absl::string_view pem, std::vector<std::string> holders) {
  const absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(pem);
  Require(key.ok(), "not a private key");
  Canary canary{.name = name, .holders = std::move(holders)};
  for (absl::string_view line : absl::StrSplit(pem, '\n')) {
    if (line.size() < kShortestLine || absl::StartsWith(line, "-----")) continue;
    canary.forms.emplace_back(line);
    AddBase64(line, canary.forms);
  }
  AddBytes(Pkcs8(key->get()), canary.forms);
  AddNumber(key->get(), OSSL_PKEY_PARAM_PRIV_KEY, canary.forms);
  AddNumber(key->get(), OSSL_PKEY_PARAM_RSA_D, canary.forms);
  AddNumber(key->get(), OSSL_PKEY_PARAM_RSA_FACTOR1, canary.forms);
  AddRaw(key->get(), canary.forms);
  return canary;
}

std::string FindIn(absl::string_view text, const Canary& canary) {
  constexpr size_t kShown = 8;
  for (const std::string& form : canary.forms) {
    if (absl::StrContains(text, form)) return absl::StrCat(absl::CHexEscape(form.substr(0, kShown)), "...");
  }
  return "";
}

std::vector<std::string> FindCanaries(const std::string& folder, const std::vector<Canary>& canaries) {
  std::vector<std::string> found;
  ForEachFile(folder, [&](const std::string& path, const std::string& text) {
    for (const Canary& canary : canaries) {
      if (IsDeclared(path, canary)) continue;
      const std::string form = FindIn(text, canary);
      if (!form.empty()) found.push_back(absl::StrCat(path, " holds ", canary.name, ": ", form));
    }
  });
  return found;
}

bool IsHeld(const std::string& folder, const Canary& canary) {
  bool held = false;
  ForEachFile(folder, [&](const std::string& path, const std::string& text) {
    held = held || (IsDeclared(path, canary) && !FindIn(text, canary).empty());
  });
  return held;
}

}  // namespace certcast::testing
