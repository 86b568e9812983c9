// /var/lib/dehydrated (or /etc/dehydrated): certs/NAME/, accounts/BASE64URL-OF-DIRECTORY/, config.
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
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
    AdoptedAccount account{.directory = server};
    account.url = TextIn(ReadJson(at + "/account_id.json").value_or(nullptr), "/url");
    account.key = *std::move(key);
    adoption.accounts.push_back(std::move(account));
  }
}

// Where Debian keeps it: apart from what it makes.
constexpr char kEtc[] = "/etc/dehydrated";

// Its configuration, and then the pieces in conf.d, as they are read by dehydrated.
std::map<std::string, std::string> SettingsIn(const std::string& folder) {
  auto settings = ReadSettings(folder + "/config");
  for (const std::string& name : NamesIn(folder + "/conf.d")) {
    if (!absl::EndsWith(name, ".sh")) continue;
    for (auto& [key, value] : ReadSettings(absl::StrCat(folder, "/conf.d/", name))) settings[key] = value;
  }
  return settings;
}

// Both of what DIR may be: where the configuration is, or what that calls BASEDIR.
struct Place {
  std::map<std::string, std::string> settings;
  std::string base;
};
Place FindPlace(const std::string& directory) {
  Place place{.settings = SettingsIn(directory), .base = directory};
  const std::string base = Setting(place.settings, "BASEDIR");
  if (!place.settings.empty()) {
    if (absl::StartsWith(base, "/") && !IsDirectory(directory + "/certs")) place.base = base;
    return place;
  }
  auto debians = SettingsIn(kEtc);
  if (Setting(debians, "BASEDIR") == directory) place.settings = std::move(debians);
  return place;
}

// Its tokens are right in WELLKNOWN; certcast's are in .well-known/acme-challenge below a web server's root. Where that
// is not the same directory, who shows it there is the web server's affair. Nothing in the settings is expanded.
void SetHttpChallenge(std::string wellknown, AdoptedCertificate& certificate) {
  certificate.authenticator =
      absl::StrCat("http-01 with tokens right in ", wellknown.empty() ? "the default WELLKNOWN" : wellknown);
  while (absl::EndsWith(wellknown, "/")) wellknown.pop_back();
  absl::string_view root = wellknown;
  if (!absl::ConsumeSuffix(&root, "/.well-known/acme-challenge") || absl::StrContains(root, '$')) return;
  certificate.challenge = WebrootChallenge(certificate.domains, root.empty() ? "/" : std::string(root));
}

}  // namespace

absl::StatusOr<Adoption> ReadDehydrated(const std::string& directory) {
  Adoption adoption;
  const auto& [settings, base] = FindPlace(directory);
  FindAccounts(base, adoption);
  const std::string hook = Setting(settings, "HOOK");
  const bool plain = hook.find_first_of(" \"'\\$;|&<>") == std::string::npos && absl::StartsWith(hook, "/");
  for (const std::string& name : NamesIn(base + "/certs")) {
    const std::string at = absl::StrCat(base, "/certs/", name);
    if (!IsFile(at + "/fullchain.pem")) continue;
    auto certificate = ReadPair(name, at + "/fullchain.pem", at + "/privkey.pem");
    if (!certificate.ok()) {
      adoption.left.push_back(absl::StrCat(name, ": ", certificate.status().message()));
      continue;
    }
    if (absl::StartsWith(Setting(settings, "CA"), "https://")) certificate->directory = Setting(settings, "CA");
    certificate->authenticator = Setting(settings, "CHALLENGETYPE");
    if (certificate->authenticator.empty() || certificate->authenticator == "http-01") {
      SetHttpChallenge(Setting(settings, "WELLKNOWN"), *certificate);
    }
    if (certificate->authenticator == "dns-01" && plain) {
      certificate->challenge = absl::StrCat("{type: dns-01, solver: dehydrated-hook, dehydrated-hook: {command: [",
                                            QuotedForYaml(hook), "]}}");
    }
    certificate->reuse_key = absl::EqualsIgnoreCase(Setting(settings, "PRIVATE_KEY_RENEW"), "no");
    adoption.certificates.push_back(*std::move(certificate));
  }
  return adoption;
}

}  // namespace certcast::controller
