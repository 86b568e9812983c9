#include "common/x509/certificate.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "common/status/status.h"
#include "common/x509/key_library.h"
#include "common/x509/pem.h"

namespace certcast {
namespace {

constexpr size_t kMaxDer = size_t{64} * 1024;
constexpr size_t kMaxChainPem = size_t{64} * 1024;
constexpr size_t kMaxChain = 10;

absl::Status Malformed(absl::string_view what) {
  const std::string errors = TakeOpensslErrors();
  return Fail(Reason::MALFORMED, errors.empty() ? std::string(what) : absl::StrCat(what, ": ", errors));
}

absl::string_view BytesOf(const ASN1_STRING* text) {
  return absl::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                           static_cast<size_t>(ASN1_STRING_length(text)));
}

template <typename T>
std::string Encoded(int (*encode)(const T*, unsigned char**), const T* value) {
  unsigned char* der = nullptr;
  const int size = encode(value, &der);
  if (size <= 0) return "";
  std::string result(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return result;
}

// RFC 5280 section 4.1.2.5: YYMMDDHHMMSSZ as UTCTime or YYYYMMDDHHMMSSZ as GeneralizedTime, nothing else.
absl::StatusOr<absl::Time> ParseTime(const ASN1_TIME* time, absl::string_view what) {
  const absl::string_view text = BytesOf(time);
  const size_t size = ASN1_STRING_type(time) == V_ASN1_UTCTIME ? 13 : 15;
  std::tm parts = {};
  if (text.size() != size || text.back() != 'Z' || ASN1_TIME_to_tm(time, &parts) != 1 || parts.tm_year + 1900 < 1) {
    return Malformed(absl::StrCat("the certificate's ", what, " is not a date"));
  }
  const absl::CivilSecond second(parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                                 parts.tm_sec);
  return absl::FromCivil(second, absl::UTCTimeZone());
}

// Names that a program could take for another than a person does: NUL ends a C string, the others can't be in one.
absl::StatusOr<std::string> ParseIa5(const ASN1_STRING* text, absl::string_view what) {
  const absl::string_view bytes = BytesOf(text);
  const bool printable = std::all_of(bytes.begin(), bytes.end(), [](char c) { return absl::ascii_isgraph(c); });
  if (bytes.empty() || !printable) {
    return Malformed(absl::StrCat("the certificate has a ", what, " that is empty or holds NUL or other such bytes"));
  }
  return std::string(bytes);
}

absl::StatusOr<std::string> ParseIp(const ASN1_STRING* address) {
  const absl::string_view bytes = BytesOf(address);
  char text[INET6_ADDRSTRLEN] = {};
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if ((bytes.size() != 4 && bytes.size() != 16) || inet_ntop(family, bytes.data(), text, sizeof(text)) == nullptr) {
    return Malformed("the certificate has an IP address of a wrong size");
  }
  return std::string(text);
}

absl::StatusOr<std::string> ParseCommonName(const X509_NAME* name, absl::string_view whose) {
  int last = -1;
  for (int i = -1; (i = X509_NAME_get_index_by_NID(name, NID_commonName, i)) >= 0;) last = i;
  if (last < 0) return std::string();
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
  if (size < 0) return Malformed(absl::StrCat("the certificate's ", whose, " has a common name that is not text"));
  std::string result(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  if (std::any_of(result.begin(), result.end(), [](char c) { return absl::ascii_iscntrl(c); })) {
    return Malformed(
        absl::StrCat("the certificate's ", whose, " has a common name with NUL or other control characters"));
  }
  return result;
}

}  // namespace

absl::Status Certificate::ReadAlternativeNames() {
  int critical = 0;
  const SslPtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate_.get(), NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr) {
    TakeOpensslErrors();
    if (critical == -1) return absl::OkStatus();
    return Malformed(critical == -2 ? "the certificate has two subjectAltName extensions"
                                    : "the certificate's subjectAltName does not parse");
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      ASSIGN_OR_RETURN(const std::string text, ParseIa5(name->d.dNSName, "DNS name"));
      dns_names_.push_back(absl::AsciiStrToLower(text));
    } else if (name->type == GEN_URI) {
      ASSIGN_OR_RETURN(std::string text, ParseIa5(name->d.uniformResourceIdentifier, "URI"));
      uris_.push_back(std::move(text));
    } else if (name->type == GEN_IPADD) {
      ASSIGN_OR_RETURN(std::string text, ParseIp(name->d.iPAddress));
      ip_addresses_.push_back(std::move(text));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Certificate> Certificate::FromDer(absl::string_view der) {
  if (der.size() > kMaxDer) return Fail(Reason::MALFORMED, "the certificate is larger than 64 KiB");
  const auto* position = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* const end = position + der.size();
  X509* raw = X509_new_ex(KeyLibrary(), nullptr);
  const bool parses = raw != nullptr && d2i_X509(&raw, &position, static_cast<long>(der.size())) != nullptr;
  SslPtr<X509> parsed(raw);
  if (!parses) return Malformed("the certificate does not parse");
  if (position != end) return Fail(Reason::MALFORMED, "the certificate is followed by other bytes");
  // A fingerprint is of the encoding, which must not depend on who encodes it.
  if (Encoded(i2d_X509, parsed.get()) != der) return Malformed("the certificate is not in DER");
  const uint32_t flags = X509_get_extension_flags(parsed.get());
  if ((flags & EXFLAG_INVALID) != 0) return Malformed("the certificate has an extension that does not parse");

  Certificate result;
  result.certificate_ = std::shared_ptr<X509>(std::move(parsed));
  X509* const x509 = result.certificate_.get();
  result.der_ = std::string(der);
  result.sha256_ = Sha256Hex(der);
  result.spki_sha256_ = Sha256Hex(Encoded(i2d_X509_PUBKEY, X509_get_X509_PUBKEY(x509)));
  result.is_ca_ = (flags & EXFLAG_BCONS) != 0 && (flags & EXFLAG_CA) != 0;
  RETURN_IF_ERROR(result.ReadAlternativeNames());
  ASSIGN_OR_RETURN(result.subject_name_, ParseCommonName(X509_get_subject_name(x509), "subject"));
  ASSIGN_OR_RETURN(result.issuer_name_, ParseCommonName(X509_get_issuer_name(x509), "issuer"));
  ASSIGN_OR_RETURN(result.not_before_, ParseTime(X509_get0_notBefore(x509), "notBefore"));
  ASSIGN_OR_RETURN(result.not_after_, ParseTime(X509_get0_notAfter(x509), "notAfter"));
  // A key of a kind that OpenSSL doesn't know is CheckKeyStrength's to refuse.
  if (X509_get0_pubkey(x509) == nullptr) TakeOpensslErrors();
  return result;
}

absl::StatusOr<Certificate> Certificate::FromX509(const X509* certificate) {
  return FromDer(Encoded(i2d_X509, certificate));
}

std::string Certificate::ToPem() const {
  return EncodePem("CERTIFICATE", der_);
}

absl::StatusOr<std::vector<Certificate>> ParseChainPem(absl::string_view pem) {
  ASSIGN_OR_RETURN(const std::vector<PemBlock> blocks, SplitPem(pem, kMaxChainPem));
  if (blocks.empty()) return Fail(Reason::MALFORMED, "no certificate in PEM form");
  if (blocks.size() > kMaxChain) return Fail(Reason::MALFORMED, absl::StrCat("more than ", kMaxChain, " certificates"));
  std::vector<Certificate> chain;
  for (const PemBlock& block : blocks) {
    if (block.label.find("PRIVATE KEY") != absl::string_view::npos) {
      return Fail(Reason::MALFORMED, "found a private key among the certificates", "give it in a file of its own");
    }
    if (block.label != "CERTIFICATE") {
      return Fail(Reason::MALFORMED, absl::StrCat("found a ", block.label, " among the certificates"));
    }
    const std::string place = absl::StrCat("certificate ", chain.size() + 1);
    absl::StatusOr<std::string> der = DecodePem(block);
    if (!der.ok()) return Annotate(der.status(), place);
    absl::StatusOr<Certificate> certificate = Certificate::FromDer(*der);
    if (!certificate.ok()) return Annotate(certificate.status(), place);
    chain.push_back(*std::move(certificate));
  }
  return chain;
}

std::string ChainToPem(const std::vector<Certificate>& chain) {
  std::string pem;
  for (const Certificate& certificate : chain) pem += certificate.ToPem();
  return pem;
}

}  // namespace certcast
