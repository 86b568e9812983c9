// certcast.yaml for hosts that are reached over ssh. Mistakes: each case changes one place of a good configuration.
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/service/read.h"
#include "common/yaml/document.h"
#include "controller/config/config.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr char kGood[] = R"(state: /var/lib/certcast
master_key: {file: master.key}
certificates:
  - {name: wildcard, domains: ["*.example.com", example.com], nodes: {role: web}}
  - {name: mail, domains: [mx.example.com, example.com], nodes: [old-02]}
ssh:
  key: {file: id_ed25519, passphrase: {env: SSH_PASS}}
  certificate: id_ed25519-cert.pub
  known_hosts: known_hosts
  agent_binary: bin/certcast-node
  jump: [ops@bastion.example.com, "ops@[2001:db8::1]:2222"]
  connect_timeout: 5s
services:
  - name: nginx
    certificate: wildcard
    preset: nginx
    files: [{path: /etc/nginx/tls/all.pem, content: combined, mode: 0640}]
    probes: [{tls: {address: "127.0.0.1:443", server_name: www.example.com, timeout: 10s}}]
  - name: other
    certificate: wildcard
    files: [{path: /etc/nginx/tls/all.pem, content: combined}]
    probes: [{tls: {address: "127.0.0.1:443", server_name: www.example.com}}]
  - name: postfix
    certificate: mail
    files: [{path: /etc/postfix/tls.pem, content: combined}]
    reload: [/usr/sbin/postfix, reload]
    probes: [{tls: {address: "127.0.0.1:25", server_name: mx.example.com, starttls: smtp}}]
nodes:
  - {name: old-01, address: "ssh://deploy@10.0.0.9:2022", labels: {role: web}, services: [nginx]}
  - {name: old-02, address: "ssh://deploy@old-02.example.com", services: [postfix, nginx], state: /srv/certcast,
     ssh: {sudo: true, jump: [], agent_directory: /opt/certcast}}
  - {name: old-03, address: "ssh://web_3", services: [other], ssh: {use_ssh_config: true}}
  - {name: web-01, address: "grpc://10.0.0.1:7444", labels: {role: web}}
)";

Config Good() {
  auto config = ParseConfig(kGood, "/etc/certcast/c.yaml");
  EXPECT_TRUE(config.ok()) << config.status();
  return config.ok() ? *std::move(config) : Config();
}

SshNode NodeOf(const Config& config, absl::string_view name) {
  const NodeConfig* node = config.FindNode(name);
  EXPECT_TRUE(node != nullptr && node->ssh.has_value()) << name;
  return node == nullptr ? SshNode() : node->ssh.value_or(SshNode());
}

TEST(SshNodes, ReadHowTheyAreReached) {
  const SshNode node = NodeOf(Good(), "old-01");
  EXPECT_EQ(node.server.ToString(), "deploy@10.0.0.9:2022");
  EXPECT_EQ(node.options.key.file, "/etc/certcast/id_ed25519");
  EXPECT_EQ(node.options.key.passphrase.Describe(), "environment variable SSH_PASS");
  EXPECT_EQ(node.options.certificate, "/etc/certcast/id_ed25519-cert.pub");
  EXPECT_EQ(node.options.known_hosts, "/etc/certcast/known_hosts");
  EXPECT_EQ(node.options.agent_binary, "/etc/certcast/bin/certcast-node");
  EXPECT_EQ(node.options.connect_timeout, absl::Seconds(5));
  EXPECT_FALSE(node.options.agent);
  EXPECT_FALSE(node.options.sudo);
  ASSERT_THAT(node.options.jump, SizeIs(2));
  EXPECT_EQ(node.options.jump[0].ToString(), "ops@bastion.example.com:22");
  EXPECT_EQ(node.options.jump[1].host, "2001:db8::1");
  EXPECT_EQ(node.options.jump[1].ToString(), "ops@[2001:db8::1]:2222");
  EXPECT_EQ(node.state, "/var/lib/certcast-node");
  EXPECT_EQ(node.options.agent_directory, "");
}

TEST(SshNodes, TheirOwnOptionsOverrideTheFilesKeyByKey) {
  const SshNode node = NodeOf(Good(), "old-02");
  EXPECT_EQ(node.server.ToString(), "deploy@old-02.example.com:22");
  EXPECT_EQ(node.options.key.file, "/etc/certcast/id_ed25519");
  EXPECT_TRUE(node.options.sudo);
  EXPECT_THAT(node.options.jump, IsEmpty());
  EXPECT_EQ(node.state, "/srv/certcast");
  EXPECT_EQ(node.options.agent_directory, "/opt/certcast");
}

// Two sites with the same private network.
TEST(SshNodes, MayShareAnAddressBehindDifferentJumpHosts) {
  const std::string text = absl::StrReplaceAll(
      kGood, {{"ssh://deploy@old-02.example.com", "ssh://deploy@10.0.0.9:2022"}, {"jump: []", "jump: [ops@other]"}});
  const auto config = ParseConfig(text, "c.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(NodeOf(*config, "old-01").server.ToString(), NodeOf(*config, "old-02").server.ToString());
  EXPECT_EQ(NodeOf(*config, "old-02").options.jump[0].ToString(), "ops@other:22");
}

TEST(SshNodes, LeaveToSshConfigWhatItMaySay) {
  const SshNode node = NodeOf(Good(), "old-03");
  EXPECT_EQ(node.server.user, "");
  EXPECT_EQ(node.server.port, 0);
  EXPECT_EQ(node.server.ToString(), "web_3");
}

TEST(SshNodes, OtherNodesHaveNone) {
  const Config config = Good();
  ASSERT_NE(config.FindNode("web-01"), nullptr);
  EXPECT_FALSE(config.FindNode("web-01")->ssh.has_value());
}

TEST(SshNodes, AllowTheDomainsOfTheirServicesCertificates) {
  const Config config = Good();
  EXPECT_THAT(NodeOf(config, "old-01").allow_names, ElementsAre("*.example.com", "example.com"));
  EXPECT_THAT(NodeOf(config, "old-02").allow_names, ElementsAre("*.example.com", "example.com", "mx.example.com"));
}

constexpr char kTwoCertificates[] = R"(state: /var/lib/certcast
master_key: {file: master.key}
certificates:
  - {name: wildcard, domains: [example.com], nodes: [old-01]}
  - {name: mail, domains: [mx.example.com], nodes: [old-01]}
ssh: {key: {file: id_ed25519}, known_hosts: known_hosts}
services:
  - name: nginx
    certificate: wildcard
    files: [{path: /tls/a.pem, content: combined}, {path: /tls/b.pem, content: combined, certificate: mail}]
    probes: [{tls: {address: "127.0.0.1:443", server_name: example.com}},
             {tls: {address: "127.0.0.1:443", server_name: mx.example.com, certificate: mail}}]
nodes:
  - {name: old-01, address: "ssh://deploy@10.0.0.9:2022", services: [nginx]}
)";

TEST(SshNodes, AllowMoreNamesWhereTheySaySo) {
  const std::string text = absl::StrReplaceAll(
      kTwoCertificates,
      {{"services: [nginx]}", "services: [nginx], allow_names: [www.example.com, Shop.Example.org]}"}});
  const auto config = ParseConfig(text, "/etc/certcast/c.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(NodeOf(*config, "old-01").allow_names,
              ElementsAre("example.com", "mx.example.com", "shop.example.org", "www.example.com"));
}

TEST(SshNodes, AllowTheDomainsOfEachFilesCertificate) {
  const auto config = ParseConfig(kTwoCertificates, "/etc/certcast/c.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(NodeOf(*config, "old-01").allow_names, ElementsAre("example.com", "mx.example.com"));
}

TEST(SshNodes, HaveFilesOfCertificatesThatAreThere) {
  std::string text = kTwoCertificates;
  text.replace(text.find("combined, certificate: mail"), 27, "combined, certificate: mial");
  text.replace(text.find("certificate: mail}}"), 17, "certificate: mial");
  const auto config = ParseConfig(text, "/etc/certcast/c.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(std::string(config.status().message()),
              HasSubstr("at services[0].files[1].certificate: found \"mial\", expected the name of a certificate under "
                        "`certificates`; did you mean mail?"));
}

TEST(SshNodes, GetTheirServicesAsTextThatReadsBackTheSame) {
  const Config config = Good();
  const SshNode node = NodeOf(config, "old-02");
  ASSERT_NE(node.services_yaml, nullptr);
  EXPECT_THAT(*node.services_yaml, HasSubstr(R"("mode": 0640)"));
  const auto document = yaml::Document::Parse(*node.services_yaml, "services", {});
  ASSERT_TRUE(document.ok()) << document.status();
  const std::vector<Service> services = ReadServices((*document)->root().WithAbsolutePaths(), node.state);
  EXPECT_TRUE((*document)->status().ok()) << (*document)->status();
  ASSERT_THAT(services, SizeIs(2));
  EXPECT_EQ(services[0].name, "postfix");
  EXPECT_THAT(std::get<CommandReload>(services[0].reload.how).argv, ElementsAre("/usr/sbin/postfix", "reload"));
  EXPECT_EQ(services[1].name, "nginx");
  EXPECT_EQ(services[1].preset, "nginx");
  EXPECT_EQ(services[1].files[0].mode, 0640u);
  EXPECT_EQ(services[1].probes[0].timeout, absl::Seconds(10));
}

TEST(SshNodes, WithTheSameServicesShareTheText) {
  std::string text = kGood;
  text += R"(  - {name: old-04, address: "ssh://deploy@10.0.0.10", services: [nginx]})";
  const auto config = ParseConfig(text, "/etc/certcast/c.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(NodeOf(*config, "old-01").services_yaml, NodeOf(*config, "old-04").services_yaml);
}

TEST(SshNodes, WithoutServicesHaveTheirOwnNodeYaml) {
  std::string text = kGood;
  text += R"(  - {name: old-04, address: "ssh://deploy@10.0.0.10", labels: {role: web}})";
  const auto config = ParseConfig(text, "/etc/certcast/c.yaml");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(NodeOf(*config, "old-01").hosted());
  const SshNode node = NodeOf(*config, "old-04");
  EXPECT_FALSE(node.hosted());
  EXPECT_EQ(node.services_yaml, nullptr);
  EXPECT_THAT(node.allow_names, IsEmpty());
}

TEST(SshNodes, ThatAreNotThereNeedNoSshSection) {
  EXPECT_TRUE(ParseConfig("state: s\nmaster_key: {file: m}\n", "/c.yaml").ok());
}

// --- Mistakes.

struct Mistake {
  const char* name;
  std::string old_text;
  std::string new_text;
  std::string errors;

  friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.new_text; }
};

std::string NameOf(const testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

class SshErrors : public testing::TestWithParam<Mistake> {};

TEST_P(SshErrors, NameThePlaceAndWhatIsExpected) {
  std::string text = kGood;
  const size_t at = text.find(GetParam().old_text);
  ASSERT_NE(at, std::string::npos) << GetParam().old_text;
  text.replace(at, GetParam().old_text.size(), GetParam().new_text);
  const auto config = ParseConfig(text, "c.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(config.status().message()), GetParam().errors);
}

INSTANTIATE_TEST_SUITE_P(
    Address, SshErrors,
    testing::Values(
        Mistake{
            "NoUser", "ssh://deploy@10.0.0.9:2022", "ssh://10.0.0.9:2022",
            R"(c.yaml:29:29: at nodes[0].address: found no user for 10.0.0.9, expected user@10.0.0.9; with use_ssh_config: true it may be named there)"},
        Mistake{
            "EmptyUser", "ssh://deploy@10.0.0.9:2022", "ssh://@10.0.0.9:2022",
            R"(c.yaml:29:29: at nodes[0].address: found the user "", expected 1 to 32 letters, digits and `._-`, with no `.` or `-` in front; write user@host, user@host:port or user@[v6]:port)"},
        Mistake{
            "UserIsAnOption", "ssh://deploy@10.0.0.9:2022", "ssh://-oProxyCommand=x@10.0.0.9",
            R"(c.yaml:29:29: at nodes[0].address: found the user "-oProxyCommand=x", expected 1 to 32 letters, digits and `._-`, with no `.` or `-` in front; write user@host, user@host:port or user@[v6]:port)"},
        Mistake{
            "UserWithPassword", "ssh://deploy@10.0.0.9:2022", "ssh://deploy:secret@10.0.0.9",
            R"(c.yaml:29:29: at nodes[0].address: found a user with a colon, expected a name alone; secrets never stand in the configuration)"},
        Mistake{
            "HostIsACommand", "ssh://deploy@10.0.0.9:2022", "ssh://deploy@`id`",
            R"(c.yaml:29:29: at nodes[0].address: found the host "`id`", expected a name or a numeric address; write user@host, user@host:port or user@[v6]:port)"},
        Mistake{
            "HostIsAnOption", "ssh://deploy@10.0.0.9:2022", "ssh://deploy@-oX",
            R"(c.yaml:29:29: at nodes[0].address: found the host "-oX", expected a name or a numeric address; write user@host, user@host:port or user@[v6]:port)"},
        Mistake{
            "HostWithPath", "ssh://deploy@10.0.0.9:2022", "ssh://deploy@10.0.0.9/x",
            R"(c.yaml:29:29: at nodes[0].address: found the host "10.0.0.9/x", expected a name or a numeric address; write user@host, user@host:port or user@[v6]:port)"},
        Mistake{
            "NoHost", "ssh://deploy@10.0.0.9:2022", "ssh://deploy@",
            R"(c.yaml:29:29: at nodes[0].address: found the host "", expected a name or a numeric address; write user@host, user@host:port or user@[v6]:port)"},
        Mistake{
            "BadPort", "ssh://deploy@10.0.0.9:2022", "ssh://deploy@10.0.0.9:70000",
            R"(c.yaml:29:29: at nodes[0].address: "10.0.0.9:70000" is not an address: its port is not a number from 1 to 65535; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
        Mistake{
            "V6WithoutBrackets", "ssh://deploy@10.0.0.9:2022", "ssh://deploy@2001:db8::9",
            R"(c.yaml:29:29: at nodes[0].address: "2001:db8::9" is not an address: an IPv6 address needs brackets, and a port after them; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
        Mistake{
            "TwiceTheSame", R"("ssh://web_3", services: [other], ssh: {use_ssh_config: true})",
            R"("ssh://deploy@10.0.0.9:2022", services: [other])",
            R"(c.yaml:32:29: at nodes[2].address: found the address "deploy@10.0.0.9:2022" a second time; the first is at line 29, column 29)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Options, SshErrors,
    testing::Values(
        Mistake{"UnknownKey", "  known_hosts: known_hosts", "  knownhosts: known_hosts",
                R"(c.yaml:9:3: at ssh: unknown key "knownhosts"; did you mean known_hosts?
c.yaml:29:5: at nodes[0]: found no known_hosts: a host key is never accepted unseen; write ssh: {known_hosts: /etc/certcast/known_hosts}, here or for the whole file
c.yaml:31:11: at nodes[1].ssh: found no known_hosts: a host key is never accepted unseen; write ssh: {known_hosts: /etc/certcast/known_hosts}, here or for the whole file)"},
        Mistake{
            "NoKnownHosts", "  known_hosts: known_hosts\n", "",
            R"(c.yaml:28:5: at nodes[0]: found no known_hosts: a host key is never accepted unseen; write ssh: {known_hosts: /etc/certcast/known_hosts}, here or for the whole file
c.yaml:30:11: at nodes[1].ssh: found no known_hosts: a host key is never accepted unseen; write ssh: {known_hosts: /etc/certcast/known_hosts}, here or for the whole file)"},
        Mistake{
            "NothingToLogInWith",
            "  key: {file: id_ed25519, passphrase: {env: SSH_PASS}}\n  certificate: id_ed25519-cert.pub\n", "",
            R"(c.yaml:27:5: at nodes[0]: found nothing to log in with, expected a key; write ssh: {key: {file: PATH}} or ssh: {agent: true}, here or for the whole file
c.yaml:29:11: at nodes[1].ssh: found nothing to log in with, expected a key; write ssh: {key: {file: PATH}} or ssh: {agent: true}, here or for the whole file)"},
        Mistake{
            "ThePublicKey", "{file: id_ed25519, ", "{file: id_ed25519.pub, ",
            R"(c.yaml:7:15: at ssh.key.file: found "id_ed25519.pub", expected a private key; it is the file beside it, without .pub)"},
        Mistake{"CertificateWithoutKey", "  key: {file: id_ed25519, passphrase: {env: SSH_PASS}}\n", "  agent: true\n",
                R"(c.yaml:29:5: at nodes[0]: found an ssh certificate without its key; add key: {file: PATH} under ssh
c.yaml:31:11: at nodes[1].ssh: found an ssh certificate without its key; add key: {file: PATH} under ssh
c.yaml:32:68: at nodes[2].ssh: found an ssh certificate without its key; add key: {file: PATH} under ssh)"},
        Mistake{
            "KeyInline", "key: {file: id_ed25519, passphrase: {env: SSH_PASS}}", "key: c2VjcmV0",
            R"(c.yaml:7:8: at ssh.key: expected a map such as {file: /etc/certcast/id_ed25519}; secrets never stand in the configuration)"},
        Mistake{
            "PassphraseInline", "{env: SSH_PASS}", "secret",
            R"(c.yaml:7:39: at ssh.key.passphrase: expected exactly one of {file: PATH}, {env: NAME} and {credential: NAME}; secrets never stand in the configuration)"},
        Mistake{
            "BadJump", "ops@bastion.example.com", "bastion.example.com;id",
            R"(c.yaml:11:10: at ssh.jump[0]: found the host "bastion.example.com;id", expected a name or a numeric address; write user@host, user@host:port or user@[v6]:port)"},
        Mistake{
            "JumpWithoutUser", "ops@bastion.example.com", "bastion.example.com",
            R"(c.yaml:29:5: at nodes[0]: found no user for bastion.example.com, expected user@bastion.example.com; with use_ssh_config: true it may be named there)"},
        Mistake{"SudoIsAWord", "sudo: true", "sudo: yes",
                R"(c.yaml:31:18: at nodes[1].ssh.sudo: found "yes", expected true or false)"},
        Mistake{"TimeoutTooLong", "connect_timeout: 5s", "connect_timeout: 1h",
                R"(c.yaml:12:20: at ssh.connect_timeout: found "1h", expected a time from 1s to 10m)"},
        Mistake{
            "AgentDirectoryWithABlank", "/opt/certcast", "/opt/cert cast",
            R"(c.yaml:31:51: at nodes[1].ssh.agent_directory: found "/opt/cert cast", expected an absolute path on the host, of letters, digits and `/._-+@=,:`, other than `/`)"},
        Mistake{
            "RelativeState", "/srv/certcast", "srv/certcast",
            R"(c.yaml:30:99: at nodes[1].state: found "srv/certcast", expected an absolute path; there is no directory that it could be relative to)"},
        Mistake{
            "StateWithALineEnd", "/srv/certcast", "\"/srv/cert\\ncast\"",
            R"(c.yaml:30:99: at nodes[1].state: found "/srv/cert\ncast", expected an absolute path on the host, of letters, digits and `/._-+@=,:`, other than `/`)"},
        Mistake{
            "StateWithADollar", "/srv/certcast", "/srv/$HOME",
            R"(c.yaml:30:99: at nodes[1].state: found "/srv/$HOME", expected an absolute path on the host, of letters, digits and `/._-+@=,:`, other than `/`)"},
        Mistake{
            "StateIsTheRoot", "/srv/certcast", "/srv/..",
            R"(c.yaml:30:99: at nodes[1].state: found "/srv/..", expected an absolute path on the host, of letters, digits and `/._-+@=,:`, other than `/`)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Services, SshErrors,
    testing::Values(
        Mistake{
            "EmptyList", "services: [nginx]}", "services: []}",
            R"(c.yaml:29:90: at nodes[0].services: found an empty list, expected a list of at least one service name)"},
        Mistake{"NotAList", "services: [nginx]}", "services: nginx}",
                R"(c.yaml:29:90: at nodes[0].services: found "nginx", expected a list of at least one service name)"},
        Mistake{
            "Unknown", "services: [nginx]}", "services: [nginks]}",
            R"(c.yaml:29:91: at nodes[0].services[0]: found "nginks", expected the name of a service under the file's `services`; did you mean nginx?)"},
        Mistake{
            "Twice", "services: [nginx]}", "services: [nginx, nginx]}",
            R"(c.yaml:29:98: at nodes[0].services[1]: found the service "nginx" a second time; the first is at line 29, column 91)"},
        Mistake{
            "SameFile", "services: [nginx]}", "services: [nginx, other]}",
            R"(c.yaml:29:90: at nodes[0].services: the file "/etc/nginx/tls/all.pem" of other is one of nginx too; one node can't have both services)"},
        Mistake{
            "FileInTheState", "state: /srv/certcast", "state: /etc/postfix",
            R"(c.yaml:30:74: at nodes[1].services: the file "/etc/postfix/tls.pem" of postfix lies in the node's state /etc/postfix)"},
        Mistake{
            "FileBelowAFile", "path: /etc/postfix/tls.pem", "path: /etc/nginx/tls/all.pem/x",
            R"(c.yaml:30:74: at nodes[1].services: the file "/etc/nginx/tls/all.pem/x" of postfix lies below "/etc/nginx/tls/all.pem", which is a file of nginx)"},
        Mistake{
            "UnknownCertificate", "certificate: mail", "certificate: male",
            R"(c.yaml:24:18: at services[2].certificate: found "male", expected the name of a certificate under `certificates`)"},
        Mistake{
            "CertificateThatNoServiceUses", "services: [other]", "labels: {role: web}, services: [postfix]",
            R"(c.yaml:32:75: at nodes[2].services: the certificate wildcard goes to this node, but none of its services uses it; add one, or choose other nodes for the certificate)"},
        Mistake{
            "RelativeCommand", "/usr/sbin/postfix, reload", "sbin/postfix, reload",
            R"(c.yaml:26:14: at services[2].reload[0]: found "sbin/postfix", expected an absolute path; there is no directory that it could be relative to)"},
        Mistake{
            "RelativeSecret", "content: combined, mode: 0640", "content: pkcs12, password: {file: p12.password}",
            R"(c.yaml:17:78: at services[0].files[0].password.file: found "p12.password", expected an absolute path; there is no directory that it could be relative to)"},
        Mistake{
            "RelativeFile", "path: /etc/postfix/tls.pem", "path: etc/tls.pem",
            R"(c.yaml:25:20: at services[2].files[0].path: found "etc/tls.pem", expected an absolute path without ..)"},
        Mistake{"WrongSchema", "preset: nginx", "presett: nginx",
                R"(c.yaml:16:5: at services[0]: unknown key "presett"; did you mean preset?)"},
        Mistake{
            "NoProbes",
            "    probes: [{tls: {address: \"127.0.0.1:25\", server_name: mx.example.com, starttls: smtp}}]\n", "",
            R"(c.yaml:23:5: at services[2]: missing key "probes"; add {tls: {address: "127.0.0.1:443", server_name: www.example.com}}: success is the fingerprint that is served)"},
        Mistake{
            "OfAnAgent", "labels: {role: web}}\n", "labels: {role: web}, services: [nginx], state: /s, ssh: {}}\n",
            R"(c.yaml:33:84: at nodes[3].services: found services of a node that is not reached over ssh, expected none; an agent has it in its own node.yaml; or is the address to be ssh://user@host?
c.yaml:33:100: at nodes[3].state: found state of a node that is not reached over ssh, expected none; an agent has it in its own node.yaml; or is the address to be ssh://user@host?
c.yaml:33:109: at nodes[3].ssh: found ssh of a node that is not reached over ssh, expected none; an agent has it in its own node.yaml; or is the address to be ssh://user@host?)"}),
    NameOf);

}  // namespace
}  // namespace certcast::controller
