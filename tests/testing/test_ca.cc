#include "tests/testing/test_ca.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "common/x509/openssl_errors.h"
#include "common/x509/ssl_ptr.h"

namespace certcast::testing {
namespace {

void Require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "test CA: %s: %s\n", what, TakeOpensslErrors().c_str());
  std::abort();
}

template <typename T>
T Require(absl::StatusOr<T> value, const char* what) {
  if (!value.ok()) std::fprintf(stderr, "test CA: %s\n", value.status().ToString().c_str());
  Require(value.ok(), what);
  return *std::move(value);
}

// Who signs: a certificate and its key. No certificate: the new one signs itself.
struct Signer {
  X509* certificate = nullptr;
  const PrivateKey* key = nullptr;
};

void AppendName(GENERAL_NAMES* names, int type, const std::string& bytes) {
  ASN1_STRING* text = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  GENERAL_NAME* name = GENERAL_NAME_new();
  Require(ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size())) == 1, "name");
  GENERAL_NAME_set0_value(name, type, text);
  Require(sk_GENERAL_NAME_push(names, name) > 0, "name");
}

std::string AddressBytes(const std::string& text) {
  char bytes[16];
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return std::string(bytes, 4);
  Require(inet_pton(AF_INET6, text.c_str(), bytes) == 1, "IP address");
  return std::string(bytes, 16);
}

void AddAlternativeNames(X509* certificate, const CertificateSpec& spec) {
  if (spec.dns_names.empty() && spec.uris.empty() && spec.ip_addresses.empty()) return;
  const SslPtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  for (const std::string& name : spec.dns_names) AppendName(names.get(), GEN_DNS, name);
  for (const std::string& uri : spec.uris) AppendName(names.get(), GEN_URI, uri);
  for (const std::string& address : spec.ip_addresses) AppendName(names.get(), GEN_IPADD, AddressBytes(address));
  Require(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND) == 1,
          "subjectAltName");
}

void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_ctx_nodb(&context);
  const SslPtr<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  Require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, value.c_str());
}

void AddExtensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
  AddExtension(certificate, issuer, NID_subject_key_identifier, "hash");
  if (issuer != certificate) AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid:always");
  if (spec.is_ca) {
    const std::string path_length = spec.path_length ? absl::StrCat(",pathlen:", *spec.path_length) : "";
    AddExtension(certificate, issuer, NID_basic_constraints, absl::StrCat("critical,CA:TRUE", path_length));
    AddExtension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
  } else {
    AddExtension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE");
    AddExtension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
  }
  AddAlternativeNames(certificate, spec);
  for (const auto& [nid, value] : spec.extensions) AddExtension(certificate, issuer, nid, value);
}

void SetSubject(X509* certificate, const CertificateSpec& spec) {
  const std::string name = spec.common_name.value_or(spec.dns_names.empty() ? "" : spec.dns_names.front());
  if (name.empty()) return;
  // V_ASN1_UTF8STRING: as it is, wrong ones too.
  Require(X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, V_ASN1_UTF8STRING,
                                     reinterpret_cast<const unsigned char*>(name.data()), static_cast<int>(name.size()),
                                     -1, 0) == 1,
          "common name");
}

void SetTime(X509* certificate, int (*set)(X509*, const ASN1_TIME*), absl::Time time, const std::string& raw) {
  ASN1_TIME* encoded = nullptr;
  if (raw.empty()) {
    encoded = ASN1_TIME_set(nullptr, absl::ToTimeT(time));
  } else {
    encoded = ASN1_STRING_type_new(raw.size() == 13 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME);
    Require(ASN1_STRING_set(encoded, raw.data(), static_cast<int>(raw.size())) == 1, "time");
  }
  Require(encoded != nullptr && set(certificate, encoded) == 1, "time");
  ASN1_TIME_free(encoded);
}

uint64_t RandomSerial() {
  uint64_t serial = 0;
  Require(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1, "random serial");
  // Positive, and never 0.
  return (serial >> 1) | 1;
}

SslPtr<X509> Build(const CertificateSpec& spec, const PrivateKey& key, const Signer& signer) {
  SslPtr<X509> certificate(X509_new());
  X509* const x509 = certificate.get();
  X509* const issuer = signer.certificate == nullptr ? x509 : signer.certificate;
  Require(X509_set_version(x509, X509_VERSION_3) == 1, "version");
  Require(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), spec.serial == 0 ? RandomSerial() : spec.serial) == 1,
          "serial");
  SetSubject(x509, spec);
  Require(X509_set_issuer_name(x509, X509_get_subject_name(issuer)) == 1, "issuer");
  SetTime(x509, X509_set1_notBefore, spec.not_before, spec.raw_not_before);
  SetTime(x509, X509_set1_notAfter, spec.not_after, spec.raw_not_after);
  Require(X509_set_pubkey(x509, key.get()) == 1, "public key");
  AddExtensions(x509, issuer, spec);
  const PrivateKey wrong = Require(PrivateKey::Generate(KeyType::kEcdsaP256), "key");
  EVP_PKEY* const signing_key = spec.wrong_signature ? wrong.get() : signer.key->get();
  Require(X509_sign(x509, signing_key, SigningDigest(signing_key)) > 0, "signature");
  return certificate;
}

PrivateKey KeyFor(const CertificateSpec& spec) {
  if (spec.key == nullptr) return Require(PrivateKey::Generate(spec.key_type), "key");
  const Secret pem = Require(spec.key->ToPem(), "key");
  return Require(PrivateKey::FromPem(pem.ExposeSecret()), "key");
}

IssuedCertificate IssueBy(const CertificateSpec& spec, X509* issuer, const PrivateKey* issuer_key,
                          const std::string& intermediates_pem) {
  PrivateKey key = KeyFor(spec);
  const SslPtr<X509> built = Build(spec, key, {issuer, issuer_key == nullptr ? &key : issuer_key});
  Certificate certificate = Require(Certificate::FromX509(built.get()), "certificate");
  Secret key_pem = Require(key.ToPem(), "key");
  std::string fullchain = certificate.ToPem() + intermediates_pem;
  return {std::move(certificate), std::move(key), std::move(fullchain), std::move(key_pem)};
}

CertificateSpec AsAuthority(const std::string& common_name, CertificateSpec spec) {
  spec.common_name = common_name;
  spec.is_ca = true;
  return spec;
}

// Without the root, which clients have.
std::string IntermediatesPem(const std::vector<Certificate>& path) {
  return ChainToPem(std::vector<Certificate>(path.begin(), path.end() - 1));
}

PrivateKey FromEvp(SslPtr<EVP_PKEY> key) {
  Require(key != nullptr, "key");
  const SslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  Require(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1, "key");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return Require(PrivateKey::FromPem(absl::string_view(text, static_cast<size_t>(size))), "key");
}

}  // namespace

TestCa TestCa::Root(const std::string& common_name, CertificateSpec spec) {
  IssuedCertificate root = SelfSigned(AsAuthority(common_name, std::move(spec)));
  return TestCa({root.certificate}, std::make_shared<const PrivateKey>(std::move(root.key)));
}

TestCa TestCa::FromPem(absl::string_view certificate_pem, absl::string_view key_pem) {
  return TestCa({Require(ParseChainPem(certificate_pem), "CA certificate").front()},
                std::make_shared<const PrivateKey>(Require(PrivateKey::FromPem(key_pem), "CA key")));
}

TestCa TestCa::Intermediate(const std::string& common_name, CertificateSpec spec) const {
  IssuedCertificate issued = Issue(AsAuthority(common_name, std::move(spec)));
  std::vector<Certificate> path = {issued.certificate};
  path.insert(path.end(), certificates_.begin(), certificates_.end());
  return TestCa(std::move(path), std::make_shared<const PrivateKey>(std::move(issued.key)));
}

IssuedCertificate TestCa::Issue(const CertificateSpec& spec) const {
  return IssueBy(spec, certificate().get(), key_.get(), IntermediatesPem(certificates_));
}

std::string TestCa::IssueDer(const CertificateSpec& spec) const {
  const SslPtr<X509> built = Build(spec, KeyFor(spec), {certificate().get(), key_.get()});
  unsigned char* der = nullptr;
  const int size = i2d_X509(built.get(), &der);
  Require(size > 0, "DER");
  std::string result(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return result;
}

IssuedCertificate TestCa::SelfSigned(const CertificateSpec& spec) {
  return IssueBy(spec, nullptr, nullptr, "");
}

PrivateKey MakeRsaKey(unsigned bits) {
  return FromEvp(SslPtr<EVP_PKEY>(EVP_RSA_gen(bits)));
}

PrivateKey MakeEcKey(const std::string& curve) {
  return FromEvp(SslPtr<EVP_PKEY>(EVP_EC_gen(curve.c_str())));
}

}  // namespace certcast::testing
