// How files that hold keys come into being, from a trace of the system calls of the programs as they are shipped: at no
// moment could anybody read one who may not read it in the end.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/canary.h"
#include "tests/testing/link_messages.h"
#include "tests/testing/program.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/syscall_killer.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uid_t kUser = 12345;
constexpr gid_t kGroup = 54321;
constexpr mode_t kPermissions = 07777;

// One file, from the call that made it to the last one about it.
struct Life {
  std::vector<RecordedCall> calls;
  bool holds_key = false;
};

std::string Describe(const RecordedCall& call) {
  return absl::StrFormat("%s (%04o %d:%d)", call.operation, call.mode & kPermissions, call.owner, call.group);
}

// The last path under which it was seen.
std::string PathOf(const Life& life) {
  std::string path;
  for (const RecordedCall& call : life.calls) {
    path = call.operation.substr(call.operation.find(' ') + 1);
    if (const size_t arrow = path.find(" -> "); arrow != std::string::npos) path = path.substr(arrow + 4);
  }
  return path;
}

bool HoldsKeyByName(const RecordedCall& call) {
  return absl::StrContains(call.operation, ".p12");
}

// Files alone. An inode that is used again after its file was removed begins another life.
std::vector<Life> LivesOf(const std::vector<RecordedCall>& calls, const std::vector<Canary>& keys) {
  std::vector<Life> lives;
  std::map<std::pair<dev_t, ino_t>, size_t> living;
  for (const RecordedCall& call : calls) {
    if (!call.succeeded || !S_ISREG(call.mode)) continue;
    const std::pair<dev_t, ino_t> file(call.device, call.inode);
    const bool made = (call.flags & O_EXCL) != 0 || living.count(file) == 0;
    if (made) {
      living[file] = lives.size();
      lives.emplace_back();
    }
    Life& life = lives[living[file]];
    life.calls.push_back(call);
    life.holds_key =
        life.holds_key || (HoldsKeyByName(call) && !call.written.empty()) ||
        std::any_of(keys.begin(), keys.end(), [&](const Canary& key) { return !FindIn(call.written, key).empty(); });
  }
  return lives;
}

// What is wrong with how a file came to hold a key, a line each.
std::vector<std::string> Judge(const Life& life) {
  std::vector<std::string> problems;
  const auto expect = [&](bool holds, const RecordedCall& call, absl::string_view what) {
    if (!holds) problems.push_back(absl::StrCat(Describe(call), ": ", what));
  };
  const RecordedCall& first = life.calls.front();
  const RecordedCall& last = life.calls.back();
  constexpr uint64_t kFlags = O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  expect((first.flags & kFlags) == kFlags, first, "not made anew, without following links, closed on exec");
  expect((first.mode_asked & ~(last.mode & 0700)) == 0, first, "made with a wider mode than for its owner in the end");
  bool written = false;
  for (const RecordedCall& call : life.calls) {
    expect((call.mode & ~last.mode & kPermissions) == 0, call, "a wider mode than in the end");
    expect((call.mode & 0070) == 0 || call.group == last.group, call, "open to another group than in the end");
    expect(call.owner == geteuid() || call.owner == last.owner, call, "another user's");
    written = written || !call.written.empty();
    expect(!written || (call.mode == last.mode && call.owner == last.owner && call.group == last.group), call,
           "changed after it held a key");
  }
  return problems;
}

class KeyFilesTest : public ::testing::Test {
 protected:
  // Runs it traced, and keeps the calls.
  TracedRun Trace(std::vector<std::string> argv, const std::string& input = "") {
    absl::StatusOr<TracedRun> run = RunTraced(
        {.argv = std::move(argv), .input = input, .output = path("output"), .error = path("error"), .record = true},
        std::nullopt);
    EXPECT_THAT(run, IsOk());
    if (!run.ok()) return {};
    calls_.insert(calls_.end(), run->calls.begin(), run->calls.end());
    return *std::move(run);
  }
  void TraceWell(std::vector<std::string> argv, const std::string& input = "") {
    const std::string what = absl::StrJoin(argv, " ");
    EXPECT_EQ(Trace(std::move(argv), input).exit_code, 0) << what << "\n" << ReadFile(path("error"));
  }

  void AddKey(const std::string& name, absl::string_view pem) { keys_.push_back(KeyCanary(name, pem, {})); }
  std::vector<Life> KeyFiles() const {
    std::vector<Life> lives = LivesOf(calls_, keys_);
    lives.erase(std::remove_if(lives.begin(), lives.end(), [](const Life& life) { return !life.holds_key; }),
                lives.end());
    return lives;
  }
  void ExpectAllMadeSafely() {
    for (const Life& life : KeyFiles()) {
      std::vector<std::string> story;
      for (const RecordedCall& call : life.calls) story.push_back(Describe(call));
      EXPECT_THAT(Judge(life), IsEmpty()) << absl::StrJoin(story, "\n");
    }
  }

  std::string path(absl::string_view name) const { return absl::StrCat(directory_.path(), "/", name); }

  const TemporaryDirectory directory_;
  std::vector<RecordedCall> calls_;
  std::vector<Canary> keys_;
};

// So that the other tests can fail: what many a script does.
TEST_F(KeyFilesTest, AKeyThatIsCopiedAsUsualIsFoundOut) {
  const IssuedCertificate issued = TestCa::SelfSigned({.dns_names = {"www.example.com"}});
  AddKey("key", issued.key_pem.ExposeSecret());
  ASSERT_THAT(WriteFile(path("key.pem"), issued.key_pem.ExposeSecret()), IsOk());
  const mode_t before = umask(022);
  TraceWell({"/usr/bin/tee", path("copy.pem")}, path("key.pem"));
  umask(before);
  TraceWell({"/usr/bin/chmod", "0600", path("copy.pem")});
  const std::vector<Life> lives = KeyFiles();
  ASSERT_EQ(lives.size(), 1u);
  EXPECT_THAT(
      Judge(lives[0]),
      AllOf(Contains(HasSubstr("not made anew")), Contains(HasSubstr("made with a wider mode")),
            Contains(HasSubstr("a wider mode than in the end")), Contains(HasSubstr("changed after it held a key"))));
}

constexpr char kAgent[] = "node/certcast-node";

// $0 home, $1 reload, $2 the service's address.
constexpr absl::string_view kNodeYaml = R"(name: web-01
state: $0/state
allow_names: ["*.example.com"]
services:
  - name: web
    certificate: wildcard
    files:
      - {path: $0/tls/fullchain.pem, content: fullchain}
      - {path: $0/tls/privkey.pem, content: private_key, mode: "0400"}
      - {path: $0/tls/combined.pem, content: combined, mode: "0640", group: "54321"}
      - {path: $0/tls/app.p12, content: pkcs12, mode: "0440", owner: "12345", group: "54321", password: {file: $0/password}}
      - {path: $0/tls/copy.pem, content: combined, install: copy, mode: "0440", owner: "12345", group: "54321"}
    reload: [bash, -c, "$1"]
    probes:
      - tls: {address: "$2", server_name: www.example.com, timeout: 500ms}
)";

class AgentKeyFilesTest : public KeyFilesTest {
 protected:
  void SetUp() override {
    ASSERT_EQ(geteuid(), 0u) << "only root can give files to other users";
    ASSERT_TRUE(std::filesystem::create_directory(path("tls")));
    server_ = std::make_unique<ReloadingTlsServer>(path("tls/fullchain.pem"), path("tls/privkey.pem"),
                                                   by_hand_.fullchain_pem, by_hand_.key_pem.ExposeSecret());
    ASSERT_THAT(WriteFile(path("password"), "correct horse battery"), IsOk());
    ASSERT_THAT(WriteFile(path("node.yaml"),
                          absl::Substitute(kNodeYaml, directory_.path(), server_->reload_line(), server_->address())),
                IsOk());
    for (const IssuedCertificate* issued : {&by_hand_, &first_, &second_})
      AddKey("key", issued->key_pem.ExposeSecret());
  }

  void TraceAgent(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), {kAgent, "--config", path("node.yaml")});
    TraceWell(std::move(arguments), input);
  }
  // The outcomes of what was sent.
  std::vector<std::string> Send(const std::vector<v1::Command>& commands) {
    EXPECT_THAT(WriteFile(path("commands"), Delimited(commands)), IsOk());
    TraceAgent({"stdio"}, path("commands"));
    std::vector<std::string> outcomes;
    for (const v1::Report& report : ParseReports(ReadFile(path("output")))) {
      if (report.has_install_result()) outcomes.push_back(v1::Outcome::Code_Name(report.install_result().outcome()));
    }
    return outcomes;
  }
  v1::Command Install(uint64_t generation, const IssuedCertificate& issued) {
    return InstallCommand(absl::StrCat("install-", generation),
                          fleet_.Bundle(issued, "wildcard", generation, absl::Now()), absl::Hours(1));
  }

  const TestFleet fleet_{"0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11"};
  const TestCa fleet_ca_ = TestCa::Root("fleet CA");
  const TestCa ca_ = TestCa::Root("public root").Intermediate("public CA");
  const IssuedCertificate by_hand_ = ca_.Issue({.dns_names = {"*.example.com"}});
  const IssuedCertificate first_ = ca_.Issue({.dns_names = {"*.example.com"}});
  const IssuedCertificate second_ = ca_.Issue({.dns_names = {"*.example.com"}});
  std::unique_ptr<ReloadingTlsServer> server_;
};

TEST_F(AgentKeyFilesTest, NobodyCouldEverReadAKeyWhoMayNotReadItInTheEnd) {
  // Files from the days of scp, one of which is another group's.
  const std::string combined = absl::StrCat(by_hand_.key_pem.ExposeSecret(), by_hand_.fullchain_pem);
  ASSERT_THAT(WriteFile(path("tls/fullchain.pem"), by_hand_.fullchain_pem, 0644), IsOk());
  ASSERT_THAT(WriteFile(path("tls/privkey.pem"), by_hand_.key_pem.ExposeSecret(), 0600), IsOk());
  ASSERT_THAT(WriteFile(path("tls/combined.pem"), combined, 0640), IsOk());
  ASSERT_EQ(chown(path("tls/combined.pem").c_str(), 0, 777), 0);
  ASSERT_THAT(WriteFile(path("tls/copy.pem"), combined, 0400), IsOk());

  TraceAgent({"csr"});
  const std::string node_key = ReadFile(path("state/identity/key.pem"));
  AddKey("node key", node_key);
  ASSERT_THAT(
      WriteFile(path("identity.pem"), fleet_.Identity(fleet_ca_, "web-01", PrivateKey::FromPem(node_key).value())),
      IsOk());
  TraceAgent({"accept"}, path("identity.pem"));

  EXPECT_THAT(Send({Install(1, first_), ConfirmCommand("confirm-1", "wildcard", 1, first_.certificate.sha256())}),
              ElementsAre("INSTALLED", "INSTALLED"));
  server_->IgnoreReloads(true);
  EXPECT_THAT(Send({Install(2, second_)}), ElementsAre("REVERTED"));
  server_->IgnoreReloads(false);
  EXPECT_THAT(Send({RevertCommand("revert-1", "wildcard", 1)}), ElementsAre("REVERTED"));

  ExpectAllMadeSafely();
  // Every kind of file was among them, and each ended as node.yaml says, or as it was found.
  std::map<std::string, int> ends;
  for (const Life& life : KeyFiles()) {
    const RecordedCall& last = life.calls.back();
    const std::string file = std::filesystem::path(PathOf(life)).filename();
    ++ends[absl::StrFormat("%s %04o %d:%d", file, last.mode & kPermissions, last.owner, last.group)];
  }
  const auto seen = [&](const std::string& end) { return ends.count(end) == 1; };
  EXPECT_TRUE(seen("key.pem 0600 0:0"));
  EXPECT_TRUE(seen("privkey.pem 0400 0:0"));
  EXPECT_TRUE(seen("privkey.pem 0600 0:0"));
  EXPECT_TRUE(seen(absl::StrFormat("combined.pem 0640 0:%d", kGroup)));
  EXPECT_TRUE(seen("combined.pem 0640 0:777"));
  EXPECT_TRUE(seen(absl::StrFormat("app.p12 0440 %d:%d", kUser, kGroup)));
  EXPECT_TRUE(seen(absl::StrFormat("copy.pem 0440 %d:%d", kUser, kGroup)));
  EXPECT_TRUE(seen("copy.pem 0400 0:0"));
  if (HasFailure()) {
    for (const auto& [end, count] : ends) std::cout << end << " x" << count << "\n";
  }
  std::cout << KeyFiles().size() << " files with keys, in " << calls_.size() << " calls that change files\n";
}

constexpr char kController[] = "controller/certcast";

// $0 home.
constexpr absl::string_view kControllerYaml = R"(state: $0/controller
master_key: {file: $0/secret/master.key}
certificates:
  - {name: wildcard, domains: ["*.example.com"], nodes: all, ca_file: $0/root.pem}
nodes:
  - {name: web-01, address: "grpc://127.0.0.1:7444"}
)";

TEST_F(KeyFilesTest, TheControllerWritesNoKeyButTheMasterKey) {
  const TestCa ca = TestCa::Root("public root");
  const IssuedCertificate issued = ca.Issue({.dns_names = {"*.example.com"}});
  ASSERT_THAT(WriteFile(path("root.pem"), ca.root_pem(), 0644), IsOk());
  ASSERT_THAT(WriteFile(path("fullchain.pem"), issued.fullchain_pem), IsOk());
  ASSERT_THAT(WriteFile(path("key.pem"), issued.key_pem.ExposeSecret()), IsOk());
  ASSERT_THAT(WriteFile(path("certcast.yaml"), absl::Substitute(kControllerYaml, directory_.path())), IsOk());
  TraceWell({kController, "--config", path("certcast.yaml"), "init"});
  keys_.push_back(BytesCanary("master key", ReadFile(path("secret/master.key")).substr(0, 40), {}));
  AddKey("certificate's key", issued.key_pem.ExposeSecret());
  TraceWell({kController, "--config", path("certcast.yaml"), "import", "wildcard", "--fullchain", path("fullchain.pem"),
             "--key", path("key.pem")});

  ExpectAllMadeSafely();
  std::vector<std::string> files;
  for (const Life& life : KeyFiles()) {
    files.push_back(absl::StrFormat("%s %04o", PathOf(life), life.calls.back().mode & kPermissions));
  }
  EXPECT_THAT(files, ElementsAre(path("secret/master.key") + " 0400"));
  // The database was written in between, so a key in it would have been seen.
  EXPECT_TRUE(std::any_of(calls_.begin(), calls_.end(), [](const RecordedCall& call) {
    return call.written.size() > 1000 && absl::StrContains(call.operation, "certcast.db");
  }));
}

}  // namespace
}  // namespace certcast::testing
