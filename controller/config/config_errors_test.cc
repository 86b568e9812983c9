// Every mistake that we know of, and the exact words for it. Each case changes one place of a good configuration.
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/config/config.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

constexpr char kGood[] = R"(state: /var/lib/certcast
master_key: {file: /etc/certcast/master.key}
accounts:
  - name: digicert
    directory: https://acme.example/directory?action=renew
    terms_of_service_agreed: true
    contact: ["mailto:ops@example.com"]
    external_account: {key_id: kid-1, hmac_key: {file: eab.key}}
certificates:
  - name: wildcard
    account: digicert
    domains: ["*.example.com", example.com]
    key_type: ecdsa-p256
    challenge: {type: dns-01, solver: exec, exec: {command: [/bin/hook]}, propagation: {resolvers: ["127.0.0.1:53"]}}
    renewal: {at: "66%"}
    nodes: {role: web}
    rollout: {waves: ["1", "10%", "100%"], parallel: 64, spread: {label: rack}}
  - name: shop
    domains: [shop.example.com]
    nodes: [web-02]
nodes:
  - {name: web-01, address: "grpc://10.0.0.1:7444", labels: {role: web, rack: a, tier: one}, verify: ["10.0.0.1:443"]}
  - {name: web-02, address: "grpc://10.0.0.2:7444", labels: {role: web, rack: b}}
)";

struct Mistake {
  const char* name;
  // What is replaced in kGood, and by what.
  std::string old_text;
  std::string new_text;
  std::string errors;
};

void PrintTo(const Mistake& mistake, std::ostream* out) {
  *out << mistake.new_text;
}

std::string Apply(const Mistake& mistake) {
  std::string text = kGood;
  const size_t at = text.find(mistake.old_text);
  EXPECT_NE(at, std::string::npos) << mistake.old_text;
  EXPECT_EQ(text.find(mistake.old_text, at + 1), std::string::npos) << "twice: " << mistake.old_text;
  return text.replace(at, mistake.old_text.size(), mistake.new_text);
}

class ConfigErrors : public testing::TestWithParam<Mistake> {};

TEST_P(ConfigErrors, NameThePlaceAndWhatIsExpected) {
  const auto config = ParseConfig(Apply(GetParam()), "c.yaml");
  ASSERT_FALSE(config.ok());
  EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(config.status().message()), GetParam().errors);
}

std::string NameOf(const testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

TEST(ConfigErrors, TheUnchangedConfigHasNone) {
  const auto config = ParseConfig(kGood, "c.yaml");
  EXPECT_TRUE(config.ok()) << config.status();
}

INSTANTIATE_TEST_SUITE_P(
    WholeFile, ConfigErrors,
    testing::Values(
        Mistake{"Empty", kGood, "",
                "c.yaml:1:1: found nothing, expected a map with state, master_key, accounts, certificates and nodes"},
        Mistake{"OnlyAComment", kGood, "# later\n",
                "c.yaml:1:1: found nothing, expected a map with state, master_key, accounts, certificates and nodes"},
        Mistake{"AList", kGood, "- a\n",
                "c.yaml:1:1: found a list, expected a map with state, master_key, accounts, certificates and nodes"},
        Mistake{
            "AText", kGood, "certcast\n",
            R"(c.yaml:1:1: found "certcast", expected a map with state, master_key, accounts, certificates and nodes)"},
        Mistake{"MissingKeys", kGood, "accounts: []\n", R"(c.yaml:1:1: missing key "state"
c.yaml:1:1: missing key "master_key"; write master_key: {file: /etc/certcast/master.key}; `certcast init` makes that file)"},
        Mistake{"UnknownKey", "accounts:", "acounts:", R"(c.yaml:3:1: unknown key "acounts"; did you mean accounts?
c.yaml:11:14: at certificates[0].account: found "digicert", expected the name of an account under `accounts`)"},
        Mistake{
            "KeyOfALaterVersion", "accounts:", "listen: {socket: /run/x}\naccounts:",
            R"(c.yaml:3:1: unknown key "listen"; known here: state, master_key, accounts, certificates, nodes, ssh, services)"},
        Mistake{"KeyTwice", "accounts:", "state: /tmp\naccounts:",
                R"(c.yaml:3:1: found the key "state" a second time; the first is at line 1, column 1)"},
        Mistake{"KeyTwiceInFlowMap", "parallel: 64", "parallel: 64, parallel: 65",
                R"(c.yaml:17:58: found the key "parallel" a second time; the first is at line 17, column 44)"},
        Mistake{"NothingWhereAListIsExpected", "accounts:\n", "accounts:\nnodez:\n",
                R"(c.yaml:3:1: at accounts: found nothing, expected a list of accounts
c.yaml:4:1: unknown key "nodez"; did you mean nodes?
c.yaml:12:14: at certificates[0].account: found "digicert", expected the name of an account under `accounts`)"},
        Mistake{"SecondDocument", "accounts:", "---\naccounts:",
                "c.yaml:3:1: not valid YAML: a second document begins here, expected one"},
        Mistake{
            "MergeKey", "parallel: 64", "<<: {parallel: 64}",
            R"(c.yaml:17:44: at certificates[0].rollout: unknown key "<<"; known here: waves, parallel, max_failures, max_unreachable, on_halt, soak, confirm_timeout, node_timeout, timeout, spread, windows)"},
        Mistake{"Anchor", "parallel: 64", "parallel: &p 64",
                "c.yaml:17:54: found an anchor (&), which is not supported; write the value out"},
        Mistake{"Alias", "spread: {label: rack}", "spread: {label: &l rack, in_flight: *l}",
                R"(c.yaml:17:74: found an anchor (&), which is not supported; write the value out
c.yaml:17:94: found an alias (*), which is not supported; write the value out)"},
        Mistake{"Tag", "parallel: 64", "parallel: !!int 64",
                R"(c.yaml:17:54: found the tag "tag:yaml.org,2002:int", expected none; put texts in quotes instead)"},
        Mistake{"UnquotedWildcard", "[\"*.example.com\"", "[*.example.com",
                R"(c.yaml:12:15: not valid YAML: a value that begins with * must be in quotes, as in "*.example.com")"},
        Mistake{"UnclosedQuote", "\"66%\"", "\"66%",
                "c.yaml:17:24: not valid YAML: a map that begins with { is not closed by }, or a comma or quote is "
                "missing; the quote at line 15, column 19 goes on over several lines: should it end earlier?"},
        Mistake{"UnclosedList", "example.com]\n    key_type", "example.com\n    key_type",
                "c.yaml:13:13: not valid YAML: a list that begins with [ is not closed by ], or a comma or quote is "
                "missing"},
        Mistake{
            "UnclosedMap", "renewal: {at: \"66%\"}", "renewal: {at: \"66%\"",
            "c.yaml:16:5: not valid YAML: a map that begins with { is not closed by }, or a comma or quote is missing"},
        Mistake{"Tab", "    key_type:", "\tkey_type:", "c.yaml:13:2: not valid YAML: indented by a tab; use spaces"},
        Mistake{"WrongIndentation", "    key_type:", "   key_type:",
                "c.yaml:13:4: not valid YAML: wrong indentation, or something left over after a value"},
        Mistake{"ColonInPlainText", "action=renew", "action: renew",
                "c.yaml:5:53: not valid YAML: a `: ` that does not belong here: a second one on the line (put the text "
                "in quotes), wrong indentation, or no space after the `:` above"},
        Mistake{"ControlCharacter", "kid-1", "kid\x04-1",
                "c.yaml:8:35: found the byte 0x04, expected text in UTF-8 without control characters"},
        Mistake{"NotUtf8", "kid-1", "kid\xff-1",
                "c.yaml:8:35: found the byte 0xff, expected text in UTF-8 without control characters"},
        Mistake{"EscapedNul", "kid-1", "\"kid\\0-1\"", "c.yaml:8:32: found a NUL character, expected a text without"},
        Mistake{
            "ColumnsAreCharacters", "{key_id: kid-1, hmac_key", "{key_id: \"kïd-ü\", hmac_kei",
            R"(c.yaml:8:23: at accounts[0].external_account: missing key "hmac_key"; write hmac_key: {file: PATH}; the CA gives the key
c.yaml:8:41: at accounts[0].external_account: unknown key "hmac_kei"; did you mean hmac_key?)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    MasterKey, ConfigErrors,
    testing::Values(Mistake{"Inline", "{file: /etc/certcast/master.key}", "c2VjcmV0",
                            "c.yaml:2:13: at master_key: expected exactly one of {file: PATH}, {credential: NAME} or "
                            "{passphrase: {file: PATH}}"},
                    Mistake{"InlineUnderAKey", "{file: /etc/certcast/master.key}", "{key: c2VjcmV0}",
                            "c.yaml:2:13: at master_key: expected exactly one of {file: PATH}, {credential: NAME} or "
                            "{passphrase: {file: PATH}}"},
                    Mistake{"Two", "{file: /etc/certcast/master.key}", "{file: a, credential: b}",
                            "c.yaml:2:13: at master_key: expected exactly one of {file: PATH}, {credential: NAME} or "
                            "{passphrase: {file: PATH}}"},
                    Mistake{"FromTheEnvironment", "{file: /etc/certcast/master.key}", "{env: KEY}",
                            "c.yaml:2:13: at master_key: expected exactly one of {file: PATH}, {credential: NAME} or "
                            "{passphrase: {file: PATH}}"},
                    Mistake{"PassphraseInline", "{file: /etc/certcast/master.key}", "{passphrase: hunter2}",
                            "c.yaml:2:26: at master_key.passphrase: expected exactly one of {file: PATH}, {env: NAME} "
                            "and {credential: NAME}; secrets never stand in the configuration"},
                    Mistake{"PassphraseFromNowhere", "{file: /etc/certcast/master.key}", "{passphrase: {}}",
                            "c.yaml:2:26: at master_key.passphrase: expected exactly one of {file: PATH}, {env: NAME} "
                            "and {credential: NAME}"},
                    Mistake{"CredentialWithSlash", "{file: /etc/certcast/master.key}", "{credential: ../x}",
                            "c.yaml:2:26: at master_key.credential: expected the name of a credential: letters, digits "
                            "and _ . -; what was found is not shown: it may be the secret"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Accounts, ConfigErrors,
    testing::Values(
        Mistake{"NoName", "name: digicert\n    directory", "directory",
                R"(c.yaml:4:5: at accounts[0]: missing key "name")"},
        Mistake{
            "NameWithSpace", "name: digicert", "name: Digi Cert",
            R"(c.yaml:4:11: at accounts[0].name: found "Digi Cert", expected a name: lower-case letters, digits, and `.` and `-` between them, at most 63 characters)"},
        Mistake{
            "NotHttps", "https://acme.example/directory", "http://acme.example/directory",
            R"(c.yaml:5:16: at accounts[0].directory: found "http://acme.example/directory?action=renew", expected an https:// URL; ACME runs over HTTPS alone (RFC 8555 section 6.1))"},
        Mistake{
            "NoUrl", "https://acme.example/directory?action=renew", "acme.example",
            R"(c.yaml:5:16: at accounts[0].directory: found "acme.example", expected a URL that begins with https://)"},
        Mistake{"UrlWithPassword", "https://acme.example/", "https://me:hunter2@acme.example/",
                "c.yaml:5:16: at accounts[0].directory: found a URL with a user name or password, expected one "
                "without; secrets never stand in the configuration"},
        Mistake{
            "ContactIsOneText", "[\"mailto:ops@example.com\"]", "mailto:ops@example.com",
            R"(c.yaml:7:14: at accounts[0].contact: found "mailto:ops@example.com", expected a list of mailto: URLs)"},
        Mistake{
            "ContactWithoutMailto", "mailto:ops@example.com", "ops@example.com",
            R"(c.yaml:7:15: at accounts[0].contact[0]: found "ops@example.com", expected a contact such as mailto:ops@example.com; put mailto: before it)"},
        Mistake{
            "ContactWithHeader", "mailto:ops@example.com", "mailto:ops@example.com?subject=x",
            R"(c.yaml:7:15: at accounts[0].contact[0]: found "mailto:ops@example.com?subject=x", expected a contact such as mailto:ops@example.com; one address, without header fields (RFC 8555 section 7.3))"},
        Mistake{
            "TermsNotAgreed", "terms_of_service_agreed: true", "terms_of_service_agreed: false",
            R"(c.yaml:6:30: at accounts[0].terms_of_service_agreed: found "false", expected true; read the CA's terms of service and write true: no CA issues without)"},
        Mistake{
            "TermsMissing", "    terms_of_service_agreed: true\n", "",
            R"(c.yaml:4:5: at accounts[0]: missing key "terms_of_service_agreed"; read the CA's terms of service and write true: no CA issues without)"},
        Mistake{"TermsYes", "terms_of_service_agreed: true", "terms_of_service_agreed: yes",
                R"(c.yaml:6:30: at accounts[0].terms_of_service_agreed: found "yes", expected true or false)"},
        Mistake{
            "TermsQuoted", "terms_of_service_agreed: true", "terms_of_service_agreed: \"true\"",
            R"(c.yaml:6:30: at accounts[0].terms_of_service_agreed: found "true", expected true or false; write it without quotes)"},
        Mistake{"HmacKeyInline", "{file: eab.key}", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W",
                "c.yaml:8:49: at accounts[0].external_account.hmac_key: expected exactly one of {file: PATH}, {env: "
                "NAME} and {credential: NAME}; secrets never stand in the configuration"},
        Mistake{"HmacKeyAsAKey", "{file: eab.key}", "{zWNDZM6eQGHWpSRTPal5eIUYFTu7}",
                "c.yaml:8:49: at accounts[0].external_account.hmac_key: expected exactly one of {file: PATH}, {env: "
                "NAME} and {credential: NAME}"},
        Mistake{"HmacKeyInEnv", "{file: eab.key}", "{env: \"zWNDZM6e+QGHWpSRTPal5eIUYFTu7\"}",
                "c.yaml:8:55: at accounts[0].external_account.hmac_key.env: expected the name of an environment "
                "variable: letters, digits and _; what was found is not shown: it may be the secret"},
        Mistake{
            "KeyIdMissing", "key_id: kid-1, ", "",
            R"(c.yaml:8:23: at accounts[0].external_account: missing key "key_id"; the CA gives it, together with the HMAC key)"},
        Mistake{
            "Twice", "certificates:",
            "  - {name: digicert, directory: \"https://b.example/\", terms_of_service_agreed: true}\ncertificates:",
            R"(c.yaml:9:12: at accounts[1].name: found the account name "digicert" a second time; the first is at line 4, column 11)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Certificates, ConfigErrors,
    testing::Values(Mistake{"UnknownAccount", "account: digicert", "account: digicrt",
                            R"(c.yaml:11:14: at certificates[0].account: found "digicrt", expected the name of an account under `accounts`; did you mean digicert?)"},
                    Mistake{
                        "BadDomain", "example.com]\n    key_type", "exam_ple.com]\n    key_type",
                        R"(c.yaml:12:32: at certificates[0].domains[1]: "exam_ple.com" is not a DNS name for a certificate: has the character "_")"},
                    Mistake{
                        "DomainIsUnicode", "example.com]\n    key_type", "exämple.com]\n    key_type",
                        R"(c.yaml:12:32: at certificates[0].domains[1]: "exämple.com" is not a DNS name for a certificate: is not ASCII; write it in its ASCII form (xn--...))"},
                    Mistake{
                        "DomainIsAnAddress", "example.com]\n    key_type", "10.0.0.1]\n    key_type",
                        R"(c.yaml:12:32: at certificates[0].domains[1]: "10.0.0.1" is not a DNS name for a certificate: ends in a number, as an IP address does)"},
                    Mistake{
                        "WildcardInTheMiddle", "\"*.example.com\"", "\"a.*.example.com\"",
                        R"(c.yaml:12:15: at certificates[0].domains[0]: "a.*.example.com" is not a DNS name for a certificate: "*" may only be the whole first label)"},
                    Mistake{
                        "DomainTwice", "example.com]\n    key_type", "\"*.EXAMPLE.com\"]\n    key_type",
                        R"(c.yaml:12:32: at certificates[0].domains[1]: found the domain "*.example.com" a second time; the first is at line 12, column 15)"},
                    Mistake{"NoDomains", "[\"*.example.com\", example.com]", "[]",
                            "c.yaml:12:14: at certificates[0].domains: found an empty list, expected a list of at "
                            "least one DNS name"},
                    Mistake{
                        "DomainsAreAText", "[\"*.example.com\", example.com]", "example.com",
                        R"(c.yaml:12:14: at certificates[0].domains: found "example.com", expected a list of at least one DNS name)"},
                    Mistake{
                        "KeyType", "ecdsa-p256", "ecdsa-p265",
                        R"(c.yaml:13:15: at certificates[0].key_type: found "ecdsa-p265", expected one of ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096; did you mean ecdsa-p256?)"},
                    Mistake{
                        "KeyTypeOfManifests", "ecdsa-p256", "ed25519",
                        R"(c.yaml:13:15: at certificates[0].key_type: found "ed25519", expected one of ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096)"},
                    Mistake{
                        "ProfileWithSpace", "key_type: ecdsa-p256", "profile: tls server",
                        R"(c.yaml:13:14: at certificates[0].profile: found "tls server", expected the name of a profile: at most 64 characters, no spaces)"},
                    Mistake{
                        "NoChallenge",
                        "    challenge: {type: dns-01, solver: exec, exec: {command: [/bin/hook]}, propagation: "
                        "{resolvers: "
                        "[\"127.0.0.1:53\"]}}\n",
                        "",
                        R"(c.yaml:10:5: at certificates[0]: missing key "challenge"; write challenge: {type: dns-01, solver: exec, exec: {command: [HOOK]}}, or remove account when it is imported)"},
                    Mistake{
                        "WildcardWithHttp01",
                        "{type: dns-01, solver: exec, exec: {command: [/bin/hook]}, propagation: {resolvers: "
                        "[\"127.0.0.1:53\"]}}",
                        "{type: http-01, solver: webroot, webroot: {path: /var/www}}",
                        R"(c.yaml:14:23: at certificates[0].challenge.type: found "http-01", expected dns-01 for the wildcard "*.example.com"; one server's answer is no proof for all names below a domain (CA/Browser Forum Baseline Requirements 3.2.2.4.19, 3.2.2.4.20))"},
                    Mistake{
                        "Http01",
                        "domains: [\"*.example.com\", example.com]\n    key_type: ecdsa-p256\n    challenge: "
                        "{type: dns-01, "
                        "solver: exec",
                        "domains: [example.com]\n    key_type: ecdsa-p256\n    challenge: {type: tls-alpn-01, "
                        "solver: webroot",
                        R"(c.yaml:14:23: at certificates[0].challenge.type: found "tls-alpn-01", expected dns-01 or http-01; tls-alpn-01 is not supported)"},
                    Mistake{
                        "ChallengeType", "type: dns-01", "type: dns",
                        R"(c.yaml:14:23: at certificates[0].challenge.type: found "dns", expected one of dns-01, http-01, dns-persist-01)"},
                    Mistake{
                        "DraftMissing",
                        "{type: dns-01, solver: exec, exec: {command: [/bin/hook]}, propagation: {resolvers: "
                        "[\"127.0.0.1:53\"]}}",
                        "{type: dns-persist-01}",
                        R"(c.yaml:14:16: at certificates[0].challenge: missing key "draft"; write draft: "00", the version of draft-ietf-acme-dns-persist that your CA follows)"},
                    Mistake{"ChallengeTypeMissing", "type: dns-01, ", "",
                            R"(c.yaml:14:16: at certificates[0].challenge: missing key "type"; write type: dns-01)"},
                    Mistake{
                        "Solver", "solver: exec", "solver: route53",
                        R"(c.yaml:14:39: at certificates[0].challenge.solver: found "route53", expected one of exec, acme-sh, httpreq, certbot-hook, dehydrated-hook, rfc2136, acme-dns)"},
                    Mistake{
                        "SolverMeantAnother", "solver: exec", "solver: htpreq",
                        R"(c.yaml:14:39: at certificates[0].challenge.solver: found "htpreq", expected one of exec, acme-sh, httpreq, certbot-hook, dehydrated-hook, rfc2136, acme-dns; did you mean httpreq?)"},
                    Mistake{"SolverWithoutItsPart", "solver: exec, exec: {command: [/bin/hook]}", "solver: acme-dns",
                            R"(c.yaml:14:16: at certificates[0].challenge: missing key "acme-dns")"},
                    Mistake{
                        "TwoSolvers", "exec: {command: [/bin/hook]}",
                        "exec: {command: [/bin/hook]}, dehydrated-hook: {command: [/bin/hook]}",
                        R"(c.yaml:14:92: at certificates[0].challenge.dehydrated-hook: found dehydrated-hook, but the solver is exec; remove one of the two)"},
                    Mistake{
                        "AcmeShApi", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: acme-sh, acme-sh: {script: /acme.sh, api: cf}",
                        R"(c.yaml:14:81: at certificates[0].challenge.acme-sh.api: found "cf", expected the name of a DNS API of acme.sh, such as dns_cf)"},
                    Mistake{
                        "AcmeShVariable", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: acme-sh, acme-sh: {script: /acme.sh, api: dns_cf, variables: {PATH: {env: X}}}",
                        R"(c.yaml:14:107: at certificates[0].challenge.acme-sh.variables."PATH": found the variable "PATH", expected one that the API names, such as CF_Token)"},
                    Mistake{
                        "AcmeShInlineSecret", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: acme-sh, acme-sh: {script: /acme.sh, api: dns_cf, variables: {CF_Token: abc}}",
                        R"(c.yaml:14:111: at certificates[0].challenge.acme-sh.variables."CF_Token": expected exactly one of {file: PATH}, {env: NAME} and {credential: NAME}; secrets never stand in the configuration)"},
                    Mistake{
                        "HttpReqPlain", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: httpreq, httpreq: {endpoint: \"http://dns.example.com\"}",
                        R"(c.yaml:14:68: at certificates[0].challenge.httpreq.endpoint: found "http://dns.example.com", expected a URL that begins with https://)"},
                    Mistake{
                        "HttpReqHalfALogin", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: httpreq, httpreq: {endpoint: \"https://dns.example.com\", username: u}",
                        R"(c.yaml:14:57: at certificates[0].challenge.httpreq: found one of username and password, expected both or none)"},
                    Mistake{
                        "UpdatesToNowhere", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: rfc2136, rfc2136: {server: ns1}",
                        R"(c.yaml:14:66: at certificates[0].challenge.rfc2136.server: "ns1" is not an address: it has no port; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
                    Mistake{
                        "UpdatesWithABadAlgorithm", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: rfc2136, rfc2136: {server: \"ns1:53\", tsig: {name: k, algorithm: "
                        "hmac-sha384, secret: {env: "
                        "X}}}",
                        R"(c.yaml:14:103: at certificates[0].challenge.rfc2136.tsig.algorithm: found "hmac-sha384", expected one of hmac-sha256, hmac-sha512; did you mean hmac-sha256?)"},
                    Mistake{
                        "UpdatesWithAnInlineKey", "solver: exec, exec: {command: [/bin/hook]}",
                        "solver: rfc2136, rfc2136: {server: \"ns1:53\", tsig: {name: k, secret: aGVsbG8=}}", R"(c.yaml:14:100: at certificates[0].challenge.rfc2136.tsig.secret: expected exactly one of {file: PATH}, {env: NAME} and {credential: NAME}; secrets never stand in the configuration)"},
                    Mistake{
                        "HttpSolver",
                        "domains: [\"*.example.com\", example.com]\n    key_type: ecdsa-p256\n    challenge: "
                        "{type: dns-01, "
                        "solver: exec, exec: {command: [/bin/hook]}, propagation: {resolvers: "
                        "[\"127.0.0.1:53\"]}}",
                        "domains: [example.com]\n    key_type: ecdsa-p256\n    challenge: {type: http-01, "
                        "solver: exec}",
                        R"(c.yaml:14:40: at certificates[0].challenge.solver: found "exec", expected one of fleet, webroot, listen)"},
                    Mistake{
                        "HttpWebrootWithoutPath",
                        "domains: [\"*.example.com\", example.com]\n    key_type: ecdsa-p256\n    challenge: "
                        "{type: dns-01, "
                        "solver: exec, exec: {command: [/bin/hook]}, propagation: {resolvers: "
                        "[\"127.0.0.1:53\"]}}",
                        "domains: [example.com]\n    key_type: ecdsa-p256\n    challenge: {type: http-01, "
                        "solver: webroot}",
                        R"(c.yaml:14:16: at certificates[0].challenge: missing key "webroot"; write webroot: {path: /var/www})"},
                    Mistake{
                        "HttpListenOnAName",
                        "domains: [\"*.example.com\", example.com]\n    key_type: ecdsa-p256\n    challenge: "
                        "{type: dns-01, "
                        "solver: exec, exec: {command: [/bin/hook]}, propagation: {resolvers: "
                        "[\"127.0.0.1:53\"]}}",
                        "domains: [example.com]\n    key_type: ecdsa-p256\n    challenge: {type: http-01, "
                        "solver: listen, "
                        "listen: {address: \"localhost:80\"}}",
                        R"(c.yaml:14:66: at certificates[0].challenge.listen.address: "localhost:80" is not an address to listen on: its host is not an IP address; 0.0.0.0:7444 listens on every IPv4 address of the machine, [::]:7444 on IPv6 as well)"},
                    Mistake{
                        "HookIsOneText", "[/bin/hook]", "/bin/hook --x",
                        R"(c.yaml:14:61: at certificates[0].challenge.exec.command: found "/bin/hook --x", expected a list of words such as [nginx, -s, reload])"},
                    Mistake{"HookIsEmpty", "[/bin/hook]", "[]",
                            "c.yaml:14:61: at certificates[0].challenge.exec.command: found an empty list, expected a "
                            "list of "
                            "words such as [nginx, -s, reload]"},
                    Mistake{
                        "HookHasAList", "[/bin/hook]", "[/bin/hook, [x]]",
                        "c.yaml:14:73: at certificates[0].challenge.exec.command[1]: found a list, expected a word"},
                    Mistake{
                        "HookTimeoutWithoutUnit", "{command: [/bin/hook]}", "{command: [/bin/hook], timeout: 30}",
                        R"(c.yaml:14:83: at certificates[0].challenge.exec.timeout: found "30", expected a time such as 30s, 1h30m or 15d; a number needs its unit: 30s?)"},
                    Mistake{
                        "ResolverWithoutPort", "127.0.0.1:53", "127.0.0.1",
                        R"(c.yaml:14:101: at certificates[0].challenge.propagation.resolvers[0]: "127.0.0.1" is not an address: it has no port; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
                    Mistake{
                        "ResolverByName", "127.0.0.1:53", "dns.example:53",
                        R"(c.yaml:14:101: at certificates[0].challenge.propagation.resolvers[0]: found "dns.example:53", expected the address of a resolver, such as 127.0.0.1:53; a name would need a resolver itself)"},
                    Mistake{"RenewalTwoWays", "at: \"66%\"", "at: \"66%\", before_expiry: 15d",
                            "c.yaml:15:14: at certificates[0].renewal: found several of at, before_expiry, expected "
                            "exactly one"},
                    Mistake{
                        "RenewalByArii", "at: \"66%\"", "window: true",
                        R"(c.yaml:15:15: at certificates[0].renewal: unknown key "window"; known here: ari, at, before_expiry)"},
                    Mistake{"RenewalTwoWaysBesideAri", "at: \"66%\"", "ari: true, at: \"66%\", before_expiry: 15d",
                            "c.yaml:15:14: at certificates[0].renewal: found several of at, before_expiry, expected "
                            "exactly one"},
                    Mistake{"AccountTwice", "account: digicert", "account: digicert\n    accounts: [digicert]",
                            "c.yaml:12:15: at certificates[0].accounts: found both account and accounts, expected one "
                            "of them; write "
                            "accounts: [FIRST, SECOND]"},
                    Mistake{
                        "FurtherAccountUnknown", "account: digicert", "accounts: [digicert, digisert]",
                        R"(c.yaml:11:26: at certificates[0].accounts[1]: found "digisert", expected the name of an account under )"
                        "`accounts`; did you mean digicert?"},
                    Mistake{"ChainTwoWays", "key_type: ecdsa-p256", "preferred_chain: {issuer: Root, root_sha256: ab}",
                            "c.yaml:13:22: at certificates[0].preferred_chain: found several of issuer, root_sha256, "
                            "expected "
                            "exactly one"},
                    Mistake{
                        "ChainByAShortFingerprint", "key_type: ecdsa-p256", "preferred_chain: {root_sha256: ab}",
                        R"(c.yaml:13:36: at certificates[0].preferred_chain.root_sha256: found "ab", expected a SHA-256 )"
                        "fingerprint: 64 hex digits, with or without colons; openssl x509 -in ROOT.pem -noout "
                        "-fingerprint "
                        "-sha256 shows it"},
                    Mistake{
                        "ContractEndsOnNoDay", "terms_of_service_agreed: true",
                        "terms_of_service_agreed: true\n    ends: {contract: 2027-02-30}",
                        R"(c.yaml:7:22: at accounts[0].ends.contract: found "2027-02-30", expected a date such as 2027-03-31; )"
                        "the last day on which it holds, year-month-day"},
                    Mistake{
                        "BindingByAnUnknownMac", "key_id: kid-1", "key_id: kid-1, algorithm: RS256",
                        R"(c.yaml:8:50: at accounts[0].external_account.algorithm: found "RS256", expected one of HS256, HS384, HS512; did you mean HS256?)"},
                    Mistake{
                        "RenewalAtAPlainNumber", "at: \"66%\"", "at: 66",
                        R"(c.yaml:15:19: at certificates[0].renewal.at: found "66", expected a share above 0% and at most 100%, such as 66%)"},
                    Mistake{
                        "RenewalAtTheEnd", "at: \"66%\"", "at: 100%",
                        R"(c.yaml:15:19: at certificates[0].renewal.at: found "100%", expected at most 99%; the rest is the time to try again when the CA is down)"},
                    Mistake{
                        "RenewalBeforeIsTooLong", "at: \"66%\"", "before_expiry: 2000d",
                        R"(c.yaml:15:30: at certificates[0].renewal.before_expiry: found "2000d", expected a time from 1h to 398d)"},
                    Mistake{
                        "ImportedWithChallenge", "domains: [shop.example.com]",
                        "domains: [shop.example.com]\n    challenge: {type: dns-01}\n    key_type: rsa-2048",
                        R"(c.yaml:20:16: at certificates[1].challenge: found challenge without account, expected none: the certificate is imported; name the account that orders it, or remove this
c.yaml:21:15: at certificates[1].key_type: found key_type without account, expected none: the certificate is imported; name the account that orders it, or remove this)"},
                    Mistake{
                        "SameName", "name: shop", "name: wildcard",
                        R"(c.yaml:18:11: at certificates[1].name: found the certificate name "wildcard" a second time; the first is at line 10, column 11)"},
                    Mistake{"Deep", "at: \"66%\"",
                            "at: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
                            "c.yaml:15:47: not valid YAML: nested deeper than 32 levels"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Rollouts, ConfigErrors,
    testing::Values(
        Mistake{
            "LastWaveIsNotAll", "[\"1\", \"10%\", \"100%\"]", "[\"1\", \"10%\"]",
            R"(c.yaml:17:28: at certificates[0].rollout.waves[1]: found "10%", expected 100% as the last wave; add "100%": the rollout ends when every node has it)"},
        Mistake{
            "WavesShrink", "\"10%\"", "\"20%\", \"10%\"",
            R"(c.yaml:17:35: at certificates[0].rollout.waves[2]: found "10%", expected more than in the wave before, and numbers before shares; waves are cumulative)"},
        Mistake{
            "NumberAfterShare", "\"10%\"", "\"10%\", 50",
            R"(c.yaml:17:35: at certificates[0].rollout.waves[2]: found "50", expected more than in the wave before, and numbers before shares; waves are cumulative)"},
        Mistake{
            "NumbersRepeat", "\"10%\"", "1",
            R"(c.yaml:17:28: at certificates[0].rollout.waves[1]: found "1", expected more than in the wave before, and numbers before shares; waves are cumulative)"},
        Mistake{
            "WaveOfNone", "\"1\"", "\"0\"",
            R"(c.yaml:17:23: at certificates[0].rollout.waves[0]: found "0", expected a number of nodes such as 1, or a share such as 10%)"},
        Mistake{
            "WaveIsNotANumber", "\"1\"", "one",
            R"(c.yaml:17:23: at certificates[0].rollout.waves[0]: found "one", expected a number of nodes such as 1, or a share such as 10%)"},
        Mistake{
            "NoWaves", "[\"1\", \"10%\", \"100%\"]", "[]",
            R"(c.yaml:17:22: at certificates[0].rollout.waves: found an empty list, expected cumulative sizes such as ["1", "10%", "100%"])"},
        Mistake{
            "ParallelZero", "parallel: 64", "parallel: 0",
            R"(c.yaml:17:54: at certificates[0].rollout.parallel: found "0", expected a whole number from 1 to 10000)"},
        Mistake{
            "ParallelNegative", "parallel: 64", "parallel: -1",
            R"(c.yaml:17:54: at certificates[0].rollout.parallel: found "-1", expected a whole number from 1 to 10000)"},
        Mistake{
            "ParallelQuoted", "parallel: 64", "parallel: \"64\"",
            R"(c.yaml:17:54: at certificates[0].rollout.parallel: found "64", expected a whole number from 1 to 10000; write it without quotes)"},
        Mistake{"OnHalt", "parallel: 64", "on_halt: rollback",
                R"(c.yaml:17:53: at certificates[0].rollout.on_halt: found "rollback", expected one of revert, stop)"},
        Mistake{
            "SoakIsNotATime", "parallel: 64", "soak: 30 seconds",
            R"(c.yaml:17:50: at certificates[0].rollout.soak: found "30 seconds", expected a time such as 30s, 1h30m or 15d)"},
        Mistake{
            "ConfirmTimeoutZero", "parallel: 64", "confirm_timeout: 0s",
            R"(c.yaml:17:61: at certificates[0].rollout.confirm_timeout: found "0s", expected a time from 1s to 1h)"},
        Mistake{
            "SpreadByUnknownLabel", "label: rack", "label: rak",
            R"(c.yaml:17:74: at certificates[0].rollout.spread.label: found "rak", expected a label that at least one of the certificate's nodes has; did you mean rack?)"},
        Mistake{
            "SpreadWithoutLabel", "label: rack", "in_flight: 2",
            R"(c.yaml:17:66: at certificates[0].rollout.spread: missing key "label"; nodes that share its value are spread over time)"}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Nodes, ConfigErrors,
    testing::Values(
        Mistake{
            "NameWithSpace", "name: web-01", "name: web 01",
            R"(c.yaml:22:12: at nodes[0].name: found "web 01", expected a name: lower-case letters, digits, and `.` and `-` between them, at most 63 characters)"},
        Mistake{
            "SameName", "name: web-02", "name: web-01",
            R"(c.yaml:20:13: at certificates[1].nodes[0]: found "web-02", expected the name of a node under `nodes`; did you mean web-01?
c.yaml:23:12: at nodes[1].name: found the node name "web-01" a second time; the first is at line 22, column 12)"},
        Mistake{
            "SameAddress", "10.0.0.2:7444", "10.0.0.1:7444",
            R"(c.yaml:23:29: at nodes[1].address: found the address "10.0.0.1:7444" a second time; the first is at line 22, column 29)"},
        Mistake{
            "Home", "\"grpc://10.0.0.2:7444\"", "home",
            R"(c.yaml:23:29: at nodes[1].address: found "home", expected an address such as grpc://10.0.0.1:7444 or ssh://deploy@10.0.0.1:22; nodes that dial home are not supported by this version)"},
        Mistake{
            "AddressWithoutScheme", "grpc://10.0.0.2:7444", "10.0.0.2:7444",
            R"(c.yaml:23:29: at nodes[1].address: found "10.0.0.2:7444", expected an address such as grpc://10.0.0.1:7444 or ssh://deploy@10.0.0.1:22)"},
        Mistake{
            "AddressWithoutPort", "grpc://10.0.0.2:7444", "grpc://10.0.0.2",
            R"(c.yaml:23:29: at nodes[1].address: "10.0.0.2" is not an address: it has no port; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
        Mistake{
            "AddressWithBadPort", "grpc://10.0.0.2:7444", "grpc://10.0.0.2:74444",
            R"(c.yaml:23:29: at nodes[1].address: "10.0.0.2:74444" is not an address: its port is not a number from 1 to 65535; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
        Mistake{
            "AddressWithBareV6", "grpc://10.0.0.2:7444", "grpc://2001:db8::1:7444",
            R"(c.yaml:23:29: at nodes[1].address: "2001:db8::1:7444" is not an address: an IPv6 address needs brackets, and a port after them; an address is host:port or [v6]:port, as 10.0.0.1:443)"},
        Mistake{
            "AddressOutOfRange", "grpc://10.0.0.2:7444", "grpc://10.0.0.256:7444",
            R"(c.yaml:23:29: at nodes[1].address: found "10.0.0.256:7444", expected host:port or [v6]:port, such as 10.0.0.1:443)"},
        Mistake{"LabelsAreAList", "labels: {role: web, rack: b}", "labels: [web]",
                "c.yaml:23:61: at nodes[1].labels: found a list, expected a map of texts such as {role: web}"},
        Mistake{"LabelIsAMap", "rack: b", "rack: {x: y}",
                "c.yaml:23:79: at nodes[1].labels.rack: found a map, expected a text"},
        Mistake{"VerifyIsOneText", "[\"10.0.0.1:443\"]", "\"10.0.0.1:443\"",
                R"(c.yaml:22:102: at nodes[0].verify: found "10.0.0.1:443", expected a list of host:port)"},
        Mistake{
            "VerifyHasUnknownKey", "\"10.0.0.1:443\"", "{address: \"10.0.0.1:443\", sni: a.example.com}",
            R"(c.yaml:22:129: at nodes[0].verify[0]: unknown key "sni"; known here: address, addresses, server_name, server_names, starttls, certificate)"},
        Mistake{
            "VerifyWithUnknownStartTls", "\"10.0.0.1:443\"", "{address: \"10.0.0.1:443\", starttls: https}",
            R"(c.yaml:22:139: at nodes[0].verify[0].starttls: found "https", expected one of smtp, lmtp, imap, pop3, ftp, ldap, mysql, postgres, xmpp)"},
        Mistake{
            "VerifyOfAWildcard", "\"10.0.0.1:443\"", "{address: \"10.0.0.1:443\", server_name: \"*.example.com\"}",
            R"(c.yaml:22:142: at nodes[0].verify[0].server_name: found "*.example.com", expected a host name to ask for; a wildcard is not a host: write one that it covers, such as www.example.com)"},
        Mistake{
            "VerifyOfAnAddress", "\"10.0.0.1:443\"", "{address: \"10.0.0.1:443\", server_name: 10.0.0.1}",
            R"(c.yaml:22:142: at nodes[0].verify[0].server_name: found "10.0.0.1", expected a host name; an address can't be asked for by name (RFC 6066 section 3))"},
        Mistake{
            "VerifyOfAnUnknownCertificate", "\"10.0.0.1:443\"", "{address: \"10.0.0.1:443\", certificate: wildcart}",
            R"(c.yaml:22:142: at nodes[0].verify[0].certificate: found "wildcart", expected the name of a certificate that goes to this node; did you mean wildcard?)"},
        Mistake{
            "SelectedNodeIsUnknown", "[web-02]", "[web-2]",
            R"(c.yaml:20:13: at certificates[1].nodes[0]: found "web-2", expected the name of a node under `nodes`; did you mean web-02?)"},
        Mistake{
            "SelectedTwice", "[web-02]", "[web-02, web-02]",
            R"(c.yaml:20:21: at certificates[1].nodes[1]: found the node "web-02" a second time; the first is at line 20, column 13)"},
        Mistake{"SelectedByUnknownLabel", "{role: web}", "{rolle: web}",
                R"(c.yaml:16:20: at certificates[0].nodes.rolle: no node has the label "rolle"; did you mean role?)"},
        Mistake{
            "SelectedByUnknownValue", "{role: web}", "{role: wbe}",
            R"(c.yaml:16:19: at certificates[0].nodes.role: found "wbe", expected a value of the label "role" that at least one node has; did you mean web?)"},
        Mistake{
            "SelectedByLabelsThatNoNodeHasBoth", "{role: web}\n", "{rack: b, tier: one}\n",
            "c.yaml:16:12: at certificates[0].nodes: no node has all of these labels; every one of them must match"},
        Mistake{
            "SelectedByAWord", "{role: web}", "everything",
            R"(c.yaml:16:12: at certificates[0].nodes: found "everything", expected all, a list of node names, or a map of labels such as {role: web})"},
        Mistake{"NoneSelected", "[web-02]", "[]",
                "c.yaml:20:12: at certificates[1].nodes: found an empty list, expected all, a list of node names, or a "
                "map of labels such as {role: web}"}),
    NameOf);

}  // namespace
}  // namespace certcast::controller
