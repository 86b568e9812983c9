// PKCS#12 files that the node finds where it is to put one.
#include "common/x509/pkcs12.h"

#include <openssl/pkcs12.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/secret/secret.h"
#include "common/x509/certificate.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"
#include "tests/fuzz/target.h"
#include "tests/testing/test_ca.h"

namespace certcast::fuzz {
namespace {

constexpr char kPassword[] = "correct horse battery staple";
// Few: what is looked for is not in hashing.
constexpr int kIterations = 1;

std::string Encoded(const PKCS12* file) {
  unsigned char* der = nullptr;
  const int size = i2d_PKCS12(file, &der);
  if (size <= 0) return "";
  std::string bytes(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return bytes;
}

std::string Make(const testing::IssuedCertificate& issued, const testing::TestCa& ca, int nid, bool encrypts_key) {
  STACK_OF(X509)* others = sk_X509_new_null();
  sk_X509_push(others, ca.certificate().get());
  const SslPtr<PKCS12> file(PKCS12_create(kPassword, "wildcard", issued.key.get(), issued.certificate.get(), others,
                                          encrypts_key ? nid : -1, nid, kIterations, kIterations, 0));
  sk_X509_free(others);
  if (file == nullptr) std::abort();
  return Encoded(file.get());
}

// With a MAC that is right, so that what is behind it is looked at too; empty for what is no such file.
std::string WithMac(absl::string_view input) {
  const auto* position = reinterpret_cast<const unsigned char*>(input.data());
  const SslPtr<PKCS12> file(d2i_PKCS12(nullptr, &position, static_cast<long>(input.size())));
  const bool set =
      file != nullptr && PKCS12_set_mac(file.get(), kPassword, -1, nullptr, 0, kIterations, EVP_sha256()) == 1;
  TakeOpensslErrors();
  return set ? Encoded(file.get()) : "";
}

void RequireConsistent(const Pkcs12Contents& contents) {
  Require(Certificate::FromDer(contents.leaf.der()).ok(), "the leaf is a certificate");
  for (const Certificate& other : contents.others) {
    Require(Certificate::FromDer(other.der()).ok(), "what is beside the leaf are certificates");
  }
}

void TryFile(absl::string_view bytes) {
  const Secret password(kPassword);
  const absl::StatusOr<Pkcs12Contents> opened = OpenPkcs12(bytes, password);
  RequireOrderly(opened.status());
  RequireHidden(opened.status(), kPassword);
  const absl::StatusOr<Pkcs12Contents> without = OpenPkcs12(bytes, Secret("another password"));
  RequireOrderly(without.status());
  Require(!without.ok() || !opened.ok(), "no file opens with two passwords");
  if (!opened.ok()) return;
  RequireConsistent(*opened);
  const absl::StatusOr<Pkcs12Contents> again = OpenPkcs12(bytes, password);
  Require(again.ok() && again->leaf.sha256() == opened->leaf.sha256() && again->alias == opened->alias &&
              again->others.size() == opened->others.size() && again->encryption == opened->encryption,
          "a file opens in one way");
  Require(!OpenPkcs12(absl::StrCat(bytes, "x"), password).ok(), "a file ends where it ends");
}

}  // namespace

std::vector<Seed> Seeds() {
  const testing::TestCa ca = testing::TestCa::Root().Intermediate();
  const testing::IssuedCertificate leaf = ca.Issue({.dns_names = {"*.example.com", "example.com"}});
  return {
      {.name = "modern", .bytes = Make(leaf, ca, NID_aes_256_cbc, true)},
      {.name = "legacy", .bytes = Make(leaf, ca, NID_pbe_WithSHA1And3_Key_TripleDES_CBC, true)},
      {.name = "modern-plain-key", .bytes = Make(leaf, ca, NID_aes_256_cbc, false)},
      {.name = "aes-128", .bytes = Make(leaf, ca, NID_aes_128_cbc, true)},
  };
}

void TryInput(absl::string_view input) {
  TryFile(input);
  if (const std::string with_mac = WithMac(input); !with_mac.empty()) TryFile(with_mac);
}

}  // namespace certcast::fuzz
