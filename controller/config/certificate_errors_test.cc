// Mistakes in what is said of a certificate, and the exact words for them.
#include <string>

#include "absl/strings/str_cat.h"
#include "controller/config/config_errors.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

TEST_P(ConfigErrors, NameThePlaceAndWhatIsExpected) {
  ExpectErrors();
}

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

}  // namespace
}  // namespace certcast::controller
