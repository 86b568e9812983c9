#include "tests/crash/node_on_disk.h"

#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "common/link/preface.h"
#include "common/probe/tls_client.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"

namespace certcast {
namespace {

using testing::KillPoint;
using testing::ReadFile;
using testing::TracedRun;

constexpr char kAgent[] = "node/certcast-node";
constexpr absl::Duration kPlenty = absl::Seconds(10);

// $0 the node's directory, $1 and $2 the services.
constexpr absl::string_view kNodeYaml = R"(name: web-01
state: $0/state
allow_names: ["*.example.com"]
services:
$1$2)";

// $0 name, $1 the node's directory, $2 the line that reloads, $3 the address, $4 how files are installed.
constexpr absl::string_view kServiceYaml = R"(  - name: $0
    certificate: wildcard
    files:
      - {path: $1/$0/fullchain.pem, content: fullchain, install: $4}
      - {path: $1/$0/privkey.pem, content: private_key, install: $4}
    check: [test, -s, $1/$0/privkey.pem]
    reload: [bash, -c, "$2"]
    probes:
      - tls: {address: "$3", server_name: www.example.com, timeout: 500ms}
)";

std::string DescribeEntry(const std::filesystem::path& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) return "gone";
  std::string text = absl::StrCat(absl::Hex(found.st_mode & S_IFMT), " ", absl::Hex(found.st_mode & 07777), " ",
                                  found.st_uid, ":", found.st_gid, " ");
  if (S_ISLNK(found.st_mode)) absl::StrAppend(&text, std::filesystem::read_symlink(path).string());
  if (S_ISREG(found.st_mode)) absl::StrAppend(&text, ReadFile(path));
  return text;
}

void Copy(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to,
                        std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
}

}  // namespace

NodeOnDisk::NodeOnDisk(bool copies) : copies_(copies) {
  const testing::IssuedCertificate& issued = IssuedFor(kByHand);
  for (const std::string service : {"web", "mail"}) {
    std::filesystem::create_directories(home_ + "/" + service);
    servers_[service] =
        std::make_unique<testing::ReloadingTlsServer>(PathOf(service, "fullchain.pem"), PathOf(service, "privkey.pem"),
                                                      issued.fullchain_pem, issued.key_pem.ExposeSecret());
  }
  WriteConfig();
  Enrol();
}

const testing::IssuedCertificate& NodeOnDisk::IssuedFor(uint64_t generation) {
  const auto found = issued_.find(generation);
  if (found != issued_.end()) return found->second;
  return issued_.emplace(generation, ca_.Issue({.dns_names = {"*.example.com"}})).first->second;
}

void NodeOnDisk::PutByHand() {
  const testing::IssuedCertificate& issued = IssuedFor(kByHand);
  for (const auto& [service, server] : servers_) {
    EXPECT_TRUE(testing::WriteFile(PathOf(service, "fullchain.pem"), issued.fullchain_pem, 0640).ok());
    EXPECT_TRUE(testing::WriteFile(PathOf(service, "privkey.pem"), issued.key_pem.ExposeSecret(), 0400).ok());
    EXPECT_TRUE(server->Reload());
  }
}

v1::Command NodeOnDisk::InstallCommand(uint64_t generation) {
  v1::Command command;
  command.set_id(NewCommandId());
  command.set_epoch(1);
  *command.mutable_install()->mutable_bundle() =
      fleet_.Bundle(IssuedFor(generation), "wildcard", generation, absl::Now());
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(absl::ToInt64Seconds(absl::Hours(1)));
  return command;
}

v1::Command NodeOnDisk::ConfirmCommand(uint64_t generation) {
  v1::Command command;
  command.set_id(NewCommandId());
  command.set_epoch(1);
  command.mutable_confirm()->set_certificate("wildcard");
  command.mutable_confirm()->set_generation(generation);
  command.mutable_confirm()->set_leaf_sha256(LeafOf(generation));
  return command;
}

v1::Command NodeOnDisk::RevertCommand(uint64_t generation) {
  v1::Command command;
  command.set_id(NewCommandId());
  command.set_epoch(1);
  command.mutable_revert()->set_certificate("wildcard");
  command.mutable_revert()->set_generation(generation);
  return command;
}

TracedRun NodeOnDisk::Act(const std::vector<v1::Command>& commands, const std::optional<KillPoint>& kill_at) {
  const std::string input = directory_.path() + "/commands";
  {
    std::ofstream file(input, std::ios::binary | std::ios::trunc);
    for (const v1::Command& command : commands) {
      EXPECT_TRUE(google::protobuf::util::SerializeDelimitedToOstream(command, &file));
    }
  }
  return RunAgent({"stdio"}, input, kill_at);
}

TracedRun NodeOnDisk::Recover(const std::optional<KillPoint>& kill_at) {
  return RunAgent({"recover"}, "", kill_at);
}

std::vector<std::string> NodeOnDisk::Outcomes() const {
  std::ifstream file(directory_.path() + "/output", std::ios::binary);
  file.ignore(sizeof kLinkPreface - 1);
  google::protobuf::io::IstreamInputStream stream(&file);
  std::vector<std::string> outcomes;
  v1::Report report;
  bool clean_end = false;
  while (google::protobuf::util::ParseDelimitedFromZeroCopyStream(&report, &stream, &clean_end)) {
    if (report.has_install_result()) {
      outcomes.push_back(v1::Outcome::Code_Name(report.install_result().outcome()));
    } else if (!report.has_hello() && !report.has_progress()) {
      outcomes.push_back(report.ShortDebugString());
    }
    report.Clear();
  }
  return outcomes;
}

std::string NodeOnDisk::Errors() const {
  return ReadFile(directory_.path() + "/error");
}

void NodeOnDisk::Save() {
  Copy(home_, saved_);
}

void NodeOnDisk::Restore() {
  Copy(saved_, home_);
  for (const auto& [service, server] : servers_) EXPECT_TRUE(server->Reload()) << service;
}

std::string NodeOnDisk::FilesOf(const std::string& service) const {
  const std::string key_path = PathOf(service, "privkey.pem");
  struct stat key;
  if (stat(key_path.c_str(), &key) == 0 && (key.st_mode & 0077) != 0) return "key that others may read";
  return testing::LeafInFiles(PathOf(service, "fullchain.pem"), key_path);
}

bool NodeOnDisk::EachFileIsOf(const std::string& service, const std::vector<uint64_t>& generations) const {
  const std::string chain = ReadFile(PathOf(service, "fullchain.pem"));
  const auto key = PrivateKey::FromPem(ReadFile(PathOf(service, "privkey.pem")));
  bool chain_found = false;
  bool key_found = false;
  for (const uint64_t generation : generations) {
    const testing::IssuedCertificate& issued = issued_.at(generation);
    chain_found = chain_found || chain == issued.fullchain_pem;
    key_found = key_found || (key.ok() && CheckKeyMatches(issued.certificate, *key).ok());
  }
  return chain_found && key_found;
}

std::string NodeOnDisk::ServedBy(const std::string& service) const {
  const auto peer = TlsHandshake(servers_.at(service)->address(), "www.example.com", {}, kPlenty);
  return peer.ok() ? peer->leaf_sha256 : absl::StrCat("? ", peer.status().ToString());
}

Tree NodeOnDisk::Look() const {
  Tree tree;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_)) {
    tree[entry.path().lexically_relative(home_).string()] = DescribeEntry(entry.path());
  }
  return tree;
}

std::vector<std::string> NodeOnDisk::Temporaries() const {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(home_)) {
    if (absl::StartsWith(entry.path().filename().string(), ".certcast-")) found.push_back(entry.path().string());
  }
  return found;
}

void NodeOnDisk::WriteConfig() const {
  std::string services[2];
  const std::string names[2] = {"web", "mail"};
  for (size_t i = 0; i < 2; ++i) {
    const testing::ReloadingTlsServer& server = *servers_.at(names[i]);
    services[i] = absl::Substitute(kServiceYaml, names[i], home_, server.reload_line(), server.address(),
                                   copies_ && names[i] == "mail" ? "copy" : "link");
  }
  EXPECT_TRUE(testing::WriteFile(config_, absl::Substitute(kNodeYaml, home_, services[0], services[1])).ok());
}

// As `certcast nodes sign` does, for the key that `csr` made.
void NodeOnDisk::Enrol() {
  ASSERT_EQ(RunAgent({"csr"}, "", std::nullopt).exit_code, 0) << Errors();
  const auto key = PrivateKey::FromPem(ReadFile(home_ + "/state/identity/key.pem"));
  ASSERT_TRUE(key.ok()) << key.status();
  const testing::TestCa ca = testing::TestCa::Root("fleet CA");
  const std::string signed_path = directory_.path() + "/identity.pem";
  ASSERT_TRUE(testing::WriteFile(signed_path, fleet_.Identity(ca, "web-01", *key)).ok());
  ASSERT_EQ(RunAgent({"accept"}, signed_path, std::nullopt).exit_code, 0) << Errors();
}

std::string NodeOnDisk::PathOf(const std::string& service, const std::string& file) const {
  return absl::StrCat(home_, "/", service, "/", file);
}

std::string NodeOnDisk::NewCommandId() {
  return absl::StrCat("command-", ++last_command_);
}

TracedRun NodeOnDisk::RunAgent(const std::vector<std::string>& arguments, const std::string& input,
                               const std::optional<KillPoint>& kill_at) {
  testing::TracedProgram program{.argv = {kAgent, "--config", config_},
                                 .input = input,
                                 .output = directory_.path() + "/output",
                                 .error = directory_.path() + "/error"};
  program.argv.insert(program.argv.end(), arguments.begin(), arguments.end());
  absl::StatusOr<TracedRun> run = testing::RunTraced(program, kill_at);
  EXPECT_TRUE(run.ok()) << run.status();
  if (!run.ok()) return {};
  for (std::string& operation : run->operations) operation = absl::StrReplaceAll(operation, {{home_ + "/", ""}});
  return *std::move(run);
}

}  // namespace certcast
