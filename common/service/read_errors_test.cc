// What is wrong with a service, and the exact words for it.
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/service/read_words.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast {
namespace {

struct Mistake {
  const char* name;
  std::string text;
  std::string errors;
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.text;
}

class ServiceErrors : public testing::TestWithParam<Mistake> {};

TEST_P(ServiceErrors, NameThePlaceAndWhatIsExpected) {
  EXPECT_EQ(Read(GetParam().text).errors, GetParam().errors);
}

std::string With(absl::string_view lines) {
  return absl::StrCat(kHead, "\n  ", lines, kFiles, kProbes);
}
std::string WithFiles(absl::string_view files) {
  return absl::StrCat(kHead, "\n  files: ", files, kProbes);
}
std::string WithProbes(absl::string_view probes) {
  return absl::StrCat(kHead, kFiles, "\n  probes: ", probes, "\n");
}
constexpr char kTls[] = "{tls: {address: \"127.0.0.1:443\", server_name: www.example.com}}";

std::string NameOf(const testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Services, ServiceErrors,
    testing::Values(
        Mistake{"None", "[]", "/etc/certcast/n.yaml:1:1: found an empty list, expected a list of at least one service"},
        Mistake{"AMap", "name: web", "/etc/certcast/n.yaml:1:1: found a map, expected a list of at least one service"},
        Mistake{"AText", "- web", R"(/etc/certcast/n.yaml:1:3: at [0]: found "web", expected a service)"},
        Mistake{"NothingRequired", "- {}", R"(/etc/certcast/n.yaml:1:3: at [0]: missing key "name"
/etc/certcast/n.yaml:1:3: at [0]: missing key "certificate"
/etc/certcast/n.yaml:1:3: at [0]: missing key "files"
/etc/certcast/n.yaml:1:3: at [0]: missing key "probes"; add {tls: {address: "127.0.0.1:443", server_name: www.example.com}}: success is the fingerprint that is served)"},
        Mistake{"UnknownKey", With("reloads: [x]"),
                R"(/etc/certcast/n.yaml:3:3: at [0]: unknown key "reloads"; did you mean reload?)"},
        Mistake{
            "BadName", absl::StrCat("- name: Web Server\n  certificate: w", kFiles, kProbes),
            R"(/etc/certcast/n.yaml:1:9: at [0].name: found "Web Server", expected a name: lower-case letters, digits, and `.` and `-` between them, at most 63 characters)"},
        Mistake{
            "TwoOfOneName",
            absl::StrCat(kHead, kFiles, kProbes, kHead, "\n  files: [{path: /b, content: cert}]", kProbes),
            R"(/etc/certcast/n.yaml:5:9: at [1].name: found the service name "web" a second time; the first is at line 1, column 9)"},
        Mistake{
            "UnknownPreset", With("preset: ngnix"),
            R"(/etc/certcast/n.yaml:3:11: at [0].preset: found "ngnix", expected one of nginx, apache, haproxy, postfix, dovecot, postgresql, mariadb, slapd, prosody, vsftpd, unbound; did you mean nginx?)"},
        Mistake{
            "PresetOfNothingAlike", With("preset: iis"),
            R"(/etc/certcast/n.yaml:3:11: at [0].preset: found "iis", expected one of nginx, apache, haproxy, postfix, dovecot, postgresql, mariadb, slapd, prosody, vsftpd, unbound)"},
        Mistake{
            "UnknownKeyOfAFile", WithFiles("[{path: /a, content: cert, format: pem}]"),
            R"(/etc/certcast/n.yaml:3:37: at [0].files[0]: unknown key "format"; known here: path, content, certificate, install, owner, group, mode, password, encryption, alias)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Certificates, ServiceErrors,
    testing::Values(
        Mistake{
            "OneWithoutAProbe", absl::StrCat(kHead, kTwoFiles, kProbes),
            R"(/etc/certcast/n.yaml:4:11: at [0].probes: found no tls probe and no http probe of an https URL for the certificate shop, expected at least one for each of the service's certificates; add `certificate: shop` to the probe that is to see it)"},
        Mistake{
            "AProbeOfAnother",
            WithProbes("[{tls: {address: \"a:1\", server_name: b}}, {tls: {address: \"a:2\", server_name: b, "
                       "certificate: shop}}]"),
            R"(/etc/certcast/n.yaml:4:53: at [0].probes[1]: found the certificate "shop", expected one of the service's files: wildcard)"},
        Mistake{
            "NoFileOfTheServices",
            absl::StrCat(kHead, "\n  files: [{path: /a, content: cert, certificate: shop}]",
                         "\n  probes: [{tls: {address: \"a:1\", server_name: b, certificate: shop}}]\n"),
            R"(/etc/certcast/n.yaml:2:16: at [0].certificate: found "wildcard", but every file of the service is of another: shop; name one of them here; it is that of the files and probes that name none)"},
        Mistake{
            "HaproxyWithTwo",
            absl::StrCat(kHead,
                         "\n  files: [{path: /a, content: combined}, {path: /b, content: combined, certificate: shop}]",
                         "\n  reload: {haproxy: {socket: /s, certificate: /a}}",
                         "\n  probes: [{tls: {address: \"a:1\", server_name: b}},"
                         " {tls: {address: \"a:2\", server_name: b, certificate: shop}}]\n"),
            R"(/etc/certcast/n.yaml:4:11: at [0].reload: found haproxy's runtime API, which is told of one file, for a service of several certificates; make it a service for each certificate, or reload haproxy by a command)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Files, ServiceErrors,
    testing::Values(
        Mistake{"InstallAsAHardLink", WithFiles("[{path: /a, content: cert, install: hardlink}]"),
                R"(/etc/certcast/n.yaml:3:46: at [0].files[0].install: found "hardlink", expected one of link, copy)"},
        Mistake{"None", WithFiles("[]"),
                "/etc/certcast/n.yaml:3:10: at [0].files: found an empty list, expected a list of at least one file"},
        Mistake{"AText", WithFiles("/a"),
                R"(/etc/certcast/n.yaml:3:10: at [0].files: found "/a", expected a list of at least one file)"},
        Mistake{"NoPath", WithFiles("[{content: cert}]"),
                R"(/etc/certcast/n.yaml:3:11: at [0].files[0]: missing key "path")"},
        Mistake{
            "Relative", WithFiles("[{path: tls/a.pem, content: cert}]"),
            R"(/etc/certcast/n.yaml:3:18: at [0].files[0].path: found "tls/a.pem", expected an absolute path without ..)"},
        Mistake{
            "Climbing", WithFiles("[{path: /etc/../a, content: cert}]"),
            R"(/etc/certcast/n.yaml:3:18: at [0].files[0].path: found "/etc/../a", expected an absolute path without ..)"},
        Mistake{"Root", WithFiles("[{path: /, content: cert}]"),
                R"(/etc/certcast/n.yaml:3:18: at [0].files[0].path: found "/", expected the path of a file)"},
        Mistake{
            "InState", WithFiles("[{path: /var/lib/node/a.pem, content: cert}]"),
            R"(/etc/certcast/n.yaml:3:18: at [0].files[0].path: found "/var/lib/node/a.pem", expected a path outside of the node's state /var/lib/node)"},
        Mistake{
            "Content", WithFiles("[{path: /a, content: fullchan}]"),
            R"(/etc/certcast/n.yaml:3:31: at [0].files[0].content: found "fullchan", expected one of cert, chain, fullchain, private_key, combined, der, pkcs12, ca; did you mean fullchain?)"},
        Mistake{
            "ContentOfALaterVersion", WithFiles("[{path: /a, content: jks}]"),
            R"(/etc/certcast/n.yaml:3:31: at [0].files[0].content: found "jks", expected one of cert, chain, fullchain, private_key, combined, der, pkcs12, ca)"},
        Mistake{
            "Pkcs12WithoutPassword", WithFiles("[{path: /a, content: pkcs12}]"),
            R"(/etc/certcast/n.yaml:3:11: at [0].files[0]: missing key "password"; a pkcs12 file is encrypted: password: {file: /etc/certcast/p12.password})"},
        Mistake{
            "Pkcs12PasswordInline", WithFiles("[{path: /a, content: pkcs12, password: changeit}]"),
            R"(/etc/certcast/n.yaml:3:49: at [0].files[0].password: expected exactly one of {file: PATH}, {env: NAME} and {credential: NAME}; secrets never stand in the configuration)"},
        Mistake{
            "Pkcs12Encryption", WithFiles("[{path: /a, content: pkcs12, password: {env: P}, encryption: rc2}]"),
            R"(/etc/certcast/n.yaml:3:71: at [0].files[0].encryption: found "rc2", expected one of modern, legacy)"},
        Mistake{
            "Pkcs12AliasOfTwoWords", WithFiles("[{path: /a, content: pkcs12, password: {env: P}, alias: a b}]"),
            R"(/etc/certcast/n.yaml:3:66: at [0].files[0].alias: found "a b", expected at most 64 letters, digits and punctuation marks, without spaces)"},
        Mistake{
            "Pkcs12ReadableByOthers", WithFiles("[{path: /a, content: pkcs12, password: {env: P}, mode: \"0644\"}]"),
            R"(/etc/certcast/n.yaml:3:65: at [0].files[0].mode: found "0644", expected permissions without others in them: the file holds the private key; write "0600", or "0640" with the service's group)"},
        Mistake{
            "PasswordOfWhatIsNotEncrypted", WithFiles("[{path: /a, content: combined, password: {env: P}}]"),
            R"(/etc/certcast/n.yaml:3:51: at [0].files[0].password: found password for a file that is not encrypted; only content: pkcs12 takes it)"},
        Mistake{
            "KeyReadableByOthers", WithFiles("[{path: /a, content: private_key, mode: \"0644\"}]"),
            R"(/etc/certcast/n.yaml:3:50: at [0].files[0].mode: found "0644", expected permissions without others in them: the file holds the private key; write "0600", or "0640" with the service's group)"},
        Mistake{
            "CombinedReadableByOthers", WithFiles("[{path: /a, content: combined, mode: \"0604\"}]"),
            R"(/etc/certcast/n.yaml:3:47: at [0].files[0].mode: found "0604", expected permissions without others in them: the file holds the private key; write "0600", or "0640" with the service's group)"},
        Mistake{
            "KeyWritableByGroup", WithFiles("[{path: /a, content: private_key, mode: \"0660\"}]"),
            R"(/etc/certcast/n.yaml:3:50: at [0].files[0].mode: found "0660", expected permissions by which only the owner writes: the file holds the private key; write "0600", or "0640" with the service's group)"},
        Mistake{
            "WritableByOthers", WithFiles("[{path: /a, content: cert, mode: \"0666\"}]"),
            R"(/etc/certcast/n.yaml:3:43: at [0].files[0].mode: found "0666", expected permissions by which others do not write; write "0644")"},
        Mistake{
            "NotReadableByOwner", WithFiles("[{path: /a, content: cert, mode: \"0000\"}]"),
            R"(/etc/certcast/n.yaml:3:43: at [0].files[0].mode: found "0000", expected permissions by which the owner reads)"},
        Mistake{
            "DecimalMode", WithFiles("[{path: /a, content: cert, mode: 420}]"),
            R"(/etc/certcast/n.yaml:3:43: at [0].files[0].mode: found "420", expected permissions as four octal digits, the first of them 0; write them as "0644")"},
        Mistake{
            "BadGroup", WithFiles("[{path: /a, content: cert, group: www data}]"),
            R"(/etc/certcast/n.yaml:3:44: at [0].files[0].group: found "www data", expected the name or number of a user or group)"},
        Mistake{
            "SamePath", WithFiles("[{path: /a, content: cert}, {path: //a/, content: chain}]"),
            R"(/etc/certcast/n.yaml:3:45: at [0].files[1].path: found the path "/a" a second time; the first is at line 3, column 18)"},
        Mistake{
            "SamePathInTwoServices",
            absl::StrCat(kHead, kFiles, kProbes, "- name: b\n  certificate: wildcard", kFiles, kProbes),
            R"(/etc/certcast/n.yaml:7:18: at [1].files[0].path: found the path "/etc/tls/a.pem" a second time; the first is at line 3, column 18)"},
        Mistake{
            "OneBelowAnother", WithFiles("[{path: /a/b, content: cert}, {path: /a, content: chain}]"),
            R"(/etc/certcast/n.yaml:3:18: at [0].files[0].path: found "/a/b" below "/a", which is itself a file at line 3, column 47)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Commands, ServiceErrors,
    testing::Values(
        Mistake{
            "OneText", With("check: nginx -t"),
            R"(/etc/certcast/n.yaml:3:10: at [0].check: found "nginx -t", expected a list of words such as [nginx, -s, reload]; for a shell line write {sh: "..."})"},
        Mistake{"Empty", With("check: []"),
                "/etc/certcast/n.yaml:3:10: at [0].check: found an empty list, expected a list of words such as "
                "[nginx, -s, reload]"},
        Mistake{
            "Number", With("check: 5"),
            R"(/etc/certcast/n.yaml:3:10: at [0].check: found "5", expected a list of words such as [nginx, -s, reload]; for a shell line write {sh: "..."})"},
        Mistake{
            "Nothing", With("check:"),
            R"(/etc/certcast/n.yaml:3:3: at [0].check: found nothing, expected a list of words such as [nginx, -s, reload]; for a shell line write {sh: "..."})"},
        Mistake{"NoWords", With("check: {timeout: 5s}"),
                "/etc/certcast/n.yaml:3:10: at [0].check: found none of run, sh, expected exactly one"},
        Mistake{"RunAndShell", With("check: {run: [a], sh: b}"),
                "/etc/certcast/n.yaml:3:10: at [0].check: found several of run, sh, expected exactly one"},
        Mistake{
            "RunIsOneText", With("check: {run: a -b}"),
            R"(/etc/certcast/n.yaml:3:16: at [0].check.run: found "a -b", expected a list of words such as [nginx, -s, reload])"},
        Mistake{"ShellIsAList", With("check: {sh: [a]}"),
                "/etc/certcast/n.yaml:3:15: at [0].check.sh: found a list, expected a shell line"},
        Mistake{"EmptyWord", With("check: [a, \"\"]"),
                "/etc/certcast/n.yaml:3:14: at [0].check[1]: found an empty text, expected a word"},
        Mistake{"UnknownKey", With("check: {run: [a], env: b}"),
                R"(/etc/certcast/n.yaml:3:21: at [0].check: unknown key "env"; known here: run, sh, timeout)"},
        Mistake{"TooShort", With("check: {run: [a], timeout: 1ms}"),
                R"(/etc/certcast/n.yaml:3:30: at [0].check.timeout: found "1ms", expected a time from 100ms to 1h)"},
        Mistake{"WordWithNul", With("check: [\"a\\0\"]"),
                "/etc/certcast/n.yaml:3:11: found a NUL character, expected a text without"}),
    NameOf);

std::string WithHaproxy(absl::string_view haproxy) {
  return absl::StrCat(kHead, "\n  reload: {haproxy: ", haproxy, "}", kCombined, kProbes);
}

INSTANTIATE_TEST_SUITE_P(
    Reloads, ServiceErrors,
    testing::Values(
        Mistake{
            "OneText", With("reload: nginx -s reload"),
            R"(/etc/certcast/n.yaml:3:11: at [0].reload: found "nginx -s reload", expected none, or a list of words such as [nginx, -s, reload]; for a shell line write {sh: "..."})"},
        Mistake{"NoKind", With("reload: {timeout: 5s}"),
                "/etc/certcast/n.yaml:3:11: at [0].reload: found none of run, sh, restart, signal, haproxy, expected "
                "exactly one"},
        Mistake{"TwoKinds", With("reload: {run: [a], restart: [b]}"),
                "/etc/certcast/n.yaml:3:11: at [0].reload: found several of run, sh, restart, signal, haproxy, "
                "expected exactly one"},
        Mistake{
            "UnknownKind", With("reload: {systemd: nginx}"),
            R"(/etc/certcast/n.yaml:3:12: at [0].reload: unknown key "systemd"; known here: run, sh, restart, signal, haproxy, pid_file, timeout)"},
        Mistake{
            "RestartOfOneText", With("reload: {restart: systemctl restart vsftpd}"),
            R"(/etc/certcast/n.yaml:3:21: at [0].reload.restart: found "systemctl restart vsftpd", expected a list of words such as [nginx, -s, reload])"},
        Mistake{
            "SignalWithoutPidFile", With("reload: {signal: HUP}"),
            R"(/etc/certcast/n.yaml:3:11: at [0].reload: missing key "pid_file"; the file in which the server writes its process id)"},
        Mistake{
            "SignalThatEnds", With("reload: {signal: KILL, pid_file: /run/a.pid}"),
            R"(/etc/certcast/n.yaml:3:20: at [0].reload.signal: found "KILL", expected one of HUP, USR1, USR2, WINCH)"},
        Mistake{
            "SignalWithALongName", With("reload: {signal: SIGHUP, pid_file: /run/a.pid}"),
            R"(/etc/certcast/n.yaml:3:20: at [0].reload.signal: found "SIGHUP", expected one of HUP, USR1, USR2, WINCH)"},
        Mistake{"SignalWithTimeout", With("reload: {signal: HUP, pid_file: /run/a.pid, timeout: 5s}"),
                "/etc/certcast/n.yaml:3:56: at [0].reload.timeout: found timeout beside signal, after which nothing is "
                "awaited; probes have their own"},
        Mistake{
            "RelativePidFile", With("reload: {signal: HUP, pid_file: a.pid}"),
            R"(/etc/certcast/n.yaml:3:35: at [0].reload.pid_file: found "a.pid", expected an absolute path without ..)"},
        Mistake{"PidFileOfACommand", With("reload: {run: [a], pid_file: /run/a.pid}"),
                "/etc/certcast/n.yaml:3:32: at [0].reload.pid_file: found pid_file beside run, expected it beside "
                "signal"},
        Mistake{
            "HaproxyWithoutSocket", WithHaproxy("{certificate: /etc/haproxy/a.pem}"),
            R"(/etc/certcast/n.yaml:3:21: at [0].reload.haproxy: missing key "socket"; haproxy.cfg names it: stats socket /run/haproxy/admin.sock)"},
        Mistake{
            "HaproxyWithAnotherFile", WithHaproxy("{socket: /run/h.sock, certificate: /etc/haproxy/b.pem}"),
            R"(/etc/certcast/n.yaml:3:56: at [0].reload.haproxy.certificate: found "/etc/haproxy/b.pem", expected the path of one of this service's files with content combined; what haproxy gets over its socket must be what it reads when it starts)"},
        Mistake{
            "HaproxyWithACommandInThePath",
            absl::StrCat(kHead, "\n  reload: {haproxy: {socket: /run/h.sock, certificate: \"/etc/a;b\"}}",
                         "\n  files: [{path: \"/etc/a;b\", content: combined}]", kProbes),
            R"(/etc/certcast/n.yaml:3:56: at [0].reload.haproxy.certificate: found "/etc/a;b", expected a path without spaces, quotes and \ ; < > # $ !, which haproxy's runtime API reads)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Probes, ServiceErrors,
    testing::Values(
        Mistake{
            "Missing", absl::StrCat(kHead, kFiles),
            R"(/etc/certcast/n.yaml:1:3: at [0]: missing key "probes"; add {tls: {address: "127.0.0.1:443", server_name: www.example.com}}: success is the fingerprint that is served)"},
        Mistake{
            "None", WithProbes("[]"),
            R"(/etc/certcast/n.yaml:4:11: at [0].probes: found no tls probe and no http probe of an https URL, expected at least one; add {tls: {address: "127.0.0.1:443", server_name: www.example.com}}: success is the fingerprint that is served)"},
        Mistake{
            "NothingSeesTheCertificate", WithProbes("[{tcp: {address: \"a:1\"}}, {http: {url: \"http://a/\"}}]"),
            R"(/etc/certcast/n.yaml:4:11: at [0].probes: found no tls probe and no http probe of an https URL, expected at least one; add {tls: {address: "127.0.0.1:443", server_name: www.example.com}}: success is the fingerprint that is served)"},
        Mistake{"AMap", WithProbes("{tls: {}}"),
                "/etc/certcast/n.yaml:4:11: at [0].probes: found a map, expected a list of probes"},
        Mistake{
            "AText", WithProbes("[tls]"),
            R"(/etc/certcast/n.yaml:4:12: at [0].probes[0]: found "tls", expected a probe such as {tls: {address: ..., server_name: ...}})"},
        Mistake{"TwoInOne", WithProbes("[{tls: {}, tcp: {}}]"),
                "/etc/certcast/n.yaml:4:12: at [0].probes[0]: found several of tls, http, tcp, command, expected "
                "exactly one"},
        Mistake{
            "UnknownKind", WithProbes(absl::StrCat("[", kTls, ", {smtp: {}}]")),
            R"(/etc/certcast/n.yaml:4:78: at [0].probes[1]: unknown key "smtp"; known here: tls, http, tcp, command)"},
        Mistake{
            "TlsWithoutName", WithProbes("[{tls: {address: \"a:1\"}}]"),
            R"(/etc/certcast/n.yaml:4:18: at [0].probes[0].tls: missing key "server_name"; the name that clients ask for, such as www.example.com)"},
        Mistake{
            "TlsWithAWildcard", WithProbes("[{tls: {address: \"a:1\", server_name: \"*.example.com\"}}]"),
            R"(/etc/certcast/n.yaml:4:48: at [0].probes[0].tls.server_name: found "*.example.com", expected a host name to ask for; a wildcard is not a host: write one that it covers, such as www.example.com)"},
        Mistake{
            "TlsWithoutPort", WithProbes("[{tls: {address: a, server_name: b}}]"),
            R"(/etc/certcast/n.yaml:4:28: at [0].probes[0].tls.address: "a" is not an address: it has no port; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
        Mistake{
            "OneAddressAndSeveral", WithProbes("[{tls: {address: \"a:1\", addresses: [\"b:1\"], server_name: a}}]"),
            "/etc/certcast/n.yaml:4:46: at [0].probes[0].tls.addresses: found address and addresses, expected one of "
            "them"},
        Mistake{"NoAddresses", WithProbes("[{tls: {addresses: [], server_name: a}}]"),
                "/etc/certcast/n.yaml:4:30: at [0].probes[0].tls.addresses: found an empty list, expected a list of at "
                "least one address"},
        Mistake{
            "AddressTwice", WithProbes("[{tls: {addresses: [\"a:1\", \"a:1\"], server_name: a}}]"),
            R"(/etc/certcast/n.yaml:4:38: at [0].probes[0].tls.addresses[1]: found the address "a:1" a second time; the first is at line 4, column 31)"},
        Mistake{
            "UnknownStartTls", WithProbes("[{tls: {address: \"a:1\", server_name: a, starttls: stmp}}]"),
            R"(/etc/certcast/n.yaml:4:61: at [0].probes[0].tls.starttls: found "stmp", expected one of smtp, lmtp, imap, pop3, ftp, ldap, mysql, postgres, xmpp; did you mean smtp?)"},
        Mistake{"UnknownExpectation", WithProbes("[{tls: {address: \"a:1\", server_name: a, expect: all}}]"),
                R"(/etc/certcast/n.yaml:4:59: at [0].probes[0].tls.expect: found "all", expected one of leaf, chain)"},
        Mistake{
            "NoneInARow", WithProbes("[{tls: {address: \"a:1\", server_name: a, consecutive: 0}}]"),
            R"(/etc/certcast/n.yaml:4:64: at [0].probes[0].tls.consecutive: found "0", expected a whole number from 1 to 100)"},
        Mistake{"ClientWithoutKey",
                WithProbes("[{tls: {address: \"a:1\", server_name: a, client: {certificate: /c}}}]"),
                R"(/etc/certcast/n.yaml:4:59: at [0].probes[0].tls.client: missing key "key")"},
        Mistake{
            "BodyIsNoExpression", WithProbes("[{http: {url: \"https://a/\", body: {matches: \"a(\"}}}]"),
            R"(/etc/certcast/n.yaml:4:55: at [0].probes[0].http.body.matches: found "a(", expected a regular expression: missing ): a(; the syntax is RE2's; for a plain text write body: {contains: TEXT})"},
        Mistake{
            "BodyOfNeither", WithProbes("[{http: {url: \"https://a/\", body: {}}}]"),
            "/etc/certcast/n.yaml:4:45: at [0].probes[0].http.body: found none of contains, matches, expected exactly "
            "one"},
        Mistake{
            "HttpScheme", WithProbes(absl::StrCat("[", kTls, ", {http: {url: \"ftp://a/\"}}]")),
            R"(/etc/certcast/n.yaml:4:90: at [0].probes[1].http.url: found "ftp://a/", expected a URL that begins with https:// or http://)"},
        Mistake{
            "HttpStatus", WithProbes("[{http: {url: \"https://a/\", status: 99}}]"),
            R"(/etc/certcast/n.yaml:4:47: at [0].probes[0].http.status: found "99", expected a whole number from 100 to 599)"},
        Mistake{
            "HttpHost", WithProbes("[{http: {url: \"https://a/\", host: \"a:80\"}}]"),
            R"(/etc/certcast/n.yaml:4:45: at [0].probes[0].http.host: found "a:80", expected a host name such as www.example.com)"},
        Mistake{
            "Timeout", WithProbes("[{http: {url: \"https://a/\", timeout: 2h}}]"),
            R"(/etc/certcast/n.yaml:4:48: at [0].probes[0].http.timeout: found "2h", expected a time from 100ms to 1h)"},
        Mistake{
            "CommandText", WithProbes(absl::StrCat("[", kTls, ", {command: mailq}]")),
            R"(/etc/certcast/n.yaml:4:87: at [0].probes[1].command: found "mailq", expected a list of words such as [nginx, -s, reload]; for a shell line write {sh: "..."})"}),
    NameOf);

TEST(ServiceErrors, BoundsTheNumberOfHandshakes) {
  std::string addresses;
  for (int i = 1; i <= 33; ++i) absl::StrAppend(&addresses, i == 1 ? "" : ", ", "\"a:", i, "\"");
  const std::string one = absl::StrCat("{tls: {addresses: [", addresses, "], server_name: a}}");
  const std::string two = absl::StrCat("{tls: {addresses: [", addresses, "], server_names: [a, b]}}");
  EXPECT_EQ(Read(WithProbes(absl::StrCat("[", one, "]"))).errors, "");
  EXPECT_THAT(Read(WithProbes(absl::StrCat("[", two, "]"))).errors,
              testing::HasSubstr("found 33 addresses with 2 server names each, which are 66 handshakes, expected at "
                                 "most 64"));
  EXPECT_THAT(Read(WithProbes(absl::StrCat("[", one, ", ", one, "]"))).errors,
              testing::HasSubstr("found 66 pairs of address and server name, expected at most 64"));
}

TEST(ServiceErrors, BoundsTheLengthOfWords) {
  const std::string word(4096, 'x');
  EXPECT_EQ(Read(With(absl::StrCat("check: [", word, "]"))).errors, "");
  EXPECT_EQ(Read(With(absl::StrCat("check: [", word, "x]"))).errors,
            "/etc/certcast/n.yaml:3:11: at [0].check[0]: found more than 4096 characters, expected a shorter word");
}

}  // namespace
}  // namespace certcast
