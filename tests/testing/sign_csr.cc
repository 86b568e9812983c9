#include "tests/testing/sign_csr.h"

#include <openssl/rand.h>

#include "common/x509/certificate.h"

namespace certcast::testing {
namespace {

std::vector<std::string> DnsNamesOf(X509_REQ* request) {
  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request);
  const SslPtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> dns_names;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    dns_names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                           ASN1_STRING_length(name->d.dNSName));
  }
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  return dns_names;
}

void AddExtension(X509* certificate, int nid, const std::string& value, X509* issuer = nullptr) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const SslPtr<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  X509_add_ext(certificate, extension.get(), -1);
}

}  // namespace

std::optional<ParsedCsr> ParseCsr(const std::string& der) {
  const auto* cursor = reinterpret_cast<const unsigned char*>(der.data());
  const SslPtr<X509_REQ> request(d2i_X509_REQ(nullptr, &cursor, static_cast<long>(der.size())));
  if (request == nullptr) return std::nullopt;
  ParsedCsr csr{.key = SslPtr<EVP_PKEY>(X509_REQ_get_pubkey(request.get())), .dns_names = DnsNamesOf(request.get())};
  if (csr.key == nullptr || X509_REQ_verify(request.get(), csr.key.get()) != 1) return std::nullopt;
  return csr;
}

std::string SignLeaf(const TestCa& issuer, EVP_PKEY* key, const std::vector<std::string>& dns_names,
                     absl::Time not_before, absl::Time not_after, const std::string& ocsp_responder) {
  const SslPtr<X509> leaf(X509_new());
  X509_set_version(leaf.get(), X509_VERSION_3);
  unsigned char serial[8] = {};
  RAND_bytes(serial, sizeof(serial));
  serial[0] &= 0x7f;
  const SslPtr<BIGNUM> number(BN_bin2bn(serial, sizeof(serial), nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(leaf.get()));
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(issuer.certificate().get()));
  ASN1_TIME_set(X509_getm_notBefore(leaf.get()), absl::ToTimeT(not_before));
  ASN1_TIME_set(X509_getm_notAfter(leaf.get()), absl::ToTimeT(not_after));
  X509_set_pubkey(leaf.get(), key);
  std::string names;
  for (const std::string& name : dns_names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  // An empty subject makes the names critical (RFC 5280 section 4.2.1.6).
  AddExtension(leaf.get(), NID_subject_alt_name, "critical," + names);
  AddExtension(leaf.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(leaf.get(), NID_key_usage, "critical,digitalSignature");
  AddExtension(leaf.get(), NID_ext_key_usage, "serverAuth");
  AddExtension(leaf.get(), NID_authority_key_identifier, "keyid:always", issuer.certificate().get());
  if (!ocsp_responder.empty()) AddExtension(leaf.get(), NID_info_access, "OCSP;URI:" + ocsp_responder);
  X509_sign(leaf.get(), issuer.key().get(), EVP_sha256());
  return Certificate::FromX509(leaf.get())->ToPem();
}

}  // namespace certcast::testing
