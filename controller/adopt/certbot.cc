// /etc/letsencrypt: renewal/NAME.conf, live/NAME/, accounts/HOST/PATH/ID/.
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "controller/adopt/files.h"
#include "controller/adopt/jwk.h"

namespace certcast::controller {
namespace {

// A directory URL as certbot makes folders of it.
std::string AccountsOf(const std::string& directory, const std::string& server) {
  return absl::StrCat(directory, "/accounts/", absl::StripPrefix(server, "https://"));
}

absl::StatusOr<AdoptedAccount> ReadAccount(const std::string& folder, const std::string& server) {
  AdoptedAccount account{.directory = server};
  const nlohmann::json registration = ReadJson(folder + "/regr.json").value_or(nullptr);
  account.url = TextIn(registration, "/uri");
  account.email = std::string(absl::StripPrefix(TextIn(registration, "/body/contact/0"), "mailto:"));
  ASSIGN_OR_RETURN(const nlohmann::json jwk, ReadJson(folder + "/private_key.json"));
  auto key = KeyFromJwk(jwk);
  if (!key.ok()) return Annotate(key.status(), folder + "/private_key.json");
  account.key = *std::move(key);
  return account;
}

std::string WordList(const std::string& command) {
  const std::vector<std::string> words = absl::StrSplit(command, ' ', absl::SkipEmpty());
  std::string list = "[";
  for (const std::string& word : words) absl::StrAppend(&list, list.size() > 1 ? ", " : "", QuotedForYaml(word));
  return list + "]";
}

using Settings = std::map<std::string, std::string>;

// Whether certbot's manual hooks were called for dns-01: as it says, or since there is no other way for wildcards.
// Without a word it prefers http-01.
bool IsDns(const Settings& settings, const std::vector<std::string>& domains) {
  const std::string preferred = Setting(settings, "pref_challs");
  if (preferred.empty()) return HasWildcard(domains);
  return absl::StartsWith(absl::StripAsciiWhitespace(preferred), "dns") ||
         (HasWildcard(domains) && absl::StrContains(preferred, "dns"));
}

std::string ManualChallenge(const Settings& settings, const std::vector<std::string>& domains) {
  const std::string auth = Setting(settings, "manual_auth_hook");
  const bool plain = auth.find_first_of("\"'\\$;|&<>") == std::string::npos;
  if (auth.empty() || !plain || !IsDns(settings, domains)) return "";
  const std::string clean = Setting(settings, "manual_cleanup_hook");
  const bool has_clean = !clean.empty() && clean.find_first_of("\"'\\$;|&<>") == std::string::npos;
  return absl::StrCat("{type: dns-01, solver: certbot-hook, certbot-hook: {auth: ", WordList(auth),
                      has_clean ? absl::StrCat(", cleanup: ", WordList(clean)) : "", "}}");
}

// Where [[webroot_map]] has a name, that counts; for others it is the last of webroot_path, which may end with a comma.
std::string WebrootOf(const Settings& settings, const std::vector<std::string>& domains) {
  const std::vector<std::string> paths = absl::StrSplit(Setting(settings, "webroot_path"), ',', absl::SkipWhitespace());
  const std::string last(paths.empty() ? "" : absl::StripAsciiWhitespace(paths.back()));
  std::vector<std::string> roots;
  for (const std::string& name : domains) {
    const std::string mapped = Setting(settings, name);
    roots.push_back(mapped.empty() ? last : mapped);
  }
  return OnlyOneOf(roots);
}

std::string ChallengeFor(const Settings& settings, const std::vector<std::string>& domains) {
  const std::string way = Setting(settings, "authenticator");
  if (way == "manual") return ManualChallenge(settings, domains);
  if (way == "webroot") return WebrootChallenge(domains, WebrootOf(settings, domains));
  if (way != "standalone") return "";
  const std::string port = Setting(settings, "http01_port");
  return ListenChallenge(domains, Setting(settings, "http01_address"), port == "None" ? "" : port);
}

}  // namespace

absl::StatusOr<Adoption> ReadCertbot(const std::string& directory) {
  Adoption adoption;
  std::set<std::string> folders;  // of accounts
  for (const std::string& file : NamesIn(directory + "/renewal")) {
    if (!absl::EndsWith(file, ".conf")) continue;
    const std::string name(absl::StripSuffix(file, ".conf"));
    const auto settings = ReadSettings(absl::StrCat(directory, "/renewal/", file));
    const std::string live = absl::StrCat(directory, "/live/", name);
    auto certificate = ReadPair(name, live + "/fullchain.pem", live + "/privkey.pem");
    if (!certificate.ok()) {
      adoption.left.push_back(absl::StrCat(name, ": ", certificate.status().message()));
      continue;
    }
    certificate->authenticator = Setting(settings, "authenticator");
    certificate->challenge = ChallengeFor(settings, certificate->domains);
    certificate->reuse_key = Setting(settings, "reuse_key") == "True";
    certificate->directory = Setting(settings, "server");
    const std::string folder =
        absl::StrCat(AccountsOf(directory, certificate->directory), "/", Setting(settings, "account"));
    if (folders.insert(folder).second) {
      auto account = ReadAccount(folder, certificate->directory);
      if (account.ok()) {
        adoption.accounts.push_back(*std::move(account));
      } else {
        adoption.left.push_back(absl::StrCat("the account of ", name, ": ", account.status().message()));
      }
    }
    adoption.certificates.push_back(*std::move(certificate));
  }
  return adoption;
}

}  // namespace certcast::controller
