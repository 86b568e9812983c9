#include "controller/adopt/files.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxFile = size_t{1024} * 1024;

struct KnownCa {
  absl::string_view host;
  absl::string_view name;
};
// What these clients ask where they are told of no other.
constexpr char kDefaultDirectory[] = "https://acme-v02.api.letsencrypt.org/directory";

constexpr KnownCa kKnown[] = {{"acme-v02.api.letsencrypt.org", "letsencrypt"},
                              {"acme-staging-v02.api.letsencrypt.org", "letsencrypt-staging"},
                              {"acme.zerossl.com", "zerossl"},
                              {"dv.acme-v02.api.pki.goog", "google"},
                              {"api.buypass.com", "buypass"},
                              {"acme.ssl.com", "ssl-com"}};

absl::string_view HostOf(absl::string_view url) {
  absl::ConsumePrefix(&url, "https://");
  return url.substr(0, url.find('/'));
}

// The first free of `name`, `name-2`, ...
std::string TakeName(std::set<std::string>& taken, const std::string& name) {
  std::string free = name;
  for (int number = 2; !taken.insert(free).second; ++number) free = absl::StrCat(name, "-", number);
  return free;
}

// certcast keeps one account for each directory and key id.
void MergeAccounts(Adoption& adoption) {
  std::vector<AdoptedAccount> kept;
  std::set<std::string> names;
  for (AdoptedAccount& account : adoption.accounts) {
    const bool known = std::any_of(kept.begin(), kept.end(), [&](const AdoptedAccount& other) {
      return other.directory == account.directory && other.key_id == account.key_id;
    });
    if (known) {
      adoption.left.push_back(absl::StrCat("a further account at ", account.directory,
                                           account.url.empty() ? "" : absl::StrCat(" (", account.url, ")"),
                                           ": certcast has one there, and uses it for all certificates"));
      continue;
    }
    account.name = TakeName(names, AccountNameFor(account.directory));
    kept.push_back(std::move(account));
  }
  adoption.accounts = std::move(kept);
}

// An account for each certificate, also where the client's was not found.
void FindAccountOf(AdoptedCertificate& certificate, Adoption& adoption) {
  const auto at = [&](const AdoptedAccount& account) { return account.directory == certificate.directory; };
  auto found = std::find_if(adoption.accounts.begin(), adoption.accounts.end(), at);
  if (certificate.directory.empty() && adoption.accounts.size() == 1) found = adoption.accounts.begin();
  if (found == adoption.accounts.end()) {
    if (certificate.directory.empty()) {
      certificate.directory = kDefaultDirectory;
      adoption.left.push_back(absl::StrCat(certificate.name, ": it is not known which CA it is from: compare the ",
                                           "`directory` of its account"));
      return FindAccountOf(certificate, adoption);
    }
    std::set<std::string> names;
    for (const AdoptedAccount& account : adoption.accounts) names.insert(account.name);
    adoption.accounts.push_back(
        {.name = TakeName(names, AccountNameFor(certificate.directory)), .directory = certificate.directory});
    found = std::prev(adoption.accounts.end());
  }
  certificate.account = found->name;
}

void MakeConsistent(Adoption& adoption) {
  MergeAccounts(adoption);
  std::set<std::string> names;
  for (AdoptedCertificate& certificate : adoption.certificates) {
    certificate.name = TakeName(names, certificate.name);
    FindAccountOf(certificate, adoption);
  }
}

// By its public key: what the configuration would call it.
std::string KeyTypeOf(const PrivateKey& key) {
  const int bits = EVP_PKEY_get_bits(key.get());
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) return bits == 384 ? "ecdsa-p384" : "ecdsa-p256";
  return bits >= 4096 ? "rsa-4096" : bits >= 3072 ? "rsa-3072" : "rsa-2048";
}

}  // namespace

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool IsDirectory(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

bool IsFile(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error);
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  return ReadWholeFile(FileSystem::Real(), path, kMaxFile);
}

absl::StatusOr<Secret> ReadKey(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadText(path));
  Secret key(text);
  Wipe(text.data(), text.size());
  return key;
}

absl::StatusOr<nlohmann::json> ReadJson(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadText(path));
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  Wipe(text.data(), text.size());
  if (json.is_discarded()) return FailInput(absl::StrCat(path, " is no JSON"));
  return json;
}

std::string TextIn(const nlohmann::json& json, const std::string& pointer) {
  const nlohmann::json::json_pointer place(pointer);
  if (!json.is_structured() || !json.contains(place) || !json.at(place).is_string()) return "";
  return json.at(place).get<std::string>();
}

std::map<std::string, std::string> ReadSettings(const std::string& path) {
  std::map<std::string, std::string> settings;
  const auto text = ReadText(path);
  if (!text.ok()) return settings;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const size_t equals = line.find('=');
    const absl::string_view key = absl::StripAsciiWhitespace(line.substr(0, equals));
    if (equals == absl::string_view::npos || key.empty() || key.front() == '#') continue;
    absl::string_view value = absl::StripAsciiWhitespace(line.substr(equals + 1));
    for (const char* quote : {"'", "\""}) {
      if (value.size() >= 2 && absl::StartsWith(value, quote) && absl::EndsWith(value, quote)) {
        value = value.substr(1, value.size() - 2);
        break;
      }
    }
    settings[std::string(key)] = std::string(value);
  }
  return settings;
}

std::string Setting(const std::map<std::string, std::string>& settings, const std::string& key) {
  const auto found = settings.find(key);
  return found == settings.end() ? "" : found->second;
}

absl::StatusOr<AdoptedCertificate> ReadPair(const std::string& name, const std::string& fullchain,
                                            const std::string& key) {
  AdoptedCertificate certificate;
  certificate.name = PlainName(name);
  ASSIGN_OR_RETURN(certificate.fullchain_pem, ReadText(fullchain));
  ASSIGN_OR_RETURN(certificate.key, ReadKey(key));
  const auto chain = ParseChainPem(certificate.fullchain_pem);
  if (!chain.ok()) return FailInput(absl::StrCat(fullchain, ": ", chain.status().message()));
  const auto opened = PrivateKey::FromPem(certificate.key.ExposeSecret());
  if (!opened.ok()) return FailInput(absl::StrCat(key, ": ", opened.status().message()));
  const absl::Status matches = CheckKeyMatches(chain->front(), *opened);
  if (!matches.ok()) return FailInput(absl::StrCat(key, ": ", matches.message()));
  certificate.domains = chain->front().dns_names();
  certificate.key_type = KeyTypeOf(*opened);
  if (certificate.domains.empty()) return FailInput(absl::StrCat(fullchain, " is for no DNS name"));
  return certificate;
}

std::string OnlyOneOf(const std::vector<std::string>& values) {
  const std::set<std::string> different(values.begin(), values.end());
  return different.size() == 1 ? *different.begin() : "";
}

std::string PlainName(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c));
    if (plain || (!name.empty() && name.back() != '-')) name.push_back(plain ? absl::ascii_tolower(c) : '-');
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() ? "adopted" : name.substr(0, 63);
}

std::string AccountNameFor(const std::string& directory) {
  const absl::string_view host = HostOf(directory);
  for (const KnownCa& known : kKnown) {
    if (known.host == host) return std::string(known.name);
  }
  return PlainName(std::string(host));
}

absl::StatusOr<Adoption> ReadClient(absl::string_view client, const std::string& directory) {
  if (!IsDirectory(directory)) return FailInput(absl::StrCat(directory, " is no directory that can be read"));
  absl::StatusOr<Adoption> adoption = FailInput(absl::StrCat("there is no way to adopt from ", client),
                                                "certbot, acme.sh, lego and dehydrated are known");
  if (client == "certbot") adoption = ReadCertbot(directory);
  if (client == "acme.sh") adoption = ReadAcmeSh(directory);
  if (client == "lego") adoption = ReadLego(directory);
  if (client == "dehydrated") adoption = ReadDehydrated(directory);
  if (adoption.ok() && adoption->certificates.empty() && adoption->accounts.empty() && adoption->left.empty()) {
    return FailInput(absl::StrCat("there is nothing of ", client, " in ", directory),
                     "name its own directory: /etc/letsencrypt, ~/.acme.sh, .lego, /var/lib/dehydrated");
  }
  if (adoption.ok()) MakeConsistent(*adoption);
  return adoption;
}

bool IsSameAccount(const AdoptedAccount& account, absl::string_view directory, absl::string_view key_id) {
  if (account.key_id != key_id) return false;
  return account.directory_is_guessed ? HostOf(directory) == HostOf(account.directory) : directory == account.directory;
}

}  // namespace certcast::controller
