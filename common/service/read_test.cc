#include <signal.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/service/read_words.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// The only service of a list that is right.
Service ReadOne(const std::string& text) {
  const ReadResult result = Read(text);
  EXPECT_EQ(result.errors, "");
  EXPECT_THAT(result.services, SizeIs(1));
  return result.services.empty() ? Service{} : result.services[0];
}

// Empty where it is not told by a program.
std::vector<std::string> ReloadArgv(const Service& service) {
  const auto* command = std::get_if<CommandReload>(&service.reload.how);
  return command == nullptr ? std::vector<std::string>() : command->argv;
}

TEST(ReadServices, TheSmallestHasFilesAndAProbe) {
  const Service service = ReadOne(absl::StrCat(kHead, kFiles, kProbes));
  EXPECT_EQ(service.name, "web");
  EXPECT_EQ(service.certificate, "wildcard");
  EXPECT_EQ(service.preset, "");
  EXPECT_THAT(service.check.argv, IsEmpty());
  EXPECT_TRUE(service.reload.is_none());
  ASSERT_THAT(service.files, SizeIs(1));
  EXPECT_EQ(service.files[0].path, "/etc/tls/a.pem");
  EXPECT_EQ(service.files[0].content, FileContent::kFullchain);
  ASSERT_THAT(service.probes, SizeIs(1));
  const auto& tls = std::get<TlsProbe>(service.probes[0].what);
  EXPECT_EQ(tls.address, "127.0.0.1:443");
  EXPECT_EQ(tls.server_name, "www.example.com");
  EXPECT_EQ(service.probes[0].timeout, absl::Seconds(10));
}

TEST(ReadServices, ModesDependOnWhetherAFileHoldsTheKey) {
  const Service service = ReadOne(absl::StrCat(kHead, R"(
  files:
    - {path: /a, content: cert}
    - {path: /b, content: chain}
    - {path: /c, content: fullchain}
    - {path: /d, content: der}
    - {path: /e, content: private_key}
    - {path: /f, content: combined}
    - {path: /g, content: private_key, owner: root, group: "113", mode: 0640}
    - {path: /h, content: pkcs12, password: {env: P12_PASSWORD}}
    - {path: /i, content: ca})",
                                               kProbes));
  std::vector<mode_t> modes;
  for (const ServiceFile& file : service.files) modes.push_back(file.mode);
  EXPECT_THAT(modes, ElementsAre(0644, 0644, 0644, 0644, 0600, 0600, 0640, 0600, 0644));
  EXPECT_EQ(service.files[6].owner, "root");
  EXPECT_EQ(service.files[6].group, "113");
}

struct PresetCase {
  std::string name;
  std::vector<std::string> check;
  std::vector<std::string> reload;
  // Of a probe that names a server alone.
  std::string probe;
  bool is_disruptive = false;
};

class Presets : public testing::TestWithParam<PresetCase> {};

TEST_P(Presets, FillInWhatIsNotSaid) {
  const Service service = ReadOne(
      absl::StrCat(kHead, "\n  preset: ", GetParam().name, kFiles, "\n  probes: [{tls: {server_name: a.test}}]\n"));
  EXPECT_EQ(service.preset, GetParam().name);
  EXPECT_EQ(service.check.argv, GetParam().check);
  EXPECT_EQ(ReloadArgv(service), GetParam().reload);
  EXPECT_EQ(service.reload.is_disruptive(), GetParam().is_disruptive);
  EXPECT_EQ(service.check.timeout, absl::Seconds(30));
  ASSERT_THAT(service.probes, SizeIs(1));
  EXPECT_EQ(service.probes[0].Describe(), GetParam().probe);
}

INSTANTIATE_TEST_SUITE_P(
    All, Presets,
    testing::Values(
        PresetCase{"nginx", {"nginx", "-t"}, {"nginx", "-s", "reload"}, "tls 127.0.0.1:443 a.test"},
        PresetCase{"apache", {"apachectl", "-t"}, {"apachectl", "graceful"}, "tls 127.0.0.1:443 a.test"},
        PresetCase{"haproxy",
                   {"haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"},
                   {"systemctl", "reload", "haproxy"},
                   "tls 127.0.0.1:443 a.test"},
        PresetCase{"postfix", {"postfix", "check"}, {"postfix", "reload"}, "tls 127.0.0.1:25 a.test starttls smtp"},
        PresetCase{"dovecot", {"doveconf", "-n"}, {"doveadm", "reload"}, "tls 127.0.0.1:143 a.test starttls imap"},
        PresetCase{
            "postgresql", {}, {"pg_ctlcluster", "15", "main", "reload"}, "tls 127.0.0.1:5432 a.test starttls postgres"},
        PresetCase{"mariadb", {}, {"mariadb", "--execute", "FLUSH SSL"}, "tls 127.0.0.1:3306 a.test starttls mysql"},
        PresetCase{"slapd",
                   {"slaptest", "-u"},
                   {"ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", "ldapi:///", "-f", "/etc/ldap/certcast.ldif"},
                   "tls 127.0.0.1:389 a.test starttls ldap"},
        PresetCase{"prosody", {}, {}, "tls 127.0.0.1:5222 a.test starttls xmpp"},
        PresetCase{"vsftpd", {}, {"systemctl", "restart", "vsftpd"}, "tls 127.0.0.1:21 a.test starttls ftp", true},
        PresetCase{
            "unbound", {"unbound-checkconf"}, {"systemctl", "restart", "unbound"}, "tls 127.0.0.1:853 a.test", true}),
    [](const testing::TestParamInfo<PresetCase>& info) { return info.param.name; });

TEST(ReadServices, AProbesOwnAddressLeavesThePresetsProtocol) {
  const Service service = ReadOne(absl::StrCat(
      kHead, "\n  preset: postfix", kFiles,
      "\n  probes: [{tls: {server_name: a.test}}, {tls: {address: \"127.0.0.1:465\", server_name: a.test}}]\n"));
  ASSERT_THAT(service.probes, SizeIs(2));
  EXPECT_EQ(service.probes[0].Describe(), "tls 127.0.0.1:25 a.test starttls smtp");
  EXPECT_EQ(service.probes[1].Describe(), "tls 127.0.0.1:465 a.test");
}

TEST(ReadServices, ProsodyIsToldByASignal) {
  const Service service = ReadOne(absl::StrCat(kHead, "\n  preset: prosody", kFiles, kProbes));
  const auto* told = std::get_if<SignalReload>(&service.reload.how);
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->signal, SIGHUP);
  EXPECT_EQ(told->pid_file, "/run/prosody/prosody.pid");
}

TEST(ReadServices, OwnCommandsOverrideThePreset) {
  const Service service = ReadOne(absl::StrCat(kHead, R"(
  reload: {sh: "pkill -HUP x && true", timeout: 5s}
  check: {run: [bin/check, --all], timeout: 1m}
  preset: nginx)",
                                               kFiles, kProbes));
  EXPECT_THAT(service.check.argv, ElementsAre("/etc/certcast/bin/check", "--all"));
  EXPECT_EQ(service.check.timeout, absl::Minutes(1));
  EXPECT_THAT(ReloadArgv(service), ElementsAre("/bin/sh", "-c", "pkill -HUP x && true"));
  EXPECT_EQ(service.reload.timeout, absl::Seconds(5));
}

TEST(ReadServices, OneOwnCommandLeavesThePresetsOther) {
  const Service service =
      ReadOne(absl::StrCat(kHead, "\n  preset: nginx\n  reload: [systemctl, reload, nginx]", kFiles, kProbes));
  EXPECT_THAT(service.check.argv, ElementsAre("nginx", "-t"));
  EXPECT_THAT(ReloadArgv(service), ElementsAre("systemctl", "reload", "nginx"));
}

TEST(ReadServices, ReadsEveryKindOfReload) {
  const auto read = [](const std::string& reload) {
    return ReadOne(absl::StrCat(kHead, "\n  preset: nginx\n  reload: ", reload, kCombined, kProbes)).reload;
  };
  EXPECT_TRUE(read("none").is_none());
  const ServiceReload command = read("[bin/reload]");
  EXPECT_THAT(std::get<CommandReload>(command.how).argv, ElementsAre("/etc/certcast/bin/reload"));
  EXPECT_FALSE(command.is_disruptive());
  EXPECT_EQ(command.timeout, absl::Seconds(30));
  const ServiceReload restart = read("{restart: [systemctl, restart, vsftpd], timeout: 1m}");
  EXPECT_THAT(std::get<CommandReload>(restart.how).argv, ElementsAre("systemctl", "restart", "vsftpd"));
  EXPECT_TRUE(restart.is_disruptive());
  EXPECT_EQ(restart.timeout, absl::Minutes(1));
  const auto signal = std::get<SignalReload>(read("{signal: USR2, pid_file: /run/x.pid}").how);
  EXPECT_EQ(signal.signal, SIGUSR2);
  EXPECT_EQ(signal.pid_file, "/run/x.pid");
  const ServiceReload haproxy =
      read("{haproxy: {socket: /run/haproxy/admin.sock, certificate: /etc/haproxy/a.pem}, timeout: 3s}");
  EXPECT_EQ(std::get<HaproxyReload>(haproxy.how).socket, "/run/haproxy/admin.sock");
  EXPECT_EQ(std::get<HaproxyReload>(haproxy.how).certificate, "/etc/haproxy/a.pem");
  EXPECT_FALSE(haproxy.is_disruptive());
  EXPECT_EQ(haproxy.timeout, absl::Seconds(3));
}

TEST(ReadServices, AFileIsALinkUnlessItSaysCopy) {
  const Service service = ReadOne(absl::StrCat(kHead, R"(
  files:
    - {path: /a, content: cert}
    - {path: /b, content: private_key, install: link}
    - {path: /c, content: combined, install: copy})",
                                               kProbes));
  std::vector<FileInstall> installs;
  for (const ServiceFile& file : service.files) installs.push_back(file.install);
  EXPECT_THAT(installs, ElementsAre(FileInstall::kLink, FileInstall::kLink, FileInstall::kCopy));
}

TEST(ReadServices, ReadsHowAPkcs12FileIsWritten) {
  const Service service = ReadOne(absl::StrCat(kHead, R"(
  files:
    - {path: /a, content: pkcs12, password: {file: p12.password}}
    - {path: /b, content: pkcs12, password: {credential: p12}, encryption: legacy, alias: Tomcat-1})",
                                               kProbes));
  const Pkcs12Format& first = service.files[0].pkcs12;
  EXPECT_EQ(first.password.Describe(), "file /etc/certcast/p12.password");
  EXPECT_EQ(first.encryption, Pkcs12Encryption::kModern);
  EXPECT_EQ(first.alias, "wildcard");
  const Pkcs12Format& second = service.files[1].pkcs12;
  EXPECT_EQ(second.password.Describe(), "credential p12");
  EXPECT_EQ(second.encryption, Pkcs12Encryption::kLegacy);
  EXPECT_EQ(second.alias, "Tomcat-1");
}

TEST(ReadServices, ReadsEveryKindOfProbe) {
  const Service service = ReadOne(absl::StrCat(kHead, kFiles, R"(
  probes:
    - http: {url: "https://127.0.0.1:8443/healthz?x", host: www.example.com, status: 204, timeout: 3s}
    - tcp: {address: "[::1]:25"}
    - command: [mailq]
    - command: {run: [mailq], timeout: 2s}
    - command: {sh: "mailq | grep -q empty"}
)"));
  ASSERT_THAT(service.probes, SizeIs(5));
  const auto& http = std::get<HttpProbe>(service.probes[0].what);
  EXPECT_EQ(http.url, "https://127.0.0.1:8443/healthz?x");
  EXPECT_EQ(http.host, "www.example.com");
  EXPECT_EQ(http.status, 204);
  EXPECT_EQ(service.probes[0].timeout, absl::Seconds(3));
  EXPECT_EQ(std::get<TcpProbe>(service.probes[1].what).address, "[::1]:25");
  EXPECT_THAT(std::get<CommandProbe>(service.probes[2].what).argv, ElementsAre("mailq"));
  EXPECT_EQ(service.probes[2].timeout, absl::Seconds(10));
  EXPECT_EQ(service.probes[3].timeout, absl::Seconds(2));
  EXPECT_THAT(std::get<CommandProbe>(service.probes[4].what).argv,
              ElementsAre("/bin/sh", "-c", "mailq | grep -q empty"));
  EXPECT_EQ(service.probes[4].timeout, absl::Seconds(10));
}

TEST(ReadServices, OneTlsProbeMayHaveSeveralAddressesAndNames) {
  const Service service = ReadOne(absl::StrCat(kHead, kFiles, R"(
  probes:
    - tls: {addresses: ["127.0.0.1:25", "[::1]:25"], server_names: [a.test, b.test], starttls: smtp, expect: chain,
            consecutive: 7, timeout: 3s, client: {certificate: client.pem, key: {file: client.key}}}
)"));
  std::vector<std::string> probes;
  for (const ProbeSpec& spec : service.probes) {
    probes.push_back(spec.Describe());
    EXPECT_EQ(spec.consecutive, 7);
    EXPECT_EQ(spec.timeout, absl::Seconds(3));
    EXPECT_EQ(std::get<TlsProbe>(spec.what).client.certificate_file, "/etc/certcast/client.pem");
    EXPECT_EQ(std::get<TlsProbe>(spec.what).client.key.name, "/etc/certcast/client.key");
  }
  EXPECT_THAT(probes, ElementsAre("tls 127.0.0.1:25 a.test starttls smtp chain client /etc/certcast/client.pem",
                                  "tls 127.0.0.1:25 b.test starttls smtp chain client /etc/certcast/client.pem",
                                  "tls [::1]:25 a.test starttls smtp chain client /etc/certcast/client.pem",
                                  "tls [::1]:25 b.test starttls smtp chain client /etc/certcast/client.pem"));
}

TEST(ReadServices, KnowsEveryStartTlsProtocol) {
  for (const absl::string_view name : {"smtp", "lmtp", "imap", "pop3", "ftp", "ldap", "postgres", "mysql", "xmpp"}) {
    const Service service = ReadOne(
        absl::StrCat(kHead, kFiles,
                     "\n  probes: [{tls: {address: \"a:1\", server_name: b, expect: leaf, starttls: ", name, "}}]\n"));
    EXPECT_EQ(NameOf(std::get<TlsProbe>(service.probes[0].what).starttls), name);
    EXPECT_FALSE(std::get<TlsProbe>(service.probes[0].what).expects_chain);
  }
}

TEST(ReadServices, AnswersMayHaveToHoldSomething) {
  const Service service = ReadOne(absl::StrCat(kHead, kFiles, R"(
  probes:
    - http: {url: "https://a/", body: ok}
    - http: {url: "https://a/", body: {contains: "a b"}, consecutive: 1, client: {certificate: /c, key: {env: KEY}}}
    - http: {url: "https://a/", body: {matches: '^\d+$'}}
)"));
  ASSERT_THAT(service.probes, SizeIs(3));
  const auto http = [&](size_t i) { return std::get<HttpProbe>(service.probes[i].what); };
  EXPECT_EQ(http(0).body.kind, BodyPattern::Kind::kContains);
  EXPECT_EQ(http(0).body.text, "ok");
  EXPECT_EQ(service.probes[0].consecutive, 3);
  EXPECT_TRUE(http(0).client.empty());
  EXPECT_EQ(http(1).body.text, "a b");
  EXPECT_EQ(service.probes[1].consecutive, 1);
  EXPECT_EQ(http(1).client.key.kind, SecretReference::Kind::kEnvironment);
  EXPECT_EQ(http(2).body.kind, BodyPattern::Kind::kMatches);
  EXPECT_EQ(http(2).body.text, "^\\d+$");
}

TEST(ReadServices, SeveralCertificatesAreThoseOfFilesAndProbes) {
  const Service service = ReadOne(absl::StrCat(kHead, kTwoFiles, R"(
  probes:
    - tls: {address: "a:1", server_name: www.example.com}
    - tls: {address: "a:1", server_name: shop.example.com, certificate: shop}
    - http: {url: "https://shop.example.com/", certificate: shop}
    - tcp: {address: "a:2"}
)"));
  EXPECT_THAT(service.Certificates(), ElementsAre("wildcard", "shop"));
  ASSERT_THAT(service.FilesOf("shop"), SizeIs(1));
  EXPECT_EQ(service.FilesOf("shop")[0]->path, "/b.pem");
  EXPECT_EQ(service.FilesOf("wildcard")[0]->path, "/a.pem");
  std::vector<std::string> of_probes;
  for (const ProbeSpec& probe : service.probes) of_probes.push_back(service.CertificateOf(probe));
  EXPECT_THAT(of_probes, ElementsAre("wildcard", "shop", "shop", "wildcard"));
}

TEST(ReadServices, AnAliasIsTheNameOfTheFilesOwnCertificate) {
  const Service service =
      ReadOne(absl::StrCat(kHead,
                           "\n  files: [{path: /a.pem, content: fullchain},"
                           " {path: /b.p12, content: pkcs12, certificate: shop, password: {file: /p}}]",
                           "\n  probes: [{tls: {address: \"a:1\", server_name: b}},"
                           " {tls: {address: \"a:2\", server_name: b, certificate: shop}}]\n"));
  EXPECT_EQ(service.files[1].pkcs12.alias, "shop");
}

}  // namespace
}  // namespace certcast
