// What must hold between the certificates of a chain: certificate.h's CheckChain and CheckChainAgainstRoots.
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/show_utc.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"

namespace certcast {
namespace {

using Chain = std::vector<Certificate>;

constexpr absl::Duration kClockTolerance = absl::Minutes(1);
// OpenSSL's: 112 bits, so no SHA-1 and no RSA below 2048. Debian's services refuse those too.
constexpr int kSecurityLevel = 2;

// As a person knows it: the common name, else the whole name (RFC 4514).
std::string Display(const X509_NAME* name, const std::string& common_name) {
  if (!common_name.empty()) return absl::StrCat("\"", common_name, "\"");
  if (X509_NAME_entry_count(name) == 0) return "without a name";
  const SslPtr<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return absl::StrCat("\"", absl::string_view(text, static_cast<size_t>(size)), "\"");
}

std::string Subject(const Certificate& c) {
  // CAs leave the common name out of leaves nowadays.
  const bool by_dns_name = c.subject_name().empty() && !c.dns_names().empty();
  return Display(X509_get_subject_name(c.get()), by_dns_name ? c.dns_names().front() : c.subject_name());
}

std::string Issuer(const Certificate& c) {
  return Display(X509_get_issuer_name(c.get()), c.issuer_name());
}

// "certificate 2 ("R11")", counted as people do.
std::string Place(const Chain& chain, size_t i) {
  return absl::StrCat("certificate ", i + 1, " (", Subject(chain[i]), ")");
}

absl::Status Invalid(absl::string_view what, absl::string_view hint = "") {
  return Fail(Reason::CHAIN_INVALID, what, hint);
}

bool SameName(const X509_NAME* a, const X509_NAME* b) {
  return X509_NAME_cmp(a, b) == 0;
}

bool NamedAsIssuer(const Certificate& issuer, const Certificate& subject) {
  return SameName(X509_get_subject_name(issuer.get()), X509_get_issuer_name(subject.get()));
}

// RFC 5280 sections 4.2.1.1 and 4.2.1.2: false only when both name a key, and not the same.
bool KeyIdentifiersAgree(const Certificate& issuer, const Certificate& subject) {
  const ASN1_OCTET_STRING* wanted = X509_get0_authority_key_id(subject.get());
  const ASN1_OCTET_STRING* given = X509_get0_subject_key_id(issuer.get());
  return wanted == nullptr || given == nullptr || ASN1_OCTET_STRING_cmp(wanted, given) == 0;
}

bool MayHaveIssued(const Certificate& issuer, const Certificate& subject) {
  return NamedAsIssuer(issuer, subject) && KeyIdentifiersAgree(issuer, subject);
}

bool IsSelfIssued(const Certificate& certificate) {
  return NamedAsIssuer(certificate, certificate);
}

std::optional<size_t> FindIssuer(const Chain& chain, size_t subject) {
  for (size_t i = 0; i < chain.size(); ++i) {
    if (i != subject && MayHaveIssued(chain[i], chain[subject])) return i;
  }
  return std::nullopt;
}

// Whether `place` is on the way up from `from`, in whatever order the chain is.
bool IsAbove(const Chain& chain, size_t from, size_t place) {
  size_t at = from;
  for (size_t steps = 0; steps < chain.size(); ++steps) {
    const std::optional<size_t> next = FindIssuer(chain, at);
    if (!next) return false;
    if (*next == place) return true;
    at = *next;
  }
  return false;
}

// Why certificate i + 1 does not follow certificate i.
absl::Status ExplainGap(const Chain& chain, size_t i) {
  const Certificate& subject = chain[i];
  const Certificate& next = chain[i + 1];
  if (subject.sha256() == next.sha256()) {
    return Invalid(absl::StrCat("wrong order: certificates ", i + 1, " and ", i + 2, " are the same"), "leave one out");
  }
  if (NamedAsIssuer(next, subject)) {
    return Invalid(absl::StrCat("foreign certificate: ", Place(chain, i + 1),
                                " has the name of the issuer of certificate ", i + 1, ", but another key"),
                   "take the chain that the CA gave with this very certificate");
  }
  if (IsAbove(chain, i + 1, i)) {
    return Invalid(absl::StrCat("wrong order: ", Place(chain, i), " comes before what it issued"),
                   "leaf first, then each one's issuer");
  }
  if (IsSelfIssued(subject) && !FindIssuer(chain, i)) {
    return Invalid(
        absl::StrCat("foreign certificate: ", Place(chain, i + 1), " follows the self-signed ", Place(chain, i)),
        "nothing may follow a root");
  }
  const std::optional<size_t> issuer = FindIssuer(chain, i);
  if (!issuer) {
    return Invalid(absl::StrCat("missing intermediate: ", Issuer(subject), ", the issuer of certificate ", i + 1,
                                ", is not there; ", Place(chain, i + 1), " did not issue it"),
                   absl::StrCat("add ", Issuer(subject), " after certificate ", i + 1,
                                ", or leave out what does not belong to it"));
  }
  if (IsAbove(chain, i, i + 1)) {
    return Invalid(absl::StrCat("wrong order: certificate ", i + 1, " was issued by ", Place(chain, *issuer),
                                ", not by ", Place(chain, i + 1)),
                   "leaf first, then each one's issuer");
  }
  return Invalid(absl::StrCat("foreign certificate: ", Place(chain, i + 1), " is not above certificate ", i + 1,
                              ", whose issuer is ", Place(chain, *issuer)),
                 absl::StrCat("leave certificate ", i + 2, " out"));
}

absl::Status CheckIsCa(const Chain& chain, size_t i) {
  if (chain[i].is_ca()) return absl::OkStatus();
  return Invalid(absl::StrCat(Place(chain, i), " is not a CA, and can't have issued certificate ", i));
}

absl::Status CheckSignature(const Chain& chain, size_t i) {
  EVP_PKEY* const key = X509_get0_pubkey(chain[i + 1].get());
  const bool verified = key != nullptr && X509_verify(chain[i].get(), key) == 1;
  TakeOpensslErrors();
  if (verified) return absl::OkStatus();
  return Invalid(
      absl::StrCat("bad signature: ", Place(chain, i), " is not signed by the key of ", Place(chain, i + 1)));
}

absl::Status CheckAuthorityDates(const Chain& chain, size_t i, absl::Time now) {
  if (now > chain[i].not_after())
    return Invalid(absl::StrCat(Place(chain, i), " expired at ", ShowUtcSecond(chain[i].not_after())));
  if (now + kClockTolerance < chain[i].not_before()) {
    return Invalid(absl::StrCat(Place(chain, i), " is valid from ", ShowUtcSecond(chain[i].not_before())));
  }
  return absl::OkStatus();
}

struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
// Does not own what is in it.
using BorrowedStack = std::unique_ptr<STACK_OF(X509), FreeStack>;

bool IsWholeChain(const Chain& chain, const STACK_OF(X509) * path) {
  if (sk_X509_num(path) != static_cast<int>(chain.size())) return false;
  for (size_t i = 0; i < chain.size(); ++i) {
    if (X509_cmp(sk_X509_value(path, static_cast<int>(i)), chain[i].get()) != 0) return false;
  }
  return true;
}

// RFC 5280 section 6.1, by OpenSSL, with `roots` trusted whether they are self-signed or not. Dates only when `now` is
// given. Whether the path is the whole chain in its order: each signature in it was looked at then.
absl::StatusOr<bool> VerifyPath(const Chain& chain, const std::vector<const Certificate*>& roots,
                                std::optional<absl::Time> now) {
  const SslPtr<X509_STORE> store(X509_STORE_new());
  const SslPtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  const BorrowedStack untrusted(sk_X509_new_null());
  bool ok = store != nullptr && context != nullptr && untrusted != nullptr;
  for (const Certificate* root : roots) ok = ok && X509_STORE_add_cert(store.get(), root->get()) == 1;
  for (size_t i = 1; i < chain.size(); ++i) ok = ok && sk_X509_push(untrusted.get(), chain[i].get()) > 0;
  ok = ok && X509_STORE_CTX_init(context.get(), store.get(), chain[0].get(), untrusted.get()) == 1;
  if (!ok) return absl::InternalError(absl::StrCat("checking a chain: ", TakeOpensslErrors()));
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_auth_level(parameters, kSecurityLevel);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | (now ? 0 : X509_V_FLAG_NO_CHECK_TIME));
  if (now) X509_VERIFY_PARAM_set_time(parameters, absl::ToTimeT(*now));
  const bool verified = X509_verify_cert(context.get()) == 1;
  TakeOpensslErrors();
  if (verified) return IsWholeChain(chain, X509_STORE_CTX_get0_chain(context.get()));
  const int error = X509_STORE_CTX_get_error(context.get());
  const int depth = X509_STORE_CTX_get_error_depth(context.get());
  const size_t place = std::min(static_cast<size_t>(std::max(depth, 0)), chain.size() - 1);
  if (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY) {
    return Invalid(absl::StrCat(Place(chain, place), ": its issuer, ", Issuer(chain[place]),
                                ", is neither in the chain nor among the trusted roots"));
  }
  return Invalid(absl::StrCat(Place(chain, place), ": ", X509_verify_cert_error_string(error)));
}

}  // namespace

absl::Status CheckChain(const Chain& chain, absl::Time now, bool allow_leaf_alone) {
  if (chain.empty()) return Invalid("the chain is empty");
  if (chain.size() == 1) {
    if (allow_leaf_alone) return absl::OkStatus();
    if (IsSelfIssued(chain[0])) {
      return Invalid("the certificate is self-signed: nobody above it vouches for it",
                     "give the one that a CA issued, with its intermediates; where this one is trusted, name it as "
                     "`ca_file` of the certificate in certcast.yaml");
    }
    return Invalid(absl::StrCat("missing intermediate: the certificate is alone, and was issued by ", Issuer(chain[0])),
                   "give the full chain: the certificate, then its intermediates");
  }
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    if (!MayHaveIssued(chain[i + 1], chain[i])) return ExplainGap(chain, i);
    RETURN_IF_ERROR(CheckIsCa(chain, i + 1));
    RETURN_IF_ERROR(CheckAuthorityDates(chain, i + 1, now));
  }
  // Signatures, path lengths, name constraints, key usage, unknown critical extensions, weak signatures.
  const absl::StatusOr<bool> is_whole_chain = VerifyPath(chain, {&chain.back()}, std::nullopt);
  if (is_whole_chain.ok() && *is_whole_chain) return absl::OkStatus();
  // There may be another way to the top than by what the chain says; and which signature is bad is said better here.
  for (size_t i = 0; i + 1 < chain.size(); ++i) RETURN_IF_ERROR(CheckSignature(chain, i));
  return is_whole_chain.status();
}

absl::Status CheckChainAgainstRoots(const Chain& chain, const std::vector<Certificate>& roots, absl::Time now) {
  if (chain.empty()) return Invalid("the chain is empty");
  if (roots.empty()) return Invalid("there is no root to check the chain against");
  std::vector<const Certificate*> trusted;
  trusted.reserve(roots.size());
  for (const Certificate& root : roots) trusted.push_back(&root);
  return VerifyPath(chain, trusted, now).status();
}

}  // namespace certcast
