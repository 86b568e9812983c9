#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/status/status.h"
#include "common/x509/names.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/grammar.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

constexpr size_t kMaxDomains = 100;
constexpr size_t kMaxSelectedNames = 100'000;
constexpr size_t kMaxProfile = 64;

std::vector<std::string> ReadDomains(const yaml::Value& value) {
  std::vector<std::string> domains;
  yaml::FirstSeen seen("the domain");
  for (const yaml::Value& item : value.Items("a list of at least one DNS name", 1, kMaxDomains)) {
    std::string domain = absl::AsciiStrToLower(item.Text("a DNS name"));
    if (domain.empty()) continue;
    item.Fail(CheckDnsName(domain));
    seen.Add(domain, item);
    domains.push_back(std::move(domain));
  }
  return domains;
}

KeyType ReadKeyType(const yaml::Value& value) {
  static const auto& types = *new std::vector<KeyType>{KeyType::kEcdsaP256, KeyType::kEcdsaP384, KeyType::kRsa2048,
                                                       KeyType::kRsa3072, KeyType::kRsa4096};
  std::vector<absl::string_view> words;
  words.reserve(types.size());
  for (const KeyType type : types) words.push_back(KeyTypeName(type));
  const absl::StatusOr<KeyType> type = ParseKeyType(value.Word(words));
  return type.ok() ? *type : types.front();
}

std::string ReadProfile(const yaml::Value& value) {
  std::string profile = value.Text("the name of a profile");
  for (const char c : profile) {
    if (profile.size() <= kMaxProfile && c > ' ' && c < 0x7f) continue;
    value.FailExpected("the name of a profile: at most 64 characters, no spaces");
    break;
  }
  return profile;
}

RenewalConfig ReadRenewal(const yaml::Value& value) {
  RenewalConfig renewal;
  if (!value) return renewal;
  const yaml::Map map = value.ReadMap(R"({at: "66%"} or {before_expiry: 15d})", {"ari", "at", "before_expiry"});
  const yaml::Value ari = map.Find("ari");
  renewal.ari = ari.Boolean(renewal.ari);
  if (ari && !map.Find("at") && !map.Find("before_expiry")) return renewal;
  const yaml::Value when = map.RequireOneOf({"at", "before_expiry"});
  if (!when) return renewal;
  if (when.key() == "before_expiry") {
    renewal.before_expiry = when.Duration(absl::Hours(1), absl::Hours(24 * 398), absl::Hours(24));
    return renewal;
  }
  const double percent = when.Percent(50);
  if (percent > 99) when.FailExpected("at most 99%", "the rest is the time to try again when the CA is down");
  renewal.at = percent / 100;
  return renewal;
}

ChainPreference ReadChain(const yaml::Value& value) {
  ChainPreference chain;
  if (!value) return chain;
  const yaml::Map map = value.ReadMap("{issuer: NAME} or {root_sha256: HEX}", {"issuer", "root_sha256"});
  const yaml::Value which = map.RequireOneOf({"issuer", "root_sha256"});
  if (!which) return chain;
  if (which.key() == "issuer") {
    chain.issuer = which.Text("the common name of an issuer in the chain");
    return chain;
  }
  constexpr absl::string_view kExpected = "a SHA-256 fingerprint: 64 hex digits, with or without colons";
  const std::string text = absl::AsciiStrToLower(absl::StrReplaceAll(which.Text(kExpected), {{":", ""}}));
  const bool is_hex = text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (is_hex) chain.root_sha256 = text;
  if (!is_hex && !text.empty()) {
    which.FailExpected(kExpected, "openssl x509 -in ROOT.pem -noout -fingerprint -sha256 shows it");
  }
  return chain;
}

// `account: NAME`, or `accounts: [FIRST, SECOND]`; false where there is neither.
bool ReadAccounts(const yaml::Map& map, CertificateConfig& certificate) {
  constexpr size_t kMaxAccounts = 8;
  const yaml::Value account = map.Find("account");
  const yaml::Value accounts = map.Find("accounts");
  if (!account && !accounts) return false;
  if (account && accounts) {
    accounts.Fail("found both account and accounts, expected one of them", "write accounts: [FIRST, SECOND]");
  } else if (account) {
    certificate.account = account.Name();
  } else {
    yaml::FirstSeen seen("the account");
    for (const yaml::Value& item : accounts.Items("a list of account names", 1, kMaxAccounts)) {
      const std::string name = item.Name();
      if (name.empty()) continue;
      seen.Add(name, item);
      if (certificate.account.empty()) {
        certificate.account = name;
      } else {
        certificate.further_accounts.push_back(name);
      }
    }
  }
  return true;
}

// What only an order needs can't be said of a certificate that is brought along.
void RefuseForImported(const yaml::Map& map) {
  for (const absl::string_view key : {"challenge", "key_type", "profile", "reuse_key", "preferred_chain"}) {
    if (const yaml::Value value = map.Find(key)) {
      value.Fail(absl::StrCat("found ", key, " without account, expected none: the certificate is imported"),
                 "name the account that orders it, or remove this");
    }
  }
}

}  // namespace

NodeSelector ReadNodeSelector(const yaml::Value& value) {
  constexpr absl::string_view kExpected = "all, a list of node names, or a map of labels such as {role: web}";
  NodeSelector selector;
  if (value.is_list()) {
    yaml::FirstSeen seen("the node");
    for (const yaml::Value& item : value.Items(kExpected, 1, kMaxSelectedNames)) {
      selector.names.push_back(item.Name());
      seen.Add(selector.names.back(), item);
    }
  } else if (value.is_map()) {
    const std::vector<yaml::Value> entries = value.Entries(kExpected);
    if (entries.empty()) value.Fail(absl::StrCat("found an empty map, expected ", kExpected));
    for (const yaml::Value& entry : entries) selector.labels[entry.key()] = entry.Text("the label's value");
  } else if (value.is_text() && value.Text() == "all") {
    selector.all = true;
  } else {
    value.FailExpected(kExpected);
  }
  return selector;
}

CertificateConfig ReadCertificate(const yaml::Value& value) {
  const yaml::Map map =
      value.ReadMap("a certificate", {"name", "account", "accounts", "domains", "key_type", "reuse_key", "profile",
                                      "preferred_chain", "challenge", "renewal", "nodes", "rollout", "ca_file"});
  CertificateConfig certificate;
  certificate.name = map.Require("name").Name();
  certificate.domains = ReadDomains(map.Require("domains"));
  if (ReadAccounts(map, certificate)) {
    constexpr absl::string_view kHint =
        "write challenge: {type: dns-01, solver: exec, exec: {command: [HOOK]}}, or remove account when it is imported";
    certificate.challenge = ReadChallenge(map.Require("challenge", kHint), certificate.domains);
    if (const yaml::Value key_type = map.Find("key_type")) certificate.key_type = ReadKeyType(key_type);
    certificate.profile = ReadProfile(map.Find("profile"));
    certificate.reuse_key = map.Find("reuse_key").Boolean(false);
    certificate.chain = ReadChain(map.Find("preferred_chain"));
  } else {
    RefuseForImported(map);
  }
  certificate.renewal = ReadRenewal(map.Find("renewal"));
  certificate.nodes = ReadNodeSelector(map.Find("nodes"));
  certificate.rollout = ReadRolloutPolicy(map.Find("rollout"));
  certificate.ca_file = map.Find("ca_file").Path();
  return certificate;
}

}  // namespace certcast::controller
