// Every mistake that we know of, and the exact words for it. Each case changes one place of a good configuration.
#include "controller/config/config_errors.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "controller/config/config.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

TEST_P(ConfigErrors, NameThePlaceAndWhatIsExpected) {
  ExpectErrors();
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
