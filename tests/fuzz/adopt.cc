// A directory of another ACME client, with whatever is in its files: what is read of it, and the configuration that is
// made of that.
#include "controller/adopt/adopt.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "controller/config/config.h"
#include "tests/fuzz/target.h"
#include "tests/testing/test_ca.h"

namespace certcast::fuzz {
namespace {

using namespace controller;

constexpr const char* kClients[] = {"certbot", "acme.sh", "lego", "dehydrated"};
constexpr size_t kMaxFiles = 16;

// Removed with all in it.
class Folder {
 public:
  Folder() {
    const char* below = getenv("TEST_TMPDIR");
    path_ = absl::StrCat(below != nullptr ? below : "/tmp", "/certcast-fuzz.XXXXXX");
    Require(mkdtemp(path_.data()) != nullptr, "a folder can be made");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }
  // Nothing where the name leads elsewhere, or can't be one.
  void Write(absl::string_view name, absl::string_view text) const {
    const std::filesystem::path relative = std::filesystem::path(std::string(name)).lexically_normal();
    const bool leaves = relative.is_absolute() || relative.empty() || *relative.begin() == "..";
    if (leaves || name.size() > 200 || absl::StrContains(name, '\0')) return;
    const std::filesystem::path place = std::filesystem::path(path_) / relative;
    std::error_code ignored;
    std::filesystem::create_directories(place.parent_path(), ignored);
    std::ofstream(place, std::ios::binary) << text;
  }

 private:
  std::string path_;
};

bool HoldsKey(absl::string_view name) {
  return absl::EndsWith(name, ".key") || absl::EndsWith(name, "key.pem") || absl::EndsWith(name, "key.json");
}

// Of a key's file, what may be a part of the key: each run of the letters of base64 and base64url, wherever it stands,
// since a key without its first line is one too. A `/` ends a run, so that no path of several folders is one; `known`
// is for a single name. Divided by what no error has in it.
std::string KeyMaterialIn(absl::string_view text) {
  std::string runs(text);
  for (char& c : runs) {
    const bool of_base64 = absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("+-_", c);
    if (!of_base64) c = '\0';
  }
  return runs;
}

void CheckAdoption(const Adoption& adoption, absl::string_view secrets, absl::string_view names) {
  std::set<std::string> accounts;
  for (const AdoptedAccount& account : adoption.accounts) {
    Require(accounts.insert(account.name).second, "accounts have different names");
  }
  std::set<std::string> certificates;
  std::string known(names);
  for (const AdoptedCertificate& certificate : adoption.certificates) {
    Require(certificates.insert(certificate.name).second, "certificates have different names");
    Require(accounts.contains(certificate.account), "a certificate's account is there");
    Require(!certificate.key.empty() && !certificate.fullchain_pem.empty(), "a certificate has its key");
    // The configuration's name for it is made of its file's, in lower case.
    absl::StrAppend(&known, "\n", certificate.name);
  }
  for (const std::string& left : adoption.left) {
    const absl::Status said = Fail(Reason::MALFORMED, left);
    RequireOrderly(said);
    RequireHidden(said, secrets, known);
  }
}

// A configuration, or an error that says where it is none: a CA without https, a name that no CA issues for.
void CheckConfig(const Adoption& adoption) {
  const std::string text = NewConfigFor(adoption, "a client", "state");
  RequireOrderly(ParseConfig(text, "/etc/certcast/certcast.yaml").status());
  for (const AdoptedCertificate& certificate : adoption.certificates) {
    Require(!absl::StrContains(text, certificate.key.ExposeSecret()), "no key is in the configuration");
  }
}

std::string FileOf(absl::string_view name, absl::string_view text) {
  return absl::StrCat(PieceOf(name), PieceOf(text));
}

// `x`: of the account's key.
std::string CertbotFiles(absl::string_view chain, absl::string_view key, absl::string_view x) {
  const std::string account = absl::StrCat(R"({"kty":"EC","crv":"P-256","x":")", x,
                                           R"(","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",)"
                                           R"("d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"})");
  return absl::StrCat(std::string(1, 0), FileOf("live/a/fullchain.pem", chain), FileOf("live/a/privkey.pem", key),
                      FileOf("renewal/a.conf",
                             "account = 1\nauthenticator = manual\nserver = https://ca.test/directory\n"
                             "manual_auth_hook = /etc/auth --zone x\nreuse_key = True\n"),
                      FileOf("accounts/ca.test/directory/1/private_key.json", account),
                      FileOf("accounts/ca.test/directory/1/regr.json",
                             R"({"body":{"contact":["mailto:a@example.com"]},"uri":"https://ca.test/acct/7"})"));
}

}  // namespace

// An input: the client, and its files, each a name and a text.
std::vector<Seed> Seeds() {
  const testing::IssuedCertificate issued =
      testing::TestCa::Root().Intermediate().Issue({.dns_names = {"*.example.com", "example.com"}});
  const std::string& chain = issued.fullchain_pem;
  const absl::string_view key = issued.key_pem.ExposeSecret();
  return {
      {.name = "certbot", .bytes = CertbotFiles(chain, key, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")},
      {.name = "certbot-account-off-its-curve", .bytes = CertbotFiles(chain, key, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8T")},
      {.name = "acme-sh",
       .bytes = absl::StrCat(
           std::string(1, 1), FileOf("ca/acme.zerossl.com/v2/DV90/account.key", key),
           FileOf("ca/acme.zerossl.com/v2/DV90/ca.conf", "ACCOUNT_URL='https://x/1'\nCA_EAB_KEY_ID='kid'\n"),
           FileOf("example.com_ecc/fullchain.cer", chain), FileOf("example.com_ecc/example.com.key", key),
           FileOf("example.com_ecc/example.com.conf",
                  "Le_Webroot='dns_cf'\nLe_API='__ACME_BASE64__START_aHR0cHM6Ly9hY21lLnplcm9zc2wuY29tL3YyL0RWOTA="
                  "__ACME_BASE64__END_'\n"))},
      {.name = "lego",
       .bytes = absl::StrCat(
           std::string(1, 2), FileOf("accounts/localhost_14000/a@b/account.json", R"({"registration":{"uri":"u"}})"),
           FileOf("accounts/localhost_14000/a@b/keys/a@b.key", key), FileOf("certificates/_.example.com.crt", chain),
           FileOf("certificates/_.example.com.key", key),
           FileOf("certificates/_.example.com.json", R"({"certUrl":"https://localhost:14000/certZ/1"})"))},
      {.name = "dehydrated",
       .bytes = absl::StrCat(
           std::string(1, 3), FileOf("accounts/aHR0cHM6Ly9jYS50ZXN0L2Rpcgo/account_key.pem", key),
           FileOf("accounts/aHR0cHM6Ly9jYS50ZXN0L2Rpcgo/account_id.json", R"({"url":"https://ca.test/acct/9"})"),
           FileOf("config", "CHALLENGETYPE=\"dns-01\"\nHOOK=/etc/hook.sh\nCA=https://ca.test/dir\n"),
           FileOf("certs/a/fullchain.pem", chain), FileOf("certs/a/privkey.pem", key))},
  };
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  const std::string client = kClients[reader.Byte() % std::size(kClients)];
  const Folder folder;
  std::string secrets;
  std::string names = folder.path();
  for (size_t i = 0; i < kMaxFiles && !reader.empty(); ++i) {
    const absl::string_view name = reader.Piece();
    const absl::string_view text = reader.Piece();
    folder.Write(name, text);
    // Other files may be quoted: the URL of a CA, for instance.
    if (HoldsKey(name)) {
      absl::StrAppend(&secrets, KeyMaterialIn(text), std::string(1, '\0'));
      absl::StrAppend(&names, "/", name, ": ");
    } else {
      absl::StrAppend(&names, "/", name, ": ", text);
    }
  }
  const absl::StatusOr<Adoption> adoption = ReadClient(client, folder.path());
  RequireOrderly(adoption.status());
  RequireHidden(adoption.status(), secrets, names);
  if (!adoption.ok()) return;
  CheckAdoption(*adoption, secrets, names);
  CheckConfig(*adoption);
}

}  // namespace certcast::fuzz
