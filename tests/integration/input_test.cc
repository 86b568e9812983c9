// Mistakes that operators make, against the real programs: the exit code, what is said, and that nothing is half-done.
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controller/store/records.h"
#include "controller/store/sqlite_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/controller_program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// Ports below 1024 that nothing listens on.
constexpr char kGood[] = R"(state: controller
master_key: {file: master.key}
accounts:
  - name: pebble
    directory: https://127.0.20.250:1/dir
    terms_of_service_agreed: true
certificates:
  - name: wildcard
    account: pebble
    domains: ["*.demo.test", demo.test]
    challenge: {type: dns-01, solver: exec, exec: {command: [/bin/true]}}
    nodes: {role: web}
  - name: bought
    domains: [shop.demo.test]
    nodes: [web-1]
nodes:
  - {name: web-1, address: "grpc://127.0.20.250:2", labels: {role: web}}
  - {name: web-2, address: "grpc://127.0.20.250:3", labels: {role: web}}
)";

constexpr char kGoodNode[] = R"(name: web-1
state: state
listen: 127.0.20.250:2
allow_names: ["*.demo.test"]
services:
  - name: nginx
    certificate: wildcard
    files: [{path: /etc/nginx/tls/fullchain.pem, content: fullchain}, {path: /etc/nginx/tls/key.pem, content: private_key}]
    check: [nginx, -t]
    reload: [nginx, -s, reload]
    probes: [{tls: {address: "127.0.0.1:443", server_name: www.demo.test}}]
)";

class InputTest : public ::testing::Test {
 protected:
  InputTest() { Write("certcast.yaml", kGood); }

  const std::string& home() const { return directory_.path(); }
  std::string PathOf(const std::string& name) const { return absl::StrCat(home(), "/", name); }
  void Write(const std::string& name, const std::string& text, int mode = 0600) const {
    EXPECT_THAT(WriteFile(PathOf(name), text, mode), IsOk());
  }
  CommandResult Run(std::vector<std::string> arguments) const { return controller_.Run(std::move(arguments)); }
  CommandResult Node(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--config", PathOf("node.yaml")});
    return RunCaptured(controller_.captured(), "node/certcast-node", std::move(arguments));
  }
  void Init() const {
    const CommandResult made = Run({"init"});
    EXPECT_EQ(made.exit_code, 0) << made;
  }
  // Everything there is but for what the programs wrote to their standard streams.
  std::map<std::string, std::string> Snapshot() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(home())) {
      const std::string path = entry.path().string();
      if (path.find("/captured") != std::string::npos) continue;
      files[path] = entry.is_regular_file() ? ReadFile(path) : "";
    }
    return files;
  }
  // `apply` fails so, and changes nothing.
  void ExpectRefused(int exit_code, const std::string& error) const {
    const auto before = Snapshot();
    const CommandResult result = Run({"apply"});
    EXPECT_EQ(result.exit_code, exit_code) << result;
    EXPECT_EQ(result.err, error);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(Snapshot(), before);
  }

 private:
  const TemporaryDirectory directory_;
  const ControllerProgram controller_{directory_.path()};
};

// --- Configuration. Each case changes one place of a good one; $ is the file.

struct Mistake {
  const char* name;
  std::string old_text;
  std::string new_text;
  std::string error;

  friend void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.new_text; }
};

std::string NameOf(const ::testing::TestParamInfo<Mistake>& info) {
  return info.param.name;
}

std::string Changed(const std::string& good, const Mistake& mistake) {
  EXPECT_NE(good.find(mistake.old_text), std::string::npos) << mistake.old_text;
  return absl::StrReplaceAll(good, {{mistake.old_text, mistake.new_text}});
}

class ControllerConfig : public InputTest, public ::testing::WithParamInterface<Mistake> {};

TEST_P(ControllerConfig, IsRefusedAtItsPlace) {
  Write("certcast.yaml", Changed(kGood, GetParam()));
  const std::string path = PathOf("certcast.yaml");
  for (const char* verb : {"init", "apply"}) {
    const auto before = Snapshot();
    const CommandResult result = Run({verb});
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_EQ(result.err, absl::StrReplaceAll(GetParam().error, {{"$", "certcast: " + path}}) + "\n");
    EXPECT_EQ(Snapshot(), before);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, ControllerConfig,
    ::testing::Values(
        Mistake{"UnknownKey", "    account: pebble", "    acount: pebble",
                "$:9:5: at certificates[0]: unknown key \"acount\"; did you mean account?\n"
                "$:11:16: at certificates[0].challenge: found challenge without account, expected none: the "
                "certificate is imported; name the account that orders it, or remove this"},
        Mistake{
            "UnknownTimeZone", "    nodes: [web-1]",
            "    nodes: [web-1]\n    rollout: {windows: {time_zone: Europe/Berlni}}",
            "$:16:36: at certificates[1].rollout.windows.time_zone: found \"Europe/Berlni\", expected a time zone's "
            "IANA name such as Europe/Berlin or UTC; `timedatectl list-timezones` lists them; upper and lower case "
            "differ"},
        Mistake{
            "BlackoutBackwards", "    nodes: [web-1]",
            "    nodes: [web-1]\n    rollout:\n      windows:\n        time_zone: UTC\n        blackout:\n          - "
            "{from: 2026-12-24, to: 2026-01-02}",
            "$:20:36: at certificates[1].rollout.windows.blackout[0].to: found \"2026-01-02\", expected a date that is "
            "not before from"},
        Mistake{"WrongType", "    domains: [\"*.demo.test\", demo.test]", "    domains: {a: b}",
                "$:10:14: at certificates[0].domains: found a map, expected a list of at least one DNS name"},
        Mistake{
            "BadDomain", "\"*.demo.test\", demo.test", "\"*.demo.test\", demo_.test",
            R"($:10:30: at certificates[0].domains[1]: "demo_.test" is not a DNS name for a certificate: has the character "_")"},
        Mistake{
            "WildcardWithHttp01", "type: dns-01, solver: exec, exec: {command: [/bin/true]}",
            "type: http-01, solver: listen",
            R"($:11:23: at certificates[0].challenge.type: found "http-01", expected dns-01 for the wildcard "*.demo.test"; one server's answer is no proof for all names below a domain (CA/Browser Forum Baseline Requirements 3.2.2.4.19, 3.2.2.4.20))"},
        Mistake{
            "SpaceInANodeName", "name: web-2", "name: web 2",
            R"($:18:12: at nodes[1].name: found "web 2", expected a name: lower-case letters, digits, and `.` and `-` between them, at most 63 characters)"},
        Mistake{
            "TwoNodesOfOneName", "name: web-2", "name: web-1",
            R"($:18:12: at nodes[1].name: found the node name "web-1" a second time; the first is at line 17, column 12)"},
        Mistake{
            "NoSuchAccount", "    account: pebble", "    account: pebbles",
            R"($:9:14: at certificates[0].account: found "pebbles", expected the name of an account under `accounts`; did you mean pebble?)"}),
    NameOf);

class NodeConfig : public InputTest, public ::testing::WithParamInterface<Mistake> {};

TEST_P(NodeConfig, IsRefusedAtItsPlace) {
  Write("node.yaml", Changed(kGoodNode, GetParam()));
  const std::string path = PathOf("node.yaml");
  for (const char* verb : {"check-config", "run", "csr"}) {
    const auto before = Snapshot();
    const CommandResult result = Node({verb});
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_EQ(result.err, absl::StrReplaceAll(GetParam().error, {{"$", "certcast-node: " + path}}) + "\n");
    EXPECT_EQ(Snapshot(), before);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, NodeConfig,
    ::testing::Values(
        Mistake{"UnknownKey",
                "    check:", "    chek:", R"($:9:5: at services[0]: unknown key "chek"; did you mean check?)"},
        Mistake{
            "WrongType", "    check: [nginx, -t]", "    check: nginx -t",
            R"($:9:12: at services[0].check: found "nginx -t", expected a list of words such as [nginx, -s, reload]; for a shell line write {sh: "..."})"},
        Mistake{"BadDomain", "[\"*.demo.test\"]", "[\"demo..test\"]",
                R"($:4:15: at allow_names[0]: "demo..test" is not a DNS name for a certificate: has an empty label)"},
        Mistake{
            "SpaceInTheName", "name: web-1", "name: web 1",
            R"($:1:7: at name: found "web 1", expected a name: lower-case letters, digits, and `.` and `-` between them, at most 63 characters)"},
        Mistake{
            "UnknownContent", "content: fullchain", "content: fullchains",
            R"($:8:59: at services[0].files[0].content: found "fullchains", expected one of cert, chain, fullchain, private_key, combined, der, pkcs12, ca; did you mean fullchain?)"},
        Mistake{
            "NoPort", "listen: 127.0.20.250:2", "listen: 127.0.20.250",
            R"($:3:9: at listen: "127.0.20.250" is not an address: it has no port; an address is host:port or [v6]:port, as 10.0.0.1:443)"}),
    NameOf);

// --- Files.

TEST_F(InputTest, AConfigurationThatIsNotThere) {
  ASSERT_TRUE(fs::remove(PathOf("certcast.yaml")));
  const CommandResult result = Run({"apply"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err,
              HasSubstr("certcast: reading " + PathOf("certcast.yaml") + ": No such file or directory\n  hint: "));
  const CommandResult node = Node({"run"});
  EXPECT_EQ(node.exit_code, 2);
  EXPECT_THAT(node.err, HasSubstr("certcast-node: reading " + PathOf("node.yaml") + ": No such file or directory"));
}

TEST_F(InputTest, ApplyBeforeInit) {
  ExpectRefused(1, absl::StrCat("certcast: there is no state directory ", PathOf("controller"),
                                "\n  hint: run `certcast init`\n"));
}

TEST_F(InputTest, AStateThatCanNotBeMade) {
  Write("file", "");
  Write("certcast.yaml", absl::StrReplaceAll(kGood, {{"state: controller", "state: file/controller"}}));
  const CommandResult result = Run({"init"});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_THAT(result.err, HasSubstr(PathOf("file/controller")));
  EXPECT_THAT(result.err, HasSubstr("Not a directory"));
  EXPECT_FALSE(fs::exists(PathOf("master.key")));
}

TEST_F(InputTest, AStateThatOthersCanWrite) {
  Init();
  ASSERT_EQ(chmod(PathOf("controller").c_str(), 0777), 0);
  ExpectRefused(1, absl::StrCat("certcast: the state directory ", PathOf("controller"),
                                " can be written by group or others (mode 0777)\n  hint: chmod 0700 ",
                                PathOf("controller"), "\n"));
}

TEST_F(InputTest, ADatabaseThatIsNone) {
  Init();
  Write("controller/certcast.db", std::string(4096, 'x'));
  ExpectRefused(1, absl::StrCat("certcast: ", PathOf("controller/certcast.db"),
                                " is not a SQLite database\n  hint: put the state directory back from a backup; keep "
                                "the damaged files until it works again\n"));
}

TEST_F(InputTest, ADatabaseThatIsDamaged) {
  Init();
  std::string database = ReadFile(PathOf("controller/certcast.db"));
  ASSERT_GT(database.size(), 8192u);
  database.replace(4096, 4096, std::string(4096, 'x'));
  Write("controller/certcast.db", database);
  const CommandResult result = Run({"apply"});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_THAT(result.err, HasSubstr(PathOf("controller/certcast.db") + " is damaged: "));
  EXPECT_THAT(result.err, HasSubstr("hint: put the state directory back from a backup"));
  EXPECT_EQ(ReadFile(PathOf("controller/certcast.db")), database);
}

constexpr char kWithoutTheKey[] =
    "\n  hint: put the right one back from a backup: without it nothing that was sealed under it can be opened again\n";

TEST_F(InputTest, AMasterKeyThatIsNotThere) {
  Init();
  ASSERT_TRUE(fs::remove(PathOf("master.key")));
  ExpectRefused(2, absl::StrCat("certcast: the master key: looking at ", PathOf("master.key"),
                                ": No such file or directory", kWithoutTheKey));
}

TEST_F(InputTest, AMasterKeyOfAnotherState) {
  Init();
  Write("master.key", "cHJldGVuZCB0aGF0IHRoaXMgaXMgMzIgYnl0ZXMhISE=\n", 0400);
  ExpectRefused(2, absl::StrCat("certcast: the master key in file ", PathOf("master.key"),
                                " is not the one that this state was sealed under", kWithoutTheKey));
}

TEST_F(InputTest, AMasterKeyThatOthersCanRead) {
  Init();
  ASSERT_EQ(chmod(PathOf("master.key").c_str(), 0644), 0);
  ExpectRefused(1, absl::StrCat("certcast: the master key: ", PathOf("master.key"),
                                " holds a secret but is open to group or others (mode 0644)\n  hint: chmod go= ",
                                PathOf("master.key"), "\n"));
}

TEST_F(InputTest, FilesToImportThatAreNotThere) {
  Init();
  const CommandResult result = Run({"import", "bought", "--fullchain", PathOf("chain.pem"), "--key", "key.pem"});
  EXPECT_EQ(result.exit_code, 2) << result;
  EXPECT_EQ(result.err, absl::StrCat("certcast: --fullchain: looking at ", PathOf("chain.pem"),
                                     ": No such file or directory\n  hint: --fullchain names a PEM file that can be "
                                     "read\n"));
}

TEST_F(InputTest, FilesToRevokeThatAreNotThereOrNone) {
  Init();
  Write("empty.pem", "");
  Write("words.pem", "words\n");
  Write("open.pem", "words\n", 0644);
  const struct {
    std::vector<std::string> files;
    std::string error;
  } cases[] = {
      {{"--certificate", PathOf("none.pem")},
       absl::StrCat("--certificate: looking at ", PathOf("none.pem"),
                    ": No such file or directory\n  hint: --certificate names a PEM file that can be read\n")},
      {{"--certificate", PathOf("empty.pem")},
       absl::StrCat("--certificate: ", PathOf("empty.pem"),
                    " is empty\n  hint: --certificate names a PEM file that can be read\n")},
      {{"--certificate", PathOf("words.pem")},
       "--certificate: PEM: text before the first block, at byte 1\n  hint: leave only the -----BEGIN ... to -----END "
       "... blocks\n"},
      {{"--certificate", PathOf("words.pem"), "--key", PathOf("open.pem")},
       absl::StrCat(
           "--key: ", PathOf("open.pem"),
           " holds a secret but is open to group or others (mode 0644)\n  hint: chmod go= ", PathOf("open.pem"), "\n")},
  };
  for (const auto& [files, error] : cases) {
    std::vector<std::string> arguments = {"revoke", "wildcard", "--reason", "superseded"};
    arguments.insert(arguments.end(), files.begin(), files.end());
    const CommandResult result = Run(arguments);
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_EQ(result.err, absl::StrCat("certcast: ", error));
  }
}

// --- Words.

TEST_F(InputTest, ACertificateThatIsNotConfigured) {
  Init();
  for (const char* verb : {"apply", "issue", "status", "verify", "certificates"}) {
    const CommandResult result = Run({verb, "wildcrad"});
    EXPECT_EQ(result.exit_code, 2) << verb << result;
    EXPECT_EQ(result.err, absl::StrCat("certcast: there is no certificate wildcrad in ", PathOf("certcast.yaml"),
                                       "\n  hint: it has: wildcard, bought\n"));
  }
}

TEST_F(InputTest, ANodeThatIsNotConfigured) {
  Init();
  Write("csr.pem", "x");
  const CommandResult result = ControllerProgram(home()).Run({"nodes", "sign", "web-9"}, "x");
  EXPECT_EQ(result.exit_code, 2) << result;
  EXPECT_THAT(result.err, HasSubstr("there is no node web-9 in " + PathOf("certcast.yaml") + "\n  hint: add it"));
}

TEST_F(InputTest, WordsThatAreNotThoseOfTheCommandLine) {
  const struct {
    std::vector<std::string> arguments;
    std::string error;
  } cases[] = {
      {{"status", "-o", "xml"}, "--output: xml not in {table,json}"},
      {{"aply"}, "\"aply\" is not one of its verbs or options"},
      {{}, "A subcommand is required"},
      {{"apply", "--dry"}, "The following argument was not expected: --dry"},
      {{"import", "bought"}, "--fullchain is required"},
      {{"revoke", "wildcard", "--reason", "1", "--generation", "0"},
       "--generation: \"0\" is no generation: they are counted from 1"},
      {{"replace", "wildcard", "--compromised", "--generation", "first"},
       "--generation: \"first\" is no generation: they are counted from 1"},
  };
  for (const auto& [arguments, error] : cases) {
    const CommandResult result = Run(arguments);
    EXPECT_EQ(result.exit_code, 2) << result;
    EXPECT_EQ(result.err, absl::StrCat("certcast: ", error, "\n  hint: certcast --help, or --help after a verb\n"));
    EXPECT_EQ(result.out, "");
  }
  Write("node.yaml", kGoodNode);
  const CommandResult node = Node({"rum"});
  EXPECT_EQ(node.exit_code, 2) << node;
  EXPECT_THAT(node.err, HasSubstr("certcast-node: \"rum\" is not one of its verbs or options"));
}

// --- The CA.

TEST_F(InputTest, ADirectoryThatCanNotBeReachedLeavesNoOrder) {
  Init();
  const CommandResult result = Run({"apply", "wildcard"});
  EXPECT_EQ(result.exit_code, 1) << result;
  EXPECT_THAT(result.err, HasSubstr("certcast: wildcard: GET https://127.0.20.250:1/dir: Failed to connect"));
  EXPECT_THAT(result.err, HasSubstr("hint: check the URL"));
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(
      Run({"certificates", "wildcard"}).out,
      HasSubstr("  1 failure with the account pebble; tried again by the next `certcast apply`: GET https://127.0"));

  const auto store = controller::SqliteStore::Open(PathOf("controller"));
  ASSERT_THAT(store, IsOk());
  const auto order = controller::OrderRecords(**store).Get("wildcard");
  ASSERT_THAT(order, IsOk());
  EXPECT_FALSE(order->has_value());
  const auto generation = controller::GenerationRecords(**store).Wanted("wildcard");
  ASSERT_THAT(generation, IsOk());
  EXPECT_FALSE(generation->has_value());
}

}  // namespace
}  // namespace certcast::testing
