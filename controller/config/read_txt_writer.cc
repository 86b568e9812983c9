// Reads who writes the TXT records of dns-01.
#include "controller/config/read_txt_writer.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/service/read.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "common/yaml/secret.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kLeastTimeout = absl::Seconds(1);
constexpr absl::Duration kMostTimeout = absl::Hours(1);
constexpr size_t kMaxVariables = 32;
constexpr size_t kMaxVariableName = 64;
constexpr size_t kMaxDomain = 253;
constexpr int kMaxTtl = 86400;

absl::Duration ReadTimeout(const yaml::Map& map, absl::Duration otherwise) {
  return map.Find("timeout").Duration(kLeastTimeout, kMostTimeout, otherwise);
}

ExecHook ReadExec(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with command", {"command", "raw", "timeout"});
  ExecHook exec;
  exec.command =
      ReadArgv(map.Require("command", "write the hook that sets the record: command: [/etc/certcast/dns-hook]"));
  exec.raw = map.Find("raw").Boolean(exec.raw);
  exec.timeout = ReadTimeout(map, exec.timeout);
  return exec;
}

CertbotHook ReadCertbotHook(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with auth and cleanup", {"auth", "cleanup", "timeout"});
  CertbotHook hook;
  hook.auth = ReadArgv(map.Require("auth", "write what --manual-auth-hook was: auth: [/etc/letsencrypt/auth.sh]"));
  if (const yaml::Value cleanup = map.Find("cleanup")) hook.cleanup = ReadArgv(cleanup);
  hook.timeout = ReadTimeout(map, hook.timeout);
  return hook;
}

DehydratedHook ReadDehydratedHook(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with command", {"command", "timeout"});
  DehydratedHook hook;
  hook.command = ReadArgv(map.Require("command", "write what HOOK is: command: [/etc/dehydrated/hook.sh]"));
  hook.timeout = ReadTimeout(map, hook.timeout);
  return hook;
}

bool IsDomainCharacter(char c) {
  return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
}

bool IsVariable(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxVariableName && !absl::ascii_isdigit(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
}

// What would make another program of the shell than the one that is meant.
bool IsTheShells(absl::string_view name) {
  constexpr std::array<absl::string_view, 9> kNames = {"PATH",   "IFS", "ENV",        "HOME",           "PWD",
                                                       "OPTIND", "PS4", "LD_PRELOAD", "LD_LIBRARY_PATH"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

AcmeShApi ReadAcmeSh(const yaml::Value& value) {
  const yaml::Map map =
      value.ReadMap("a map with script and api", {"script", "api", "apis", "home", "variables", "timeout"});
  AcmeShApi sh;
  sh.script = map.Require("script", "write where acme.sh is: script: /root/.acme.sh/acme.sh").Path();
  if (const yaml::Value api = map.Require("api", "write the name of a DNS API of acme.sh: api: dns_cf")) {
    sh.api = api.Text("the name of a DNS API of acme.sh, such as dns_cf");
    if (!sh.api.empty() && (!IsVariable(sh.api) || !absl::StartsWith(sh.api, "dns_"))) {
      api.FailExpected("the name of a DNS API of acme.sh, such as dns_cf");
    }
  }
  const std::string beside = std::filesystem::path(sh.script).parent_path().string();
  sh.apis = map.Find("apis") ? map.Find("apis").Path() : absl::StrCat(beside, "/dnsapi");
  sh.home = map.Find("home") ? map.Find("home").Path() : beside;
  if (const yaml::Value variables = map.Find("variables")) {
    const std::vector<yaml::Value> entries = variables.Entries("a map of variables such as CF_Token");
    if (entries.size() > kMaxVariables) {
      variables.Fail(absl::StrCat("found ", entries.size(), " variables, expected at most ", kMaxVariables));
    }
    for (const yaml::Value& entry : entries) {
      if (!IsVariable(entry.key()) || IsTheShells(entry.key())) {
        entry.Fail(absl::StrCat("found the variable ", Quoted(entry.key()),
                                ", expected one that the API names, such as CF_Token"));
      }
      sh.variables.emplace_back(entry.key(), yaml::ReadSecretReference(entry));
    }
  }
  sh.timeout = ReadTimeout(map, sh.timeout);
  return sh;
}

std::string ReadEndpoint(const yaml::Value& value) {
  std::string endpoint = value.Text("an https:// URL");
  if (endpoint.empty()) return endpoint;
  value.Fail(CheckUrl(endpoint, {"https"}));
  absl::string_view trimmed = endpoint;
  while (absl::ConsumeSuffix(&trimmed, "/")) {
  }
  return std::string(trimmed);
}

HttpReqService ReadHttpReq(const yaml::Value& value) {
  const yaml::Map map =
      value.ReadMap("a map with endpoint", {"endpoint", "username", "password", "raw", "ca_file", "timeout"});
  HttpReqService http;
  http.endpoint =
      ReadEndpoint(map.Require("endpoint", "write what HTTPREQ_ENDPOINT is: endpoint: https://dns.example.com"));
  const yaml::Value username = map.Find("username");
  const yaml::Value password = map.Find("password");
  if (static_cast<bool>(username) != static_cast<bool>(password)) {
    map.value().Fail("found one of username and password, expected both or none");
  }
  if (username) http.username = username.Text("a user's name");
  if (http.username.find(':') != std::string::npos)
    username.FailExpected("a name without a colon (RFC 7617 section 2)");
  if (password) http.password = yaml::ReadSecretReference(password);
  http.raw = map.Find("raw").Boolean(http.raw);
  if (map.Find("ca_file")) http.ca_file = map.Find("ca_file").Path();
  http.timeout = ReadTimeout(map, http.timeout);
  return http;
}

AcmeDnsService ReadAcmeDns(const yaml::Value& value) {
  const yaml::Map map =
      value.ReadMap("a map with endpoint and accounts", {"endpoint", "accounts", "ca_file", "timeout"});
  AcmeDnsService dns;
  dns.endpoint = ReadEndpoint(map.Require("endpoint", "write endpoint: https://auth.acme-dns.io, or your own server"));
  dns.accounts = yaml::ReadSecretReference(
      map.Require("accounts", "write where the server's registrations are kept: accounts: {file: acme-dns.json}"));
  if (map.Find("ca_file")) dns.ca_file = map.Find("ca_file").Path();
  dns.timeout = ReadTimeout(map, dns.timeout);
  return dns;
}

std::string ReadDomain(const yaml::Value& value, absl::string_view expected) {
  std::string name = absl::AsciiStrToLower(value.Text(expected));
  if (name.empty()) return name;
  absl::string_view plain = name;
  absl::ConsumeSuffix(&plain, ".");
  if (plain.empty() || plain.size() > kMaxDomain || !std::all_of(plain.begin(), plain.end(), IsDomainCharacter)) {
    value.FailExpected(expected);
  }
  return absl::StrCat(plain, ".");
}

Rfc2136Server::Tsig ReadTsig(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with name and secret", {"name", "algorithm", "secret"});
  Rfc2136Server::Tsig tsig;
  tsig.name = ReadDomain(map.Require("name", "write the key's name, as the server has it"), "the name of a TSIG key");
  if (const yaml::Value algorithm = map.Find("algorithm"))
    tsig.algorithm = algorithm.Word({"hmac-sha256", "hmac-sha512"});
  tsig.secret = yaml::ReadSecretReference(
      map.Require("secret", "write where the key is kept, in base64: secret: {file: tsig.key}"));
  return tsig;
}

Rfc2136Server ReadRfc2136(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with server and tsig", {"server", "zone", "tsig", "ttl", "timeout"});
  Rfc2136Server update;
  update.server = map.Require("server", "write the primary server of the zone: server: 10.0.0.53:53").HostPort();
  if (const yaml::Value zone = map.Find("zone")) update.zone = ReadDomain(zone, "the name of a zone");
  if (const yaml::Value tsig = map.Find("tsig")) update.tsig = ReadTsig(tsig);
  update.ttl = map.Find("ttl").Integer(1, kMaxTtl, update.ttl);
  update.timeout = ReadTimeout(map, update.timeout);
  return update;
}

}  // namespace

const std::vector<absl::string_view>& TxtWriterNames() {
  static const auto* const names = new std::vector<absl::string_view>{
      "exec", "acme-sh", "httpreq", "certbot-hook", "dehydrated-hook", "rfc2136", "acme-dns"};
  return *names;
}

void ReadTxtWriter(const std::string& solver, const yaml::Value& value, ChallengeConfig& challenge) {
  if (solver == "exec") challenge.writer = ReadExec(value);
  if (solver == "acme-sh") challenge.writer = ReadAcmeSh(value);
  if (solver == "httpreq") challenge.writer = ReadHttpReq(value);
  if (solver == "certbot-hook") challenge.writer = ReadCertbotHook(value);
  if (solver == "dehydrated-hook") challenge.writer = ReadDehydratedHook(value);
  if (solver == "acme-dns") challenge.writer = ReadAcmeDns(value);
  if (solver != "rfc2136") return;
  challenge.writer = ReadRfc2136(value);
  // The server that is written to says so, at no risk that a resolver remembers that there was nothing.
  challenge.follow_cname = true;
}

}  // namespace certcast::controller
