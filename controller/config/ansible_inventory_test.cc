// Hosts of an inventory as nodes, and the exact words for what is wrong with one.
#include "controller/config/ansible_inventory.h"

#include <sys/stat.h>

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "controller/config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using certcast::testing::IsOk;
using certcast::testing::TemporaryDirectory;
using certcast::testing::WriteFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Of one host with these variables.
std::string OneHost(const std::string& variables) {
  return absl::StrCat(R"({"_meta": {"hostvars": {"web-01": {)", variables, R"(}}}, "all": {"children": ["web"]},
    "web": {"hosts": ["web-01"]}})");
}

absl::StatusOr<std::vector<InventoryHost>> Parse(const std::string& json, const InventoryDefaults& defaults = {}) {
  return ParseAnsibleInventory(json, "inventory.json", defaults, "/root");
}

std::string EntryOf(const std::string& variables, const InventoryDefaults& defaults = {}) {
  const auto hosts = Parse(OneHost(variables), defaults);
  return hosts.ok() ? hosts->front().entry : std::string(hosts.status().message());
}

struct Login {
  const char* variables;
  // Behind the name, before the labels.
  std::string entry;
};

void PrintTo(const Login& login, std::ostream* out) {
  *out << login.variables;
}

class Logins : public ::testing::TestWithParam<Login> {};

TEST_P(Logins, AreThoseOfAnsible) {
  EXPECT_EQ(EntryOf(GetParam().variables),
            absl::StrCat(R"({name: "web-01", address: )", GetParam().entry, R"(, labels: {"web": "member"}})"));
}

INSTANTIATE_TEST_SUITE_P(
    Variables, Logins,
    ::testing::Values(
        Login{"", R"("ssh://web-01")"},
        Login{R"("ansible_host": "10.0.0.9", "ansible_user": "deploy", "ansible_port": 2222)",
              R"("ssh://deploy@10.0.0.9:2222")"},
        Login{R"("ansible_ssh_host": "10.0.0.9", "ansible_ssh_user": "deploy", "ansible_ssh_port": "2222")",
              R"("ssh://deploy@10.0.0.9:2222")"},
        Login{R"("ansible_host": "2001:db8::9", "ansible_port": 22)", R"("ssh://[2001:db8::9]:22")"},
        Login{R"("ansible_host": {"__ansible_unsafe": "10.0.0.9"})", R"("ssh://10.0.0.9")"},
        Login{R"("ansible_ssh_private_key_file": "/etc/certcast/key")",
              R"("ssh://web-01", ssh: {key: {file: "/etc/certcast/key"}})"},
        Login{R"("ansible_private_key_file": "~/.ssh/id")", R"("ssh://web-01", ssh: {key: {file: "/root/.ssh/id"}})"},
        Login{R"("ansible_become": true)", R"("ssh://web-01", ssh: {sudo: true})"},
        Login{R"("ansible_become": "no", "ansible_become_method": "su")", R"("ssh://web-01", ssh: {sudo: false})"},
        Login{R"("ansible_connection": "smart", "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -q")",
              R"("ssh://web-01")"},
        Login{R"("ansible_ssh_common_args": "-J ops@bastion:2022,inner -l deploy -p 23 -i /k")",
              R"("ssh://deploy@web-01:23", ssh: {key: {file: "/k"}, jump: ["ops@bastion:2022", "inner"]})"},
        Login{R"("ansible_ssh_common_args": "-o ProxyJump=ops@bastion")",
              R"("ssh://web-01", ssh: {jump: ["ops@bastion"]})"},
        Login{R"("ansible_ssh_common_args": "-oProxyJump=none '-o IdentityFile /k'")",
              R"("ssh://web-01", ssh: {key: {file: "/k"}})"},
        Login{R"("ansible_ssh_common_args": "-o ProxyCommand=\"ssh -W %h:%p -q -p 2022 ops@bastion\"")",
              R"("ssh://web-01", ssh: {jump: ["ops@bastion:2022"]})"},
        Login{R"("ansible_ssh_extra_args": "-o 'ProxyCommand /usr/bin/ssh -l ops -J first -W \"[%h]:%p\" bastion'")",
              R"("ssh://web-01", ssh: {jump: ["first", "ops@bastion"]})"},
        Login{R"("certcast_services": ["nginx", "postfix"])", R"("ssh://web-01", services: ["nginx", "postfix"])"},
        Login{R"("certcast_address": "grpc://10.0.0.9:7444")", R"("grpc://10.0.0.9:7444")"},
        Login{R"("ansible_connection": "winrm", "certcast_address": "grpc://10.0.0.9:7444")",
              R"("grpc://10.0.0.9:7444")"}));

TEST(AnsibleInventoryTest, AHostsOwnVariablesGoBeforeTheDefaults) {
  const InventoryDefaults defaults = {
      .services = {"nginx"}, .state = "/srv/node", .labels = {{"role", "web"}}, .verify = {":443"}};
  EXPECT_EQ(
      EntryOf(R"("ansible_host": "10.0.0.9")", defaults),
      R"({name: "web-01", address: "ssh://10.0.0.9", state: "/srv/node", services: ["nginx"], labels: {"role": "web", "web": "member"}, )"
      R"(verify: ["10.0.0.9:443"]})");
  EXPECT_EQ(
      EntryOf(R"("certcast_services": ["postfix"], "certcast_labels": {"role": "mail", "rack": 7},
                       "certcast_verify": ["mail:25", ":465"])",
              defaults),
      R"({name: "web-01", address: "ssh://web-01", state: "/srv/node", services: ["postfix"], labels: {"rack": "7", "role": "mail", )"
      R"("web": "member"}, verify: ["mail:25", "web-01:465"]})");
}

TEST(AnsibleInventoryTest, AgentsMayListenOnEachHost) {
  EXPECT_EQ(EntryOf(R"("ansible_host": "2001:db8::9")", {.agent_port = 7444}),
            R"({name: "web-01", address: "grpc://[2001:db8::9]:7444", labels: {"web": "member"}})");
}

TEST(AnsibleInventoryTest, AGroupHasTheHostsOfThoseBelowEachOnceAndTheyAreLabelled) {
  const std::string json = R"({"_meta": {"hostvars": {}},
    "all": {"children": ["ungrouped", "web", "rack_a"]}, "ungrouped": {"hosts": ["lone"]},
    "web": {"hosts": ["w1"], "children": ["shop"]}, "shop": {"hosts": ["w2", "w1"], "children": ["web"]},
    "rack_a": {"hosts": ["w2"]}})";
  const auto names = [&](const std::string& group) {
    const auto hosts = Parse(json, {.group = group});
    std::vector<std::string> names;
    if (!hosts.ok()) return std::vector<std::string>{std::string(hosts.status().message())};
    for (const InventoryHost& host : *hosts) names.push_back(host.name);
    return names;
  };
  EXPECT_THAT(names("web"), ElementsAre("w1", "w2"));
  EXPECT_THAT(names("rack_a"), ElementsAre("w2"));
  EXPECT_THAT(names("all"), ElementsAre("lone", "w1", "w2"));
  EXPECT_THAT(Parse(json, {.group = "rack_a"})->front().entry,
              HasSubstr(R"(labels: {"rack_a": "member", "shop": "member", "web": "member"})"));
  EXPECT_THAT(names("wed"), ElementsAre("inventory.json: there is no group wed; did you mean web?"));
}

struct Mistake {
  std::string json;
  std::string error;
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.json;
}

class Mistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, NameTheHostAndWhatIsExpected) {
  const auto hosts = Parse(GetParam().json);
  EXPECT_EQ(hosts.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(hosts.status().message(), GetParam().error);
}

constexpr char kMade[] = "; it is made by: ansible-inventory -i INVENTORY --list > inventory.json";
constexpr char kWay[] = "; say the way with -J user@host or -o ProxyJump=user@host, or in ssh: {jump: [...]}";

INSTANTIATE_TEST_SUITE_P(
    Inventories, Mistakes,
    ::testing::Values(
        Mistake{
            "web-01 ansible_host=10.0.0.9\n",
            absl::StrCat(
                "inventory.json: expected the JSON of an inventory, found no JSON: parse error at line 1, column 1: "
                "syntax error while parsing value - invalid literal; last read: 'w'",
                kMade)},
        Mistake{"{}", absl::StrCat("inventory.json: found no `_meta`, expected the JSON of an inventory", kMade)},
        Mistake{
            R"({"_meta": {}})",
            absl::StrCat("inventory.json: found no `_meta.hostvars`, expected the variables of hosts there", kMade)},
        Mistake{R"({"_meta": {"hostvars": {}}, "web": ["web-01"]})",
                absl::StrCat("inventory.json: group web: expected a map", kMade)},
        Mistake{
            R"({"_meta": {"hostvars": {}}, "web": {"hosts": ["web-01"], "vars": {}}})",
            "inventory.json: group web: found `vars`, expected them among those of each host; leave --export out of "
            "ansible-inventory --list"},
        Mistake{R"({"_meta": {"hostvars": {}}, "all": {"hosts": [7]}})",
                absl::StrCat("inventory.json: group all: found 7 among its hosts", kMade,
                             "\ninventory.json: the group all has no hosts")},
        Mistake{R"({"_meta": {"hostvars": {}}, "all": {}})", "inventory.json: the group all has no hosts"},
        Mistake{R"({"_meta": {"hostvars": {}}, "all": {"hosts": ["Web_01"]}})",
                "inventory.json: host Web_01: found \"Web_01\", expected a name: lower-case letters, digits, and `.` "
                "and `-` "
                "between them, at most 63 characters"},
        Mistake{OneHost(R"("ansible_port": 0)"),
                "inventory.json: host web-01: ansible_port: found 0, expected a port of 1 to 65535"},
        Mistake{OneHost(R"("ansible_port": "ssh")"),
                "inventory.json: host web-01: ansible_port: found \"ssh\", expected a port of 1 to 65535"},
        Mistake{
            OneHost(R"("ansible_host": ["10.0.0.9"])"),
            "inventory.json: host web-01: ansible_host: found [\"10.0.0.9\"], expected a text of at most 1024 bytes"},
        Mistake{
            OneHost(R"("ansible_host": "{{ inventory_hostname }}.example.com")"),
            "inventory.json: host web-01: ansible_host: found the template \"{{ inventory_hostname }}.example.com\", "
            "expected a value; ansible-inventory leaves templates as they are; write the value itself for this host"},
        Mistake{OneHost(R"("ansible_user": {"__ansible_vault": "$ANSIBLE_VAULT;1.1;AES256"})"),
                "inventory.json: host web-01: ansible_user: found a value that Ansible Vault has encrypted, expected a "
                "text; "
                "certcast can't decrypt it"},
        Mistake{OneHost(R"("ansible_connection": "local")"),
                "inventory.json: host web-01: ansible_connection: found local, expected ssh; certcast_address: "
                "grpc://HOST:PORT is for a host with an agent"},
        Mistake{OneHost(R"("ansible_become": "perhaps")"),
                "inventory.json: host web-01: ansible_become: found \"perhaps\", expected true or false"},
        Mistake{OneHost(R"("ansible_become": true, "ansible_become_method": "su")"),
                "inventory.json: host web-01: ansible_become_method: found su, expected sudo; certcast becomes root by "
                "`sudo "
                "-n` alone"},
        Mistake{
            OneHost(R"("ansible_ssh_private_key_file": "~ops/key")"),
            "inventory.json: host web-01: ansible_ssh_private_key_file: found the key ~ops/key, expected an absolute "
            "path"},
        Mistake{
            OneHost(R"("ansible_ssh_common_args": "-o ProxyCommand='nc -X 5 %h %p'")"),
            absl::StrCat("inventory.json: host web-01: ansible_ssh_common_args: found the ProxyCommand nc -X 5 %h %p, "
                         "expected a jump host",
                         kWay)},
        Mistake{OneHost(R"("ansible_ssh_common_args": "-o 'ProxyJump")"),
                "inventory.json: host web-01: ansible_ssh_common_args: found a quote that is not closed"},
        Mistake{OneHost(R"("ansible_ssh_common_args": "-J")"),
                absl::StrCat("inventory.json: host web-01: ansible_ssh_common_args: found -J without a value", kWay)},
        Mistake{
            OneHost(R"("ansible_ssh_common_args": "bastion")"),
            absl::StrCat("inventory.json: host web-01: ansible_ssh_common_args: found bastion, expected options of ssh",
                         kWay)},
        Mistake{
            OneHost(R"("ansible_ssh_common_args": "-F /etc/ssh/other")"),
            "inventory.json: host web-01: ansible_ssh_common_args: found -F, a configuration of ssh; use_ssh_config: "
            "true under ssh reads the usual ones"},
        Mistake{OneHost(R"("certcast_services": "nginx")"),
                "inventory.json: host web-01: certcast_services: found \"nginx\", expected a list"},
        Mistake{OneHost(R"("certcast_labels": ["web"])"),
                "inventory.json: host web-01: certcast_labels: found [\"web\"], expected a map such as {\"rack\": "
                "\"a\"}"}));

TEST(AnsibleInventoryTest, AtMostTwentyMistakesAreShown) {
  std::string hosts;
  for (int i = 0; i < 30; ++i) absl::StrAppend(&hosts, i == 0 ? "" : ", ", "\"HOST", i, "\"");
  const auto parsed = Parse(absl::StrCat(R"({"_meta": {"hostvars": {}}, "all": {"hosts": [)", hosts, "]}}"));
  EXPECT_THAT(std::string(parsed.status().message()), ::testing::EndsWith("\nand 10 more"));
}

// In certcast.yaml.
class NodesOfAnInventoryTest : public ::testing::Test {
 protected:
  absl::StatusOr<Config> Read(const std::string& nodes, const std::string& json, const std::string& for_nodes = "all") {
    EXPECT_THAT(WriteFile(directory_.path() + "/inventory.json", json), IsOk());
    return ParseConfig(absl::Substitute(R"(state: /var/lib/certcast
master_key: {file: master.key}
certificates:
  - {name: wildcard, domains: ["*.example.com"], nodes: $1}
ssh: {key: {file: key}, known_hosts: known_hosts}
services:
  - name: nginx
    certificate: wildcard
    files: [{path: /etc/nginx/tls/both.pem, content: combined}]
    reload: none
    probes: [{tls: {address: "127.0.0.1:443", server_name: www.example.com}}]
nodes: $0
)",
                                        nodes, for_nodes),
                       directory_.path() + "/certcast.yaml");
  }
  std::string Error(const std::string& nodes, const std::string& json, const std::string& for_nodes = "all") {
    std::string text(Read(nodes, json, for_nodes).status().message());
    const std::string folder = directory_.path() + "/";
    for (size_t at = text.find(folder); at != std::string::npos; at = text.find(folder)) text.erase(at, folder.size());
    return text;
  }

  const TemporaryDirectory directory_;
};

constexpr char kNodes[] =
    "{ansible_inventory: {file: inventory.json, group: web, services: [nginx], verify: [\":443\"]}}";

TEST_F(NodesOfAnInventoryTest, AreNodesAsAnyOther) {
  const auto config = Read(kNodes, OneHost(R"("ansible_host": "10.0.0.9", "ansible_user": "deploy",
      "ansible_ssh_private_key_file": "keys/web", "ansible_ssh_common_args": "-J ops@bastion", "ansible_become": true)"),
                           "{web: member}");
  ASSERT_THAT(config, IsOk());
  ASSERT_EQ(config->nodes.size(), 1u);
  const NodeConfig& node = config->nodes[0];
  EXPECT_EQ(node.name, "web-01");
  ASSERT_TRUE(node.ssh.has_value());
  EXPECT_EQ(node.ssh->server.ToString(), "deploy@10.0.0.9:22");
  EXPECT_EQ(node.ssh->options.key.file, directory_.path() + "/keys/web");
  EXPECT_EQ(node.ssh->options.known_hosts, directory_.path() + "/known_hosts");
  ASSERT_EQ(node.ssh->options.jump.size(), 1u);
  EXPECT_EQ(node.ssh->options.jump[0].ToString(), "ops@bastion:22");
  EXPECT_TRUE(node.ssh->options.sudo);
  EXPECT_THAT(node.ssh->services, ElementsAre("nginx"));
  ASSERT_EQ(node.verify.size(), 1u);
  EXPECT_EQ(node.verify[0].address, "10.0.0.9:443");
  EXPECT_EQ(config->NodesOf(config->certificates[0]).size(), 1u);
}

TEST_F(NodesOfAnInventoryTest, MistakesHaveThePlaceInTheFileAndTheHost) {
  EXPECT_EQ(
      Error("{ansible_inventory: {file: nowhere.json}}", "{}"),
      "certcast.yaml:12:35: at nodes.ansible_inventory.file: looking at nowhere.json: No such file or directory; it is "
      "made by: ansible-inventory -i INVENTORY --list > inventory.json");
  EXPECT_EQ(Error(kNodes, OneHost(R"("ansible_port": 0)")),
            "certcast.yaml:12:35: at nodes.ansible_inventory.file: inventory.json: host web-01: ansible_port: found 0, "
            "expected a port of 1 to 65535");
  EXPECT_EQ(
      Error(kNodes, OneHost("")),
      "certcast.yaml:12:28: at nodes.ansible_inventory: host web-01 of inventory.json: at address: found no user for "
      "web-01, expected user@web-01; with use_ssh_config: true it may be named there");
  EXPECT_EQ(Error(kNodes, OneHost(R"("ansible_user": "deploy", "certcast_services": ["nginy"])")),
            "certcast.yaml:12:28: at nodes.ansible_inventory: host web-01 of inventory.json: at services[0]: found "
            "\"nginy\", "
            "expected the name of a service under the file's `services`; did you mean nginx?");
  EXPECT_EQ(Error(kNodes, OneHost(R"("ansible_user": "deploy")"), "{wed: member}"),
            "certcast.yaml:4:63: at certificates[0].nodes.wed: no node has the label \"wed\"; did you mean web?");
  EXPECT_EQ(Error("{ansible_inventory: {file: inventory.json, groups: web}}",
                  OneHost(R"("ansible_user": "deploy", "certcast_services": ["nginx"])")),
            "certcast.yaml:12:51: at nodes.ansible_inventory: unknown key \"groups\"; did you mean group?");
  EXPECT_EQ(Error("{inventory: inventory.json}", OneHost("")),
            "certcast.yaml:12:8: at nodes: missing key \"ansible_inventory\"\n"
            "certcast.yaml:12:9: at nodes: unknown key \"inventory\"; known here: ansible_inventory");
  EXPECT_EQ(
      Error("{ansible_inventory: {file: inventory.json, services: [nginx], agent_port: 7444}}", OneHost("")),
      "certcast.yaml:12:61: at nodes.ansible_inventory.services: found services beside agent_port, expected one of the "
      "two; an agent has it in its own node.yaml");
}

TEST_F(NodesOfAnInventoryTest, AnInventoryThatEverybodyMayWriteToIsRefused) {
  ASSERT_THAT(Read(kNodes, OneHost(R"("ansible_user": "deploy")")), IsOk());
  const std::string path = directory_.path() + "/inventory.json";
  ASSERT_EQ(chmod(path.c_str(), 0666), 0);
  EXPECT_THAT(ReadAnsibleInventory(path, {}).status().message(), HasSubstr("everybody may write to it"));
}

}  // namespace
}  // namespace certcast::controller
