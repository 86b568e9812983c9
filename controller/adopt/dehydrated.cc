// /var/lib/dehydrated (or /etc/dehydrated): certs/NAME/, accounts/BASE64URL-OF-DIRECTORY/, config.
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/acme/jose.h"
#include "controller/adopt/files.h"

namespace certcast::controller {
namespace {

void FindAccounts(const std::string& directory, Adoption& adoption) {
  for (const std::string& folder : NamesIn(directory + "/accounts")) {
    const std::string at = absl::StrCat(directory, "/accounts/", folder);
    const auto url = Base64UrlDecode(folder);
    const std::string server(url.ok() ? absl::StripAsciiWhitespace(*url) : "");
    auto key = ReadKey(at + "/account_key.pem");
    if (!absl::StartsWith(server, "https://") || !key.ok()) {
      adoption.left.push_back(absl::StrCat(
          "the account in ", at, ": ", key.ok() ? "its folder is not named for a directory" : key.status().message()));
      continue;
    }
    AdoptedAccount account{.name = AccountNameFor(server), .directory = server};
    account.url = TextIn(ReadJson(at + "/account_id.json"), "/url");
    account.key = *std::move(key);
    adoption.accounts.push_back(std::move(account));
  }
}

}  // namespace

absl::StatusOr<Adoption> ReadDehydrated(const std::string& directory) {
  Adoption adoption;
  FindAccounts(directory, adoption);
  const auto settings = ReadSettings(directory + "/config");
  const std::string hook = Setting(settings, "HOOK");
  const bool plain = hook.find_first_of(" \"'\\$;|&<>") == std::string::npos && absl::StartsWith(hook, "/");
  for (const std::string& name : NamesIn(directory + "/certs")) {
    const std::string at = absl::StrCat(directory, "/certs/", name);
    if (!IsFile(at + "/fullchain.pem")) continue;
    auto certificate = ReadPair(name, at + "/fullchain.pem", at + "/privkey.pem");
    if (!certificate.ok()) {
      adoption.left.push_back(absl::StrCat(name, ": ", certificate.status().message()));
      continue;
    }
    if (adoption.accounts.size() == 1) certificate->account = adoption.accounts.front().name;
    certificate->authenticator = Setting(settings, "CHALLENGETYPE");
    if (certificate->authenticator == "dns-01" && plain) {
      certificate->challenge =
          absl::StrCat("{type: dns-01, solver: dehydrated-hook, dehydrated-hook: {command: [\"", hook, "\"]}}");
    }
    certificate->reuse_key = absl::EqualsIgnoreCase(Setting(settings, "PRIVATE_KEY_RENEW"), "no");
    adoption.certificates.push_back(*std::move(certificate));
  }
  return adoption;
}

}  // namespace certcast::controller
