#include "controller/api/issuing_account.h"

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

using state::v1::Generation;

std::string AccountNames(const Config& config) {
  return absl::StrJoin(config.accounts, ", ",
                       [](std::string* out, const AccountConfig& account) { absl::StrAppend(out, account.name); });
}

// Issuer name and authority key identifier: what a verifier finds the issuer by (RFC 5280 section 4.2.1.1). That it
// signed is the CA's to say.
bool HaveSameIssuer(const Certificate& a, const Certificate& b) {
  if (X509_NAME_cmp(X509_get_issuer_name(a.get()), X509_get_issuer_name(b.get())) != 0) return false;
  const ASN1_OCTET_STRING* key_a = X509_get0_authority_key_id(a.get());
  const ASN1_OCTET_STRING* key_b = X509_get0_authority_key_id(b.get());
  if (key_a == nullptr || key_b == nullptr) return key_a == key_b;
  return ASN1_OCTET_STRING_cmp(key_a, key_b) == 0;
}

bool IsFrom(const Generation& generation, const Certificate& leaf) {
  const absl::StatusOr<std::vector<Certificate>> chain = ParseChainPem(generation.fullchain_pem());
  return chain.ok() && HaveSameIssuer(chain->front(), leaf);
}

}  // namespace

absl::StatusOr<const AccountConfig*> SelectAccount(const Config& config, const std::string& name) {
  const AccountConfig* account = config.FindAccount(name);
  if (account != nullptr) return account;
  return FailInput(absl::StrCat("there is no account ", name, " in ", config.path),
                   absl::StrCat("it has: ", AccountNames(config)));
}

absl::StatusOr<const AccountConfig*> AccountOf(const Config& config, const Generation& generation) {
  if (generation.account().empty()) {
    return FailInput(absl::StrCat("generation ", generation.generation(), " of ", generation.certificate(),
                                  " was imported: certcast has no account at the CA that issued it"),
                     absl::StrCat("have that CA revoke SHA-256 ", generation.leaf_sha256(),
                                  " (its customer page or support), once the next one is imported and rolled out; or, "
                                  "where it is the CA of a configured account: --account NAME"));
  }
  const AccountConfig* account = config.FindAccount(generation.account());
  if (account != nullptr) return account;
  return FailInput(
      absl::StrCat("generation ", generation.generation(), " of ", generation.certificate(),
                   " was obtained from the account `", generation.account(), "`, which is not in ", config.path),
      "put it back under `accounts` as it was, until this is revoked");
}

absl::StatusOr<const AccountConfig*> AccountAtIssuerOf(const Config& config, Session& session,
                                                       const CertificateConfig& certificate, const Certificate& leaf) {
  std::set<std::string> at_issuer;
  for (const CertificateConfig& known : config.certificates) {
    ASSIGN_OR_RETURN(const std::vector<Generation> all, GenerationRecords(*session.store).List(known.name));
    for (const Generation& generation : all) {
      if (!generation.account().empty() && IsFrom(generation, leaf)) at_issuer.insert(generation.account());
    }
  }
  for (const std::string& name : certificate.Accounts()) {
    if (at_issuer.contains(name)) return config.FindAccount(name);
  }
  for (const AccountConfig& account : config.accounts) {
    if (at_issuer.contains(account.name)) return &account;
  }
  return nullptr;
}

absl::StatusOr<const AccountConfig*> AccountForFile(const Config& config, Session& session,
                                                    const CertificateConfig& certificate, const Certificate& leaf) {
  ASSIGN_OR_RETURN(const AccountConfig* account, AccountAtIssuerOf(config, session, certificate, leaf));
  if (account != nullptr) return account;
  const bool one_ca = !config.accounts.empty() &&
                      std::all_of(config.accounts.begin(), config.accounts.end(), [&](const AccountConfig& other) {
                        return other.directory == config.accounts.front().directory;
                      });
  if (one_ca) {
    account = config.FindAccount(certificate.account);
    return account != nullptr ? account : &config.accounts.front();
  }
  return FailInput(absl::StrCat("it is not known which CA to ask: nothing was obtained yet from `", leaf.issuer_name(),
                                "`, which issued the certificate in the file"),
                   config.accounts.empty() ? absl::StrCat("there is no account in ", config.path)
                                           : absl::StrCat("--account NAME says which: ", AccountNames(config)));
}

}  // namespace certcast::controller
