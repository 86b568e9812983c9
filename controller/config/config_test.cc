#include "controller/config/config.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

constexpr char kExample[] = "docs/examples/certcast.yaml";

constexpr char kSmallest[] = R"(
state: state
master_key: {credential: master}
)";

constexpr char kHead[] = R"(state: /s
master_key: {passphrase: {env: PASS}}
accounts: [{name: ca, directory: "https://ca.example/dir", terms_of_service_agreed: true}]
)";

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Config Parsed(const std::string& text) {
  auto config = ParseConfig(text, "/etc/certcast/c.yaml");
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *std::move(config) : Config{};
}

std::string TemporaryFile(const std::string& name, const std::string& text) {
  std::string path = absl::StrCat(std::getenv("TEST_TMPDIR"), "/", name);
  std::ofstream(path) << text;
  return path;
}

std::vector<std::string> NamesOf(const std::vector<const NodeConfig*>& nodes) {
  std::vector<std::string> names;
  names.reserve(nodes.size());
  for (const NodeConfig* node : nodes) names.push_back(node->name);
  return names;
}

TEST(ParseConfig, ReadsTheExample) {
  const auto config = ReadConfig(kExample);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->state, "/var/lib/certcast");
  EXPECT_EQ(config->master_key.key.kind, SecretReference::Kind::kFile);
  EXPECT_EQ(config->master_key.key.name, "/etc/certcast/master.key");
  EXPECT_TRUE(config->master_key.passphrase.empty());

  ASSERT_THAT(config->accounts, SizeIs(1));
  const AccountConfig& account = config->accounts[0];
  EXPECT_EQ(account.name, "digicert");
  EXPECT_EQ(account.directory, "https://acme.example/directory?action=renew");
  EXPECT_EQ(account.ca_file, "/etc/certcast/acme-root.pem");
  EXPECT_THAT(account.contact, ElementsAre("mailto:ops@example.com"));
  EXPECT_TRUE(account.terms_of_service_agreed);
  ASSERT_TRUE(account.external_account.has_value());
  EXPECT_EQ(account.external_account->key_id, "kid-1");
  EXPECT_EQ(account.external_account->hmac_key.name, "/etc/certcast/eab.key");

  ASSERT_THAT(config->nodes, SizeIs(3));
  EXPECT_TRUE(config->nodes[2].ssh.has_value());
  const NodeConfig& node = config->nodes[0];
  EXPECT_EQ(node.name, "web-01");
  EXPECT_EQ(node.address, "10.0.0.1:7444");
  EXPECT_THAT(node.labels, ElementsAre(Pair("rack", "a"), Pair("role", "web")));
  ASSERT_THAT(node.verify, SizeIs(2));
  EXPECT_EQ(node.verify[0].address, "10.0.0.1:443");
  EXPECT_EQ(node.verify[0].server_name, "");
  EXPECT_EQ(node.verify[1].server_name, "api.example.com");
  EXPECT_EQ(config->nodes[1].address, "[2001:db8::2]:7444");
}

TEST(ParseConfig, OneVerifyEntryMayHaveSeveralAddressesAndNames) {
  const std::string plain = R"(["10.0.0.1:443", {address: "10.0.0.1:8443", server_name: api.example.com}])";
  std::ifstream file("docs/examples/certcast.yaml");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  ASSERT_NE(text.find(plain), std::string::npos);
  text.replace(
      text.find(plain), plain.size(),
      R"([{addresses: ["10.0.0.1:25", "[::1]:25"], server_names: [a.test, b.test], starttls: smtp, certificate: wildcard}])");
  const auto config = ParseConfig(text, "/etc/certcast/c.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  const std::vector<VerifyEndpoint>& verify = config->nodes[0].verify;
  ASSERT_THAT(verify, SizeIs(4));
  EXPECT_EQ(verify[1].address, "10.0.0.1:25");
  EXPECT_EQ(verify[1].server_name, "b.test");
  EXPECT_EQ(verify[2].address, "[::1]:25");
  EXPECT_EQ(verify[2].starttls, StartTlsProtocol::kSmtp);
  for (const VerifyEndpoint& endpoint : verify) EXPECT_EQ(endpoint.certificate, "wildcard");
}

TEST(ParseConfig, ReadsTheExamplesCertificates) {
  const auto config = ReadConfig(kExample);
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_THAT(config->certificates, SizeIs(2));
  const CertificateConfig& wildcard = config->certificates[0];
  EXPECT_EQ(wildcard.account, "digicert");
  EXPECT_FALSE(wildcard.imported());
  EXPECT_THAT(wildcard.domains, ElementsAre("*.example.com", "example.com"));
  EXPECT_EQ(wildcard.DefaultServerName(), "www.example.com");
  EXPECT_EQ(wildcard.profile, "tlsserver");
  ASSERT_TRUE(wildcard.challenge.has_value());
  const auto& exec = std::get<ExecHook>(wildcard.challenge->writer);
  EXPECT_THAT(exec.command, ElementsAre("/etc/certcast/dns-hook"));
  EXPECT_FALSE(exec.raw);
  EXPECT_EQ(exec.timeout, absl::Minutes(2));
  EXPECT_THAT(wildcard.challenge->propagation.resolvers, ElementsAre("127.0.0.1:53"));
  EXPECT_EQ(wildcard.challenge->propagation.timeout, absl::Minutes(2));
  EXPECT_FALSE(wildcard.challenge->propagation.skip);
  EXPECT_DOUBLE_EQ(wildcard.renewal.at.value_or(0), 0.66);
  EXPECT_THAT(wildcard.nodes.labels, ElementsAre(Pair("role", "web")));
  const RolloutPolicy& rollout = wildcard.rollout;
  ASSERT_THAT(rollout.waves, SizeIs(3));
  EXPECT_EQ(rollout.waves[0].count, 1);
  EXPECT_EQ(rollout.waves[1].count, 0);
  EXPECT_EQ(rollout.waves[1].percent, 10);
  EXPECT_EQ(rollout.waves[2].percent, 100);
  EXPECT_EQ(rollout.parallel, 64);
  EXPECT_EQ(rollout.on_halt, RolloutPolicy::OnHalt::kRevert);
  EXPECT_EQ(rollout.soak, absl::Seconds(30));
  EXPECT_EQ(rollout.confirm_timeout, absl::Minutes(1));
  EXPECT_EQ(rollout.spread_label, "rack");
  EXPECT_EQ(rollout.spread_in_flight, 1);
  ASSERT_TRUE(rollout.windows.has_value());
  EXPECT_EQ(rollout.windows->zone.name(), "Europe/Berlin");
  EXPECT_THAT(rollout.windows->weekly, SizeIs(1));
  EXPECT_THAT(rollout.windows->blackout, SizeIs(2));

  const CertificateConfig& shop = config->certificates[1];
  EXPECT_TRUE(shop.imported());
  EXPECT_FALSE(shop.challenge.has_value());
  EXPECT_EQ(shop.DefaultServerName(), "shop.example.com");
  EXPECT_EQ(shop.ca_file, "/etc/certcast/shop-root.pem");
  EXPECT_THAT(NamesOf(config->NodesOf(shop)), ElementsAre("web-02"));
}

TEST(ParseConfig, TheSmallestIsEnoughForInit) {
  const Config config = Parsed(kSmallest);
  EXPECT_EQ(config.path, "/etc/certcast/c.yaml");
  EXPECT_EQ(config.state, "/etc/certcast/state");
  EXPECT_EQ(config.master_key.key.kind, SecretReference::Kind::kCredential);
  EXPECT_THAT(config.accounts, IsEmpty());
  EXPECT_THAT(config.certificates, IsEmpty());
  EXPECT_THAT(config.nodes, IsEmpty());
}

TEST(ParseConfig, DefaultsAreThoseOfTheStructs) {
  const Config config = Parsed(absl::StrCat(kHead, R"(
certificates:
  - name: w
    account: ca
    domains: [Example.COM]
    challenge: {type: dns-01, solver: exec, exec: {command: [hook]}}
)"));
  ASSERT_THAT(config.certificates, SizeIs(1));
  const CertificateConfig& certificate = config.certificates[0];
  EXPECT_THAT(certificate.domains, ElementsAre("example.com"));
  EXPECT_EQ(certificate.key_type, KeyType::kEcdsaP256);
  EXPECT_THAT(certificate.challenge->propagation.resolvers, IsEmpty());
  EXPECT_FALSE(certificate.renewal.at.has_value());
  EXPECT_FALSE(certificate.renewal.before_expiry.has_value());
  EXPECT_THAT(certificate.rollout.waves, SizeIs(3));
  EXPECT_EQ(certificate.rollout.parallel, 64);
  EXPECT_EQ(certificate.rollout.max_failures, 0);
  EXPECT_FALSE(certificate.rollout.max_unreachable.has_value());
  EXPECT_THAT(config.NodesOf(certificate), IsEmpty());
  EXPECT_EQ(config.master_key.passphrase.kind, SecretReference::Kind::kEnvironment);
}

TEST(ParseConfig, ProgramsWithASlashAreRelativeToTheFile) {
  const Config config = Parsed(absl::StrCat(kHead, R"(
certificates:
  - {name: a, account: ca, domains: [a.example.com], ca_file: ../roots/a.pem,
     challenge: {type: dns-01, solver: exec, exec: {command: [./hooks/dns, ./x], raw: true, timeout: 1m30s}}}
)"));
  const auto& exec = std::get<ExecHook>(config.certificates[0].challenge->writer);
  EXPECT_THAT(exec.command, ElementsAre("/etc/certcast/hooks/dns", "./x"));
  EXPECT_TRUE(exec.raw);
  EXPECT_EQ(exec.timeout, absl::Seconds(90));
  EXPECT_EQ(config.certificates[0].ca_file, "/etc/roots/a.pem");
}

ChallengeConfig ReadSolver(const std::string& solver) {
  const Config config = Parsed(absl::StrCat(
      kHead, "certificates:\n  - {name: w, account: ca, domains: [example.com], challenge: {type: dns-01, ", solver,
      "}}\n"));
  EXPECT_THAT(config.certificates, SizeIs(1));
  return config.certificates.empty() ? ChallengeConfig() : *config.certificates[0].challenge;
}

TEST(ParseConfig, ReadsTheHooksOfOtherClients) {
  const auto certbot = std::get<CertbotHook>(
      ReadSolver("solver: certbot-hook, certbot-hook: {auth: [./auth.sh, x], cleanup: [clean], timeout: 9s}").writer);
  EXPECT_THAT(certbot.auth, ElementsAre("/etc/certcast/auth.sh", "x"));
  EXPECT_THAT(certbot.cleanup, ElementsAre("clean"));
  EXPECT_EQ(certbot.timeout, absl::Seconds(9));
  const auto dehydrated =
      std::get<DehydratedHook>(ReadSolver("solver: dehydrated-hook, dehydrated-hook: {command: [/hook.sh]}").writer);
  EXPECT_THAT(dehydrated.command, ElementsAre("/hook.sh"));
}

TEST(ParseConfig, FindsTheApisBesideAcmeSh) {
  const auto sh = std::get<AcmeShApi>(
      ReadSolver("solver: acme-sh, acme-sh: {script: /root/.acme.sh/acme.sh, api: dns_cf, variables: {CF_Token: {file: "
                 "cf.token}}}")
          .writer);
  EXPECT_EQ(sh.apis, "/root/.acme.sh/dnsapi");
  EXPECT_EQ(sh.home, "/root/.acme.sh");
  ASSERT_EQ(sh.variables.size(), 1u);
  EXPECT_EQ(sh.variables[0].first, "CF_Token");
  EXPECT_EQ(sh.variables[0].second.name, "/etc/certcast/cf.token");
  const auto other = std::get<AcmeShApi>(
      ReadSolver("solver: acme-sh, acme-sh: {script: /a/acme.sh, api: dns_x, apis: apis, home: /var/lib/acme}").writer);
  EXPECT_EQ(other.apis, "/etc/certcast/apis");
  EXPECT_EQ(other.home, "/var/lib/acme");
}

TEST(ParseConfig, ReadsTheServicesThatWriteRecords) {
  const auto http = std::get<HttpReqService>(
      ReadSolver(
          R"(solver: httpreq, httpreq: {endpoint: "https://dns.example.com/api/", username: u, password: {env: P},
                    raw: true, ca_file: ca.pem})")
          .writer);
  EXPECT_EQ(http.endpoint, "https://dns.example.com/api");
  EXPECT_EQ(http.username, "u");
  EXPECT_TRUE(http.raw);
  EXPECT_EQ(http.ca_file, "/etc/certcast/ca.pem");
  const auto dns = std::get<AcmeDnsService>(
      ReadSolver(R"(solver: acme-dns, acme-dns: {endpoint: "https://auth.example.net", accounts: {file: a.json}})")
          .writer);
  EXPECT_EQ(dns.endpoint, "https://auth.example.net");
  EXPECT_EQ(dns.accounts.name, "/etc/certcast/a.json");
}

TEST(ParseConfig, WhatAnOrderIsLikeIsTaken) {
  const Config config = Parsed(absl::StrCat(kHead, R"(
certificates:
  - {name: a, account: ca, domains: [a.example.com], reuse_key: true, profile: tlsserver,
     preferred_chain: {root_sha256: "96:BC:EC:06:26:49:76:F3:74:60:77:9A:CF:28:C5:A7:CF:E8:A3:C0:AA:E1:1A:8F:FC:EE:05:C0:BD:DF:08:C6"},
     challenge: {type: dns-01, solver: exec, exec: {command: [/hook]}}}
  - {name: b, accounts: [ca], domains: [b.example.com], renewal: {ari: false, before_expiry: 15d},
     preferred_chain: {issuer: ISRG Root X1}, challenge: {type: dns-01, solver: exec, exec: {command: [/hook]}}}
)"));
  const CertificateConfig& a = config.certificates[0];
  EXPECT_TRUE(a.reuse_key);
  EXPECT_TRUE(a.renewal.ari);
  EXPECT_EQ(a.chain.ToString(), "root 96bcec06264976f37460779acf28c5a7cfe8a3c0aae11a8ffcee05c0bddf08c6");
  const CertificateConfig& b = config.certificates[1];
  EXPECT_FALSE(b.renewal.ari);
  EXPECT_THAT(b.Accounts(), ElementsAre("ca"));
  EXPECT_EQ(b.chain.ToString(), "issuer ISRG Root X1");
}

TEST(ParseConfig, WhatEndsOfAContractIsTaken) {
  const Config config = Parsed(R"(state: s
master_key: {file: k}
accounts:
  - {name: first, directory: "https://a.example/d", terms_of_service_agreed: true,
     external_account: {key_id: k, hmac_key: {file: eab.key}, algorithm: HS512},
     ends: {contract: 2027-03-31, external_account: 2026-12-31}}
  - {name: second, directory: "https://b.example/d", terms_of_service_agreed: true}
certificates:
  - {name: a, accounts: [first, second], domains: [a.example.com],
     challenge: {type: dns-01, solver: exec, exec: {command: [/hook]}}}
)");
  const AccountConfig& account = config.accounts[0];
  EXPECT_EQ(account.external_account->algorithm, "HS512");
  ASSERT_THAT(account.ends, SizeIs(2));
  EXPECT_EQ(account.ends[0].what, "contract");
  EXPECT_EQ(account.ends[0].at, absl::FromCivil(absl::CivilDay(2027, 4, 1), absl::UTCTimeZone()));
  EXPECT_EQ(account.ends[1].what, "external_account");
  EXPECT_THAT(config.certificates[0].Accounts(), ElementsAre("first", "second"));
}

TEST(ParseConfig, RolloutSettingsAreTaken) {
  const Config config = Parsed(absl::StrCat(kHead, R"(
certificates:
  - name: w
    domains: [example.com]
    renewal: {before_expiry: 15d}
    nodes: all
    rollout: {waves: [1, 5, 0.5%, 100%], parallel: 2, max_failures: 3, max_unreachable: 4, on_halt: stop, soak: 0,
              confirm_timeout: 5s, node_timeout: 10m, timeout: 2h, spread: {label: rack, in_flight: 2}}
nodes: [{name: n, address: "grpc://h_1:1", labels: {rack: 1}}]
)"));
  const CertificateConfig& certificate = config.certificates[0];
  EXPECT_EQ(certificate.renewal.before_expiry, absl::Hours(15 * 24));
  EXPECT_TRUE(certificate.nodes.all);
  EXPECT_EQ(certificate.rollout.waves[1].count, 5);
  EXPECT_EQ(certificate.rollout.waves[2].percent, 0.5);
  EXPECT_EQ(certificate.rollout.parallel, 2);
  EXPECT_EQ(certificate.rollout.max_failures, 3);
  EXPECT_EQ(certificate.rollout.max_unreachable, 4);
  EXPECT_EQ(certificate.rollout.on_halt, RolloutPolicy::OnHalt::kStop);
  EXPECT_EQ(certificate.rollout.soak, absl::ZeroDuration());
  EXPECT_EQ(certificate.rollout.confirm_timeout, absl::Seconds(5));
  EXPECT_EQ(certificate.rollout.node_timeout, absl::Minutes(10));
  EXPECT_EQ(certificate.rollout.timeout, absl::Hours(2));
  EXPECT_EQ(certificate.rollout.spread_in_flight, 2);
  EXPECT_EQ(config.nodes[0].labels.at("rack"), "1");
  EXPECT_THAT(NamesOf(config.NodesOf(certificate)), ElementsAre("n"));
}

TEST(ParseConfig, NodesComeInTheOrderOfTheFile) {
  const Config config = Parsed(absl::StrCat(kHead, R"(
certificates: [{name: w, domains: [example.com], nodes: [c, a]}]
nodes: [{name: a, address: "grpc://a:1"}, {name: b, address: "grpc://b:1"}, {name: c, address: "grpc://c:1"}]
)"));
  EXPECT_THAT(NamesOf(config.NodesOf(config.certificates[0])), ElementsAre("a", "c"));
}

TEST(ParseConfig, AConfigMadeByHandFindsItsEntriesToo) {
  Config config;
  config.nodes.push_back({.name = "a"});
  config.certificates.push_back({.name = "w"});
  EXPECT_EQ(config.FindNode("a"), &config.nodes[0]);
  EXPECT_EQ(config.FindNode("b"), nullptr);
  EXPECT_EQ(config.FindCertificate("w"), &config.certificates[0]);
  EXPECT_EQ(config.FindAccount("ca"), nullptr);
}

TEST(ParseConfig, ACopyFindsItsOwnEntries) {
  const Config config = Parsed(absl::StrCat(kHead, "nodes: [{name: a, address: \"grpc://a:1\"}]\n"));
  const Config copy = config;
  EXPECT_EQ(copy.FindNode("a"), &copy.nodes[0]);
  EXPECT_EQ(copy.FindAccount("ca"), &copy.accounts[0]);
}

TEST(ParseConfig, ShowsTwentyErrorsInTheOrderOfTheFile) {
  std::string text = absl::StrCat(kHead, "nodes:\n");
  for (int i = 0; i < 30; ++i) absl::StrAppend(&text, "  - {name: n", i, ", address: x}\n");
  absl::StrAppend(&text, "stat: x\n");
  const auto config = ParseConfig(text, "c.yaml");
  ASSERT_FALSE(config.ok());
  const std::vector<std::string> lines = absl::StrSplit(std::string(config.status().message()), '\n');
  ASSERT_THAT(lines, SizeIs(21));
  EXPECT_THAT(lines[0], HasSubstr("c.yaml:5:25: at nodes[0].address:"));
  EXPECT_THAT(lines[19], HasSubstr("c.yaml:24:26: at nodes[19].address:"));
  EXPECT_EQ(lines[20], "and 11 more");
}

TEST(ParseConfig, AMissingFileIsAnInputErrorWithAHint) {
  const auto config = ReadConfig("/nonexistent/certcast.yaml");
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(config.status().message(), "reading /nonexistent/certcast.yaml: No such file or directory");
  EXPECT_EQ(FailureOf(config.status()).hint(), "write one (docs/examples/ has some) or name another with --config");
}

TEST(ParseConfig, ADirectoryIsNotAConfig) {
  const auto config = ReadConfig("/");
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(config.status().message(), "reading /: Is a directory");
}

TEST(ParseConfig, RefusesAFileThatEverybodyMayWrite) {
  const std::string path = TemporaryFile("open.yaml", kSmallest);
  std::filesystem::permissions(path, std::filesystem::perms(0666));
  const auto open = ReadConfig(path);
  EXPECT_EQ(open.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::EndsWith(open.status().message(), "everybody may write to it"));
  std::filesystem::permissions(path, std::filesystem::perms(0664));
  EXPECT_TRUE(ReadConfig(path).ok());
}

TEST(ParseConfig, RefusesAFileOfMoreThanSixteenMebibytes) {
  const std::string path = TemporaryFile("large.yaml", absl::StrCat(kSmallest, std::string(16 << 20, '#')));
  EXPECT_THAT(std::string(ReadConfig(path).status().message()), HasSubstr("larger than 16777216 bytes"));
}

std::string FleetOf(int nodes) {
  std::string text = absl::StrCat(kHead, R"(
certificates:
  - {name: labelled, domains: [example.com], nodes: {role: web}, rollout: {spread: {label: rack}}}
  - name: listed
    domains: [example.com]
    nodes:
)");
  for (int i = 0; i < nodes; ++i) absl::StrAppend(&text, "      - web-", i, "\n");
  absl::StrAppend(&text, "nodes:\n");
  for (int i = 0; i < nodes; ++i) {
    absl::StrAppend(&text, "  - {name: web-", i, ", address: \"grpc://10.", i >> 16, ".", i >> 8 & 255, ".", i & 255,
                    ":7444\", labels: {role: web, rack: r", i % 100, "}, verify: [\"10.0.0.1:443\"]}\n");
  }
  return text;
}

// Seconds to parse a fleet of so many, and to find each of its nodes.
double SecondsFor(int nodes) {
  const std::string text = FleetOf(nodes);
  const auto start = std::chrono::steady_clock::now();
  const Config config = Parsed(text);
  EXPECT_THAT(config.nodes, SizeIs(nodes));
  EXPECT_THAT(config.NodesOf(*config.FindCertificate("listed")), SizeIs(nodes));
  for (const NodeConfig& node : config.nodes) EXPECT_EQ(config.FindNode(node.name), &node);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(ParseConfig, TwentyThousandNodesTakeSecondsNotMinutes) {
  const double seconds = SecondsFor(20'000);
  RecordProperty("seconds", absl::StrCat(seconds));
  // Generous: it is about the growth, which anything quadratic would show.
  EXPECT_LT(seconds, 30);
}

// Whatever comes back, it comes back, and an error says where.
void Survives(const std::string& text) {
  const auto config = ParseConfig(text, "c.yaml");
  if (config.ok()) return;
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StartsWith(config.status().message(), "c.yaml:")) << config.status();
}

TEST(ParseConfig, SurvivesEveryTruncation) {
  const std::string text = ReadText(kExample);
  ASSERT_GT(text.size(), 1000u);
  for (size_t size = 0; size < text.size(); ++size) Survives(text.substr(0, size));
}

TEST(ParseConfig, SurvivesFlippedBytes) {
  const std::string text = ReadText(kExample);
  std::mt19937 random(20260315);
  const std::string special = "{}[],:-#&*!|>'\"%@`\n\t ?~<=\\\x04";
  for (int round = 0; round < 3000; ++round) {
    std::string changed = text;
    for (int flips = 1 + random() % 4; flips > 0; --flips) {
      char& byte = changed[random() % changed.size()];
      byte = round % 2 == 0 ? special[random() % special.size()] : static_cast<char>(random());
    }
    Survives(changed);
  }
}

}  // namespace
}  // namespace certcast::controller
