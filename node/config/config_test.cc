#include "node/config/config.h"

#include <fstream>
#include <random>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::node {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

constexpr char kExample[] = "docs/examples/node.yaml";

constexpr char kGood[] = R"(name: web-01
state: /var/lib/certcast-node
listen: 0.0.0.0:7444
allow_names: ["*.example.com", example.com]
services:
  - name: nginx
    certificate: wildcard
    files: [{path: /etc/nginx/tls/fullchain.pem, content: fullchain}]
    probes: [{tls: {address: "127.0.0.1:443", server_name: www.example.com}}]
)";

TEST(ReadConfig, ReadsTheExample) {
  const auto config = ReadConfig(kExample);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->name, "web-01");
  EXPECT_EQ(config->state, "/var/lib/certcast-node");
  EXPECT_EQ(config->listen, "0.0.0.0:7444");
  EXPECT_THAT(config->allow_names, ElementsAre("*.example.com", "example.com"));
  EXPECT_EQ(config->keep, 2);
  ASSERT_THAT(config->services, SizeIs(5));
  const Service& nginx = config->services[0];
  EXPECT_EQ(nginx.preset, "nginx");
  EXPECT_THAT(nginx.check.argv, ElementsAre("nginx", "-t"));
  EXPECT_EQ(nginx.files[0].group, "www-data");
  EXPECT_EQ(nginx.files[1].mode, 0600u);
  EXPECT_THAT(nginx.probes, SizeIs(7));
  EXPECT_EQ(config->services[1].files[0].install, FileInstall::kCopy);
  EXPECT_EQ(config->services[1].reload.timeout, absl::Seconds(20));
  EXPECT_TRUE(std::holds_alternative<HaproxyReload>(config->services[2].reload.how));
  EXPECT_TRUE(std::holds_alternative<SignalReload>(config->services[3].reload.how));
  EXPECT_TRUE(config->services[4].reload.is_disruptive());
}

TEST(ParseConfig, FillsInDefaults) {
  std::string text = kGood;
  text.replace(text.find("listen: 0.0.0.0:7444\n"), 21, "");
  text.replace(text.find("/var/lib/certcast-node"), 22, "state");
  const auto config = ParseConfig(text, "/etc/certcast/node.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->path, "/etc/certcast/node.yaml");
  EXPECT_EQ(config->state, "/etc/certcast/state");
  EXPECT_EQ(config->listen, "");
  EXPECT_EQ(config->keep, 2);
}

TEST(ParseConfig, ReadsWhereHttpChallengesGo) {
  std::string text = kGood;
  EXPECT_TRUE(ParseConfig(text, "n.yaml")->http_challenge.empty());
  EXPECT_EQ(ParseConfig(text + "http_challenge: {webroot: www}\n", "/etc/certcast/n.yaml")->http_challenge.ToString(),
            "webroot /etc/certcast/www");
  EXPECT_EQ(ParseConfig(text + "http_challenge: {listen: \"[::]:80\"}\n", "n.yaml")->http_challenge.ToString(),
            "listen [::]:80");
}

TEST(ParseConfig, OneStarAllowsEveryName) {
  std::string text = kGood;
  text.replace(text.find("[\"*.example.com\", example.com]"), 30, "[\"*\", A.Example.com]");
  const auto config = ParseConfig(text, "n.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(config->allow_names, ElementsAre("*", "a.example.com"));
}

struct Mistake {
  const char* name;
  std::string old_text;
  std::string new_text;
  std::string errors;
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.new_text;
}

class ConfigErrors : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigErrors, NameThePlaceAndWhatIsExpected) {
  std::string text = kGood;
  const size_t at = text.find(GetParam().old_text);
  ASSERT_NE(at, std::string::npos);
  const auto config = ParseConfig(text.replace(at, GetParam().old_text.size(), GetParam().new_text), "n.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(config.status().message()), GetParam().errors);
}

INSTANTIATE_TEST_SUITE_P(
    Node, ConfigErrors,
    testing::Values(
        Mistake{"Empty", kGood, "",
                "n.yaml:1:1: found nothing, expected a map with name, state, allow_names and services"},
        Mistake{"NothingRequired", kGood, "keep: 3\n", R"(n.yaml:1:1: missing key "name"
n.yaml:1:1: missing key "state"
n.yaml:1:1: missing key "allow_names"; the names that this node accepts certificates for: ["*.example.com"]
n.yaml:1:1: missing key "services")"},
        Mistake{
            "NameWithSpace", "name: web-01", "name: web 01",
            R"(n.yaml:1:7: at name: found "web 01", expected a name: lower-case letters, digits, and `.` and `-` between them, at most 63 characters)"},
        Mistake{
            "ListenWithoutPort", "0.0.0.0:7444", "0.0.0.0",
            R"(n.yaml:3:9: at listen: "0.0.0.0" is not an address: it has no port; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
        Mistake{
            "ListenByName", "0.0.0.0:7444", "web-01:7444",
            R"(n.yaml:3:9: at listen: "web-01:7444" is not an address to listen on: its host is not an IP address; 0.0.0.0:7444 listens on every IPv4 address of the machine, [::]:7444 on IPv6 as well)"},
        Mistake{"AllowsNothing", "[\"*.example.com\", example.com]", "[]",
                "n.yaml:4:14: at allow_names: found an empty list, expected a list of at least one DNS name"},
        Mistake{
            "AllowsABadName", ", example.com]", ", exam ple.com]",
            R"(n.yaml:4:32: at allow_names[1]: "exam ple.com" is not a DNS name for a certificate: has the character " ")"},
        Mistake{
            "AllowsANameTwice", ", example.com]", ", \"*.Example.com\"]",
            R"(n.yaml:4:32: at allow_names[1]: found the name "*.example.com" a second time; the first is at line 4, column 15)"},
        Mistake{"KeepsNone", "listen: 0.0.0.0:7444", "keep: 0",
                R"(n.yaml:3:7: at keep: found "0", expected a whole number from 1 to 100)"},
        Mistake{"KeepIsAText", "listen: 0.0.0.0:7444", "keep: two",
                R"(n.yaml:3:7: at keep: found "two", expected a whole number from 1 to 100)"},
        Mistake{
            "DialHome", "listen: 0.0.0.0:7444", "controller: {address: \"cc.example:7443\"}",
            R"(n.yaml:3:1: unknown key "controller"; known here: name, state, listen, allow_names, keep, services, http_challenge)"},
        Mistake{"ChallengesNowhere", "listen: 0.0.0.0:7444", "http_challenge: {}",
                "n.yaml:3:17: at http_challenge: found none of webroot, listen, expected exactly one"},
        Mistake{"ChallengesTwice", "listen: 0.0.0.0:7444",
                "http_challenge: {webroot: /var/www, listen: \"0.0.0.0:80\"}",
                "n.yaml:3:17: at http_challenge: found several of webroot, listen, expected exactly one"},
        Mistake{
            "ChallengesOnAName", "listen: 0.0.0.0:7444", "http_challenge: {listen: \"web-01:80\"}",
            R"(n.yaml:3:26: at http_challenge.listen: "web-01:80" is not an address to listen on: its host is not an IP address; 0.0.0.0:7444 listens on every IPv4 address of the machine, [::]:7444 on IPv6 as well)"},
        Mistake{
            "FileInState", "/etc/nginx/tls/", "/var/lib/certcast-node/",
            R"(n.yaml:8:20: at services[0].files[0].path: found "/var/lib/certcast-node/fullchain.pem", expected a path outside of the node's state /var/lib/certcast-node)"},
        Mistake{
            "TheControllersConfig", "listen: 0.0.0.0:7444", "master_key: {file: x}",
            R"(n.yaml:3:1: unknown key "master_key"; known here: name, state, listen, allow_names, keep, services, http_challenge)"}),
    [](const testing::TestParamInfo<Mistake>& info) { return info.param.name; });

TEST(ReadConfig, AMissingFileIsAnInputErrorWithAHint) {
  const auto config = ReadConfig("/nonexistent/node.yaml");
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(config.status().message(), "reading /nonexistent/node.yaml: No such file or directory");
  EXPECT_NE(FailureOf(config.status()).hint(), "");
}

// Whatever comes back, it comes back, and an error says where.
void Survives(const std::string& text) {
  const auto config = ParseConfig(text, "n.yaml");
  if (config.ok()) return;
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StartsWith(config.status().message(), "n.yaml:")) << config.status();
}

TEST(ParseConfig, SurvivesTruncationsAndFlippedBytes) {
  std::stringstream example;
  example << std::ifstream(kExample).rdbuf();
  const std::string text = example.str();
  ASSERT_GT(text.size(), 1000u);
  for (size_t size = 0; size < text.size(); ++size) Survives(text.substr(0, size));
  std::mt19937 random(47);
  for (int round = 0; round < 3000; ++round) {
    std::string changed = text;
    for (int flips = 1 + random() % 4; flips > 0; --flips) {
      changed[random() % changed.size()] = static_cast<char>(random());
    }
    Survives(changed);
  }
}

}  // namespace
}  // namespace certcast::node
