// Known secrets go through everything that two programs do with them, well and badly, with every log turned on. Then
// every file that came of it is read, but for those that are declared to hold them: standard output and error, JSON,
// logs, journals, the database, and what programs that were started could see of command lines and environments.
#include "tests/testing/canary.h"

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/strings/substitute.h"
#include "controller/config/config.h"
#include "controller/keyring/keyring.h"
#include "controller/keyring/purposes.h"
#include "controller/store/records.h"
#include "controller/store/sqlite_store.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kBindingKey[] = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
constexpr char kPassword[] = "correct-horse-battery-staple";
constexpr char kNewPassword[] = "another-horse-battery-staple";

// $0 home, $1 address.
constexpr absl::string_view kSecondService = R"(  - name: app
    certificate: wildcard
    files:
      - {path: $0/tls/app.p12, content: pkcs12, mode: "0640", group: "54321", password: {file: $0/app.password}}
      - {path: $0/tls/combined.pem, content: combined, mode: "0400", install: copy}
    reload: ["true"]
    probes:
      - tls: {address: "$1", server_name: www.demo.test, timeout: 2s}
)";

// Says all that it knows.
constexpr absl::string_view kFailsOnce = "if mkdir $home/failed; then env >&2; set >&2; exit 1; fi\n";

// What anybody, and what this child, can see of who runs with what; and what it was sent.
std::string LookAround(const std::string& home) {
  return absl::StrCat("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>", home, "/seen 2>/dev/null || true\n");
}

class CanaryTest : public FleetTest {
 protected:
  void SetUp() override {
    // All that gRPC has to say, decrypted traffic included, goes to its log.
    setenv("GRPC_VERBOSITY", "DEBUG", 1);
    setenv("GRPC_TRACE", "all,-timer,-timer_check", 1);
    FleetOptions options = {.nodes = 1, .external_account = "{key_id: kid-1, hmac_key: {file: eab.key}}"};
    options.pebble = {.external_account_required = true, .external_accounts = {{"kid-1", kBindingKey}}};
    options.probe_timeout = absl::Seconds(6);
    ASSERT_NO_FATAL_FAILURE(StartFleet(std::move(options)));
    ASSERT_THAT(WriteFile(home() + "/eab.key", kBindingKey), IsOk());
    const std::string hook = home() + "/watching-hook";
    ASSERT_THAT(
        WriteFile(hook, absl::StrCat("#!/bin/sh\n", LookAround(home()), "exec ", fleet().pebble().hook(), " \"$@\"\n"),
                  0755),
        IsOk());
    fleet().options().hook = hook;
    ASSERT_THAT(fleet().WriteConfig(), IsOk());
    ASSERT_THAT(node().SetReload(absl::StrCat(LookAround(home()), kReload)), IsOk());
    ASSERT_THAT(WriteFile(node().home() + "/app.password", kPassword), IsOk());
    ASSERT_THAT(AddSecondService(), IsOk());
    node().StopAgent();
    ASSERT_THAT(node().StartAgent(), IsOk());
  }
  void TearDown() override {
    unsetenv("GRPC_VERBOSITY");
    unsetenv("GRPC_TRACE");
    FleetTest::TearDown();
  }

  const std::string& home() { return fleet().home(); }
  FleetNode& node() { return fleet().nodes().front(); }

  absl::Status AddSecondService() {
    const std::string path = node().home() + "/node.yaml";
    return WriteFile(
        path, absl::StrCat(ReadFile(path), absl::Substitute(kSecondService, node().home(), node().verify_address)));
  }

  // Of everything that is secret now, and where it may be.
  void CollectCanaries() {
    const std::string master_key(absl::StripAsciiWhitespace(ReadFile(home() + "/master.key")));
    std::string master_key_bytes;
    ASSERT_TRUE(absl::Base64Unescape(master_key, &master_key_bytes));
    Add(BytesCanary("the master key", master_key_bytes, {"master.key"}));
    Add(BytesCanary("the EAB key", kBindingKey, {"eab.key", "pebble/*"}));
    std::string binding_key_bytes;
    ASSERT_TRUE(absl::WebSafeBase64Unescape(kBindingKey, &binding_key_bytes));
    Add(BytesCanary("the EAB key's bytes", binding_key_bytes, {"eab.key", "pebble/*"}));
    Add(BytesCanary("the PKCS#12 password", kPassword, {"web-1/app.password"}));
    Add(KeyCanary("the node's key", ReadFile(node().home() + "/state/identity/key.pem"),
                  {"web-1/state/identity/key.pem"}));
    ASSERT_NO_FATAL_FAILURE(CollectSealed());
  }

  // What the controller keeps under its master key: in clear text it is on nodes alone, or nowhere.
  void CollectSealed() {
    const absl::StatusOr<controller::Config> config = controller::ReadConfig(fleet().controller().config_path());
    ASSERT_THAT(config, IsOk());
    const auto store = controller::SqliteStore::Open(home() + "/controller");
    ASSERT_THAT(store, IsOk());
    const auto keyring = controller::Keyring::Open(config->master_key, {.store = store->get()});
    ASSERT_THAT(keyring, IsOk());
    AddKey("the manifest key", (*keyring)->manifest_key());
    const auto identity = (*keyring)->LoadControllerIdentity();
    ASSERT_THAT(identity, IsOk());
    Add(KeyCanary("the controller's key", identity->private_key_pem.ExposeSecret(), {}));

    const std::string account_key = controller::AccountRecords::Key(fleet().pebble().directory_url(), "kid-1");
    const auto account = controller::AccountRecords(**store).Get(account_key);
    ASSERT_THAT(account, IsOk());
    ASSERT_TRUE(account->has_value());
    const auto opened = (*keyring)->Open(controller::AccountKeyPurpose(account_key), (*account)->private_key());
    ASSERT_THAT(opened, IsOk());
    Add(KeyCanary("the account's key", opened->ExposeSecret(), {}));

    const auto generations = controller::GenerationRecords(**store).List("wildcard");
    ASSERT_THAT(generations, IsOk());
    for (const auto& generation : *generations) {
      const auto key = (*keyring)->Open(controller::GenerationKeyPurpose("wildcard", generation.generation()),
                                        generation.private_key());
      ASSERT_THAT(key, IsOk());
      Add(KeyCanary(absl::StrCat("the key of generation ", generation.generation()), key->ExposeSecret(),
                    {"web-1/state/certificates/wildcard/generations/*/nginx/privkey.pem",
                     "web-1/state/certificates/wildcard/generations/*/app/combined.pem", "web-1/tls/combined.pem"}));
    }
  }

  void Add(Canary canary) { canaries_.push_back(std::move(canary)); }
  void AddKey(const std::string& name, const PrivateKey& key) { Add(KeyCanary(name, key.ToPem()->ExposeSecret(), {})); }

  std::vector<Canary> canaries_;
};

// Everything that takes a secret is given a wrong one, or one where it does not belong.
class Mistakes {
 public:
  Mistakes(Fleet& fleet, std::vector<Canary>& canaries) : fleet_(fleet), canaries_(canaries) {}

  void MakeAll() {
    SecretsInConfigurations();
    FilesThatAreTakenForEachOther();
    WrongMasterKeys();
  }

 private:
  const std::string& home() { return fleet_.home(); }

  void SecretsInConfigurations() {
    const std::string inline_key = "inline-secret-that-belongs-in-a-file";
    const std::string password = "inline-password-that-does-too";
    canaries_.push_back(BytesCanary("a secret in certcast.yaml", inline_key, {"wrong.yaml"}));
    canaries_.push_back(BytesCanary("a secret in node.yaml", password, {"wrong-node.yaml"}));
    for (const std::string reference : {"$0", "{file: eab.key, value: $0}", "{env: \"$0 \"}", "[$0]"}) {
      const std::string value = absl::Substitute(reference, inline_key);
      ExpectFails(RunCaptured(home() + "/captured", "controller/certcast",
                              {"--config",
                               Write("wrong.yaml", absl::StrCat("state: ", home(), "/x\nmaster_key: ", value,
                                                                "\naccounts:\n  - {name: a, directory: "
                                                                "\"https://x.test/\", external_account: "
                                                                "{key_id: k, hmac_key: ",
                                                                value, "}}\n")),
                               "status"}));
      ExpectFails(RunCaptured(
          home() + "/captured", "node/certcast-node",
          {"--config",
           Write("wrong-node.yaml",
                 absl::StrCat("name: web-1\nstate: ", home(),
                              "/x\nallow_names: [a.test]\nservices:\n  - name: s\n    certificate: c\n    files: "
                              "[{path: /x/y.p12, content: pkcs12, password: ",
                              absl::Substitute(reference, password), "}]\n    reload: none\n")),
           "check-config"}));
    }
  }

  void FilesThatAreTakenForEachOther() {
    const IssuedCertificate issued = TestCa::SelfSigned({.dns_names = {"*.demo.test", "demo.test"}});
    const std::string key(issued.key_pem.ExposeSecret());
    canaries_.push_back(KeyCanary("a key that was confused", key, {"confused*", "*.in"}));
    const std::string key_path = Write("confused.pem", key);
    const std::string chain_path = Write("chain.pem", issued.fullchain_pem);
    const std::string torn_path = Write("confused-torn.pem", key.substr(0, key.size() - 40));
    const ControllerProgram& controller = fleet_.controller();
    ExpectFails(controller.Run({"import", "wildcard", "--fullchain", key_path, "--key", chain_path}));
    ExpectFails(controller.Run({"import", "wildcard", "--fullchain", key_path, "--key", key_path}));
    ExpectFails(controller.Run({"import", "wildcard", "--fullchain", chain_path, "--key", torn_path}));
    ExpectFails(controller.Run({"nodes", "sign", "web-1"}, key));
    ExpectFails(fleet_.nodes().front().Agent({"accept"}, key));
    ExpectFails(RunCaptured(home() + "/captured", "controller/certcast", {"--config", key_path, "status"}));
    ExpectFails(RunCaptured(home() + "/captured", "node/certcast-node", {"--config", key_path, "check-config"}));
  }

  void WrongMasterKeys() {
    const std::string path = home() + "/master.key";
    const std::string right = ReadFile(path);
    for (const std::string wrong :
         {"not-a-master-key-but-a-secret-all-the-same", "d3JvbmcgbWFzdGVyIGtleSB0aGF0IGlzIGEgc2VjcmV0"}) {
      canaries_.push_back(BytesCanary("a wrong master key", wrong, {"master.key"}));
      Write("master.key", wrong);
      ExpectFails(fleet_.controller().Run({"apply"}));
    }
    Write("master.key", right);
  }

  std::string Write(const std::string& name, const std::string& text) {
    std::string path = absl::StrCat(home(), "/", name);
    EXPECT_THAT(WriteFile(path, text), IsOk());
    return path;
  }
  void ExpectFails(const CommandResult& result) {
    EXPECT_NE(result.exit_code, 0) << result;
    EXPECT_FALSE(result.err.empty()) << result;
  }

  Fleet& fleet_;
  std::vector<Canary>& canaries_;
};

TEST_F(CanaryTest, NoSecretIsWhereItDoesNotBelong) {
  ApplyFirst();
  EXPECT_EQ(Renew().exit_code, 0);
  // A reload that fails and says all that it knows, then one that forgets to reload: both times it goes back.
  ASSERT_THAT(node().SetReload(absl::StrCat(LookAround(home()), kFailsOnce, kReload)), IsOk());
  EXPECT_THAT(OutcomeIn(Renew(), "web-1"), HasSubstr("RELOAD_FAILED"));
  ASSERT_THAT(node().SetReload(absl::StrCat(LookAround(home()), "exit 0\n")), IsOk());
  EXPECT_THAT(OutcomeIn(Apply(), "web-1"), HasSubstr("PROBE_FAILED"));
  ASSERT_THAT(node().SetReload(absl::StrCat(LookAround(home()), kReload)), IsOk());
  // A password that others may read is refused, and a changed one is drift.
  ASSERT_NO_FATAL_FAILURE(CollectCanaries());
  ASSERT_THAT(WriteFile(node().home() + "/app.password", kNewPassword, 0644), IsOk());
  Add(BytesCanary("the new password", kNewPassword, {"web-1/app.password"}));
  EXPECT_EQ(Apply().exit_code, 4);
  EXPECT_NE(node().Agent({"status", "--probe"}).out, "");
  ASSERT_THAT(WriteFile(node().home() + "/app.password", kNewPassword), IsOk());
  EXPECT_EQ(Apply().exit_code, 0);
  // Killed in the middle, so that a recovery has something to do.
  ASSERT_THAT(node().SetReload(absl::StrCat(LookAround(home()), "kill -9 $PPID\n")), IsOk());
  EXPECT_NE(Renew().exit_code, 0);
  ASSERT_THAT(node().SetReload(absl::StrCat(LookAround(home()), kReload)), IsOk());
  ASSERT_THAT(node().StartAgent(), IsOk());
  EXPECT_EQ(Apply().exit_code, 0);
  for (const char* verb : {"status", "certificates", "nodes", "doctor", "verify"}) {
    fleet().controller().Json({verb});
    fleet().controller().Run({verb});
  }
  canaries_.clear();
  ASSERT_NO_FATAL_FAILURE(CollectCanaries());
  Add(BytesCanary("the new password", kNewPassword, {"web-1/app.password"}));
  Mistakes(fleet(), canaries_).MakeAll();

  EXPECT_THAT(FindCanaries(home(), canaries_), IsEmpty());

  // So that this shows something: what is in use is where it is declared to be, the places where it is looked for were
  // written to, and a key that lies about is found.
  for (const Canary& canary : canaries_) {
    const bool is_superseded = canary.name == "the PKCS#12 password" || canary.name == "a wrong master key";
    if (!canary.holders.empty() && !is_superseded && !absl::StrContains(canary.name, "generation")) {
      EXPECT_TRUE(IsHeld(home(), canary)) << canary.name;
    }
  }
  EXPECT_GT(canaries_.size(), 15u);
  EXPECT_THAT(ReadFile(home() + "/seen"),
              AllOf(HasSubstr("controller/certcast"), HasSubstr("node/certcast-node"), HasSubstr("PATH=")));
  EXPECT_THAT(node().AgentLog(), HasSubstr("listening on"));
  for (const Canary& canary : canaries_) {
    ASSERT_THAT(WriteFile(home() + "/planted.log", absl::StrCat("x", canary.forms.back(), "x")), IsOk());
    EXPECT_THAT(FindCanaries(home(), {canary}), Contains(HasSubstr("planted.log")));
  }
}

}  // namespace
}  // namespace certcast::testing
