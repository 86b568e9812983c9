// .lego: certificates/NAME.{crt,key,json}, accounts/HOST/EMAIL/.
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "controller/adopt/files.h"

namespace certcast::controller {
namespace {

// lego keeps the server's host alone, with `_` for the colon before a port.
std::string DirectoryAt(const std::string& host) {
  const size_t port = host.rfind('_');
  const std::string address =
      port == std::string::npos ? host : absl::StrCat(host.substr(0, port), ":", host.substr(port + 1));
  return absl::StrCat("https://", address, "/directory");
}

// By the host of a certificate's URL; empty where it has none.
std::string DirectoryThatIssued(absl::string_view certificate_url) {
  if (!absl::ConsumePrefix(&certificate_url, "https://")) return "";
  return absl::StrCat("https://", certificate_url.substr(0, certificate_url.find('/')), "/directory");
}

void FindAccounts(const std::string& directory, Adoption& adoption) {
  for (const std::string& host : NamesIn(directory + "/accounts")) {
    for (const std::string& email : NamesIn(absl::StrCat(directory, "/accounts/", host))) {
      const std::string at = absl::StrCat(directory, "/accounts/", host, "/", email);
      const nlohmann::json known = ReadJson(at + "/account.json").value_or(nullptr);
      auto key = ReadKey(absl::StrCat(at, "/keys/", email, ".key"));
      if (!key.ok()) {
        adoption.left.push_back(absl::StrCat("the account in ", at, ": ", key.status().message()));
        continue;
      }
      AdoptedAccount account{.directory = DirectoryAt(host),
                             .directory_is_guessed = true,
                             .url = TextIn(known, "/registration/uri"),
                             .email = email};
      account.key = *std::move(key);
      adoption.accounts.push_back(std::move(account));
      adoption.left.push_back(absl::StrCat("lego does not keep the URL of ", host,
                                           "'s directory: compare accounts[].directory with its --server"));
    }
  }
}

}  // namespace

absl::StatusOr<Adoption> ReadLego(const std::string& directory) {
  Adoption adoption;
  FindAccounts(directory, adoption);
  for (const std::string& file : NamesIn(directory + "/certificates")) {
    if (!absl::EndsWith(file, ".crt") || absl::EndsWith(file, ".issuer.crt")) continue;
    const std::string base = absl::StrCat(directory, "/certificates/", absl::StripSuffix(file, ".crt"));
    const std::string name = absl::StrReplaceAll(absl::StripSuffix(file, ".crt"), {{"_", "wildcard"}});
    auto certificate = ReadPair(name, base + ".crt", base + ".key");
    if (!certificate.ok()) {
      adoption.left.push_back(absl::StrCat(file, ": ", certificate.status().message()));
      continue;
    }
    certificate->directory = DirectoryThatIssued(TextIn(ReadJson(base + ".json").value_or(nullptr), "/certUrl"));
    certificate->authenticator = "a provider that it does not keep the name of";
    adoption.certificates.push_back(*std::move(certificate));
  }
  return adoption;
}

}  // namespace certcast::controller
