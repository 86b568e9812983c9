#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "common/yaml/secret.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxContacts = 10;

std::string ReadDirectory(const yaml::Value& value) {
  std::string directory = value.Text("the URL of the CA's ACME directory");
  if (directory.empty()) return directory;
  if (absl::StartsWith(directory, "http://")) {
    value.FailExpected("an https:// URL", "ACME runs over HTTPS alone (RFC 8555 section 6.1)");
  } else {
    value.Fail(CheckUrl(directory, {"https"}));
  }
  return directory;
}

std::vector<std::string> ReadContact(const yaml::Value& value) {
  std::vector<std::string> contact;
  for (const yaml::Value& item : value.Items("a list of mailto: URLs", 1, kMaxContacts)) {
    contact.push_back(item.Text("a mailto: URL"));
    if (!contact.back().empty()) item.Fail(CheckMailto(contact.back()));
  }
  return contact;
}

std::optional<ExternalAccount> ReadExternalAccount(const yaml::Value& value) {
  if (!value) return std::nullopt;
  const yaml::Map map = value.ReadMap("a map with key_id and hmac_key", {"key_id", "hmac_key", "algorithm"});
  ExternalAccount account;
  account.key_id = map.Require("key_id", "the CA gives it, together with the HMAC key").Text();
  account.hmac_key =
      yaml::ReadSecretReference(map.Require("hmac_key", "write hmac_key: {file: PATH}; the CA gives the key"));
  if (const yaml::Value algorithm = map.Find("algorithm")) {
    account.algorithm = algorithm.Word({"HS256", "HS384", "HS512"});
  }
  return account;
}

// The last moment of the day; nothing after an error.
std::optional<absl::Time> ReadLastDay(const yaml::Value& value) {
  const std::string text = value.Text("a date such as 2027-03-31");
  if (text.empty()) return std::nullopt;
  absl::CivilDay day;
  if (text.size() == 10 && absl::ParseCivilTime(text, &day) && day.year() >= 2000 && day.year() <= 9998) {
    return absl::FromCivil(day + 1, absl::UTCTimeZone());
  }
  value.FailExpected("a date such as 2027-03-31", "the last day on which it holds, year-month-day");
  return std::nullopt;
}

std::vector<ContractEnd> ReadEnds(const yaml::Value& value) {
  std::vector<ContractEnd> ends;
  const std::vector<absl::string_view> kinds = {"contract", "vetting", "external_account"};
  const yaml::Map map = value.ReadMap("a map with the last day of contract, vetting or external_account", kinds);
  for (const absl::string_view kind : kinds) {
    const yaml::Value day = map.Find(kind);
    if (!day) continue;
    if (const std::optional<absl::Time> at = ReadLastDay(day)) ends.push_back({std::string(kind), *at});
  }
  return ends;
}

}  // namespace

MasterKeyConfig ReadMasterKey(const yaml::Value& value) {
  MasterKeyConfig config;
  constexpr absl::string_view kExpected = "{file: PATH}, {credential: NAME} or {passphrase: {file: PATH}}";
  if (!value) return config;
  if (value.is_map()) {
    const yaml::Map map(value);
    const std::vector<yaml::Value> entries = value.Entries(kExpected);
    if (const yaml::Value passphrase = map.Find("passphrase"); passphrase && entries.size() == 1) {
      config.passphrase = yaml::ReadSecretReference(passphrase);
      return config;
    }
    if (entries.size() == 1 && (map.Find("file") || map.Find("credential"))) {
      config.key = yaml::ReadSecretReference(value);
      return config;
    }
  }
  // What was found is not shown: it may be the key.
  value.Fail(absl::StrCat("expected exactly one of ", kExpected));
  return config;
}

AccountConfig ReadAccount(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap(
      "an account", {"name", "directory", "ca_file", "contact", "terms_of_service_agreed", "external_account", "ends"});
  AccountConfig account;
  account.name = map.Require("name").Name();
  account.directory = ReadDirectory(map.Require("directory"));
  account.ca_file = map.Find("ca_file").Path();
  account.contact = ReadContact(map.Find("contact"));
  constexpr absl::string_view kAgree = "read the CA's terms of service and write true: no CA issues without";
  const yaml::Value agreed = map.Require("terms_of_service_agreed", kAgree);
  account.terms_of_service_agreed = agreed.Boolean(true);
  if (!account.terms_of_service_agreed) agreed.FailExpected("true", kAgree);
  account.external_account = ReadExternalAccount(map.Find("external_account"));
  account.ends = ReadEnds(map.Find("ends"));
  return account;
}

}  // namespace certcast::controller
