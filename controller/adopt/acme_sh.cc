// ~/.acme.sh: NAME/ or NAME_ecc/ with NAME.conf, ca/HOST/PATH/.
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"
#include "controller/adopt/files.h"

namespace certcast::controller {
namespace {

// Values with odd characters are kept in base64, between marks.
std::string Decoded(const std::string& value) {
  absl::string_view text = value;
  std::string bytes;
  if (!absl::ConsumePrefix(&text, "__ACME_BASE64__START_") || !absl::ConsumeSuffix(&text, "__ACME_BASE64__END_") ||
      !absl::Base64Unescape(text, &bytes)) {
    return value;
  }
  return bytes;
}

// Le_Webroot says how: an API (`dns_cf`), `no` for a server of its own, a directory; several, by commas, are for the
// names one by one.
std::string ChallengeFor(const std::string& directory, const std::map<std::string, std::string>& settings,
                         const std::vector<std::string>& domains) {
  const std::string way = OnlyOneOf(absl::StrSplit(Decoded(Setting(settings, "Le_Webroot")), ',', absl::SkipEmpty()));
  if (absl::StartsWith(way, "dns_")) {
    return absl::StrCat("{type: dns-01, solver: acme-sh, acme-sh: {script: ", QuotedForYaml(directory + "/acme.sh"),
                        ", api: ", QuotedForYaml(way), "}}");
  }
  if (way != "no") return WebrootChallenge(domains, way);
  return ListenChallenge(domains, Decoded(Setting(settings, "Le_LocalAddress")),
                         Decoded(Setting(settings, "Le_HTTPPort")));
}

// Below ca/: a directory URL without its scheme, wherever an account's key is.
void FindAccounts(const std::string& root, const std::string& below, int depth, Adoption& adoption) {
  const std::string folder = absl::StrCat(root, below);
  if (IsFile(folder + "/account.key")) {
    const auto settings = ReadSettings(folder + "/ca.conf");
    AdoptedAccount account{.directory = absl::StrCat("https:/", below)};
    account.url = Decoded(Setting(settings, "ACCOUNT_URL"));
    account.email = Decoded(Setting(settings, "CA_EMAIL"));
    account.key_id = Decoded(Setting(settings, "CA_EAB_KEY_ID"));
    auto key = ReadKey(folder + "/account.key");
    if (!key.ok()) {
      adoption.left.push_back(absl::StrCat("the account in ", folder, ": ", key.status().message()));
      return;
    }
    account.key = *std::move(key);
    adoption.accounts.push_back(std::move(account));
    return;
  }
  if (depth == 0) return;
  for (const std::string& name : NamesIn(folder)) {
    if (IsDirectory(absl::StrCat(folder, "/", name))) {
      FindAccounts(root, absl::StrCat(below, "/", name), depth - 1, adoption);
    }
  }
}

}  // namespace

absl::StatusOr<Adoption> ReadAcmeSh(const std::string& directory) {
  Adoption adoption;
  FindAccounts(directory + "/ca", "", /*depth=*/5, adoption);
  for (const std::string& folder : NamesIn(directory)) {
    const std::string name(absl::StripSuffix(folder, "_ecc"));
    const std::string at = absl::StrCat(directory, "/", folder);
    if (!IsFile(absl::StrCat(at, "/", name, ".conf"))) continue;
    const auto settings = ReadSettings(absl::StrCat(at, "/", name, ".conf"));
    auto certificate = ReadPair(name, at + "/fullchain.cer", absl::StrCat(at, "/", name, ".key"));
    if (!certificate.ok()) {
      adoption.left.push_back(absl::StrCat(folder, ": ", certificate.status().message()));
      continue;
    }
    certificate->authenticator = Decoded(Setting(settings, "Le_Webroot"));
    certificate->challenge = ChallengeFor(directory, settings, certificate->domains);
    certificate->directory = Decoded(Setting(settings, "Le_API"));
    adoption.certificates.push_back(*std::move(certificate));
  }
  return adoption;
}

}  // namespace certcast::controller
