#include "tests/testing/stdio_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/substitute.h"
#include "absl/time/clock.h"
#include "common/link/preface.h"
#include "common/probe/tls_client.h"
#include "gmock/gmock.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

constexpr char kAgent[] = "node/certcast-node";
constexpr absl::Duration kPatience = absl::Seconds(30);

}  // namespace

std::string Delimited(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::util::SerializeDelimitedToZeroCopyStream(message, &stream);
  return bytes;
}

StdioConnection::StdioConnection(std::vector<std::string> arguments) {
  int in[2] = {-1, -1};
  int out[2] = {-1, -1};
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe";
  commands_ = Descriptor(in[1]);
  reports_ = Descriptor(out[0]);
  Descriptor node_in(in[0]);
  Descriptor node_out(out[1]);
  std::vector<char*> argv = {const_cast<char*>(kAgent)};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ != 0) return;
  dup2(node_in.get(), STDIN_FILENO);
  dup2(node_out.get(), STDOUT_FILENO);
  execv(kAgent, argv.data());
  _exit(127);
}

StdioConnection::~StdioConnection() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool StdioConnection::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(commands_.get(), bytes.data(), bytes.size());
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

std::string StdioConnection::Read(size_t size) {
  std::string bytes;
  const absl::Time deadline = absl::Now() + kPatience;
  while (bytes.size() < size && absl::Now() < deadline) {
    pollfd item{.fd = reports_.get(), .events = POLLIN, .revents = 0};
    if (poll(&item, 1, 1000) <= 0) continue;
    char buffer[4096];
    const ssize_t count = read(reports_.get(), buffer, std::min(sizeof buffer, size - bytes.size()));
    if (count <= 0) break;
    bytes.append(buffer, static_cast<size_t>(count));
  }
  return bytes;
}

v1::Report StdioConnection::Receive() {
  if (!preface_read_) {
    EXPECT_EQ(Read(sizeof kLinkPreface - 1), kLinkPreface);
    preface_read_ = true;
  }
  size_t length = 0;
  for (int shift = 0; shift < 32; shift += 7) {
    const std::string byte = Read(1);
    if (byte.empty()) return {};
    length |= static_cast<size_t>(byte[0] & 0x7f) << shift;
    if ((byte[0] & 0x80) == 0) break;
  }
  v1::Report report;
  EXPECT_TRUE(report.ParseFromString(Read(length)));
  return report;
}

v1::Report StdioConnection::Answer() {
  while (true) {
    v1::Report report = Receive();
    if (!report.has_hello() && !report.has_progress()) return report;
    steps_.push_back(report.progress().step());
  }
}

v1::Report StdioConnection::Ask(const v1::Command& command) {
  EXPECT_TRUE(Send(command));
  return Answer();
}

bool StdioConnection::AwaitStep(const std::string& step) {
  while (true) {
    const v1::Report report = Receive();
    if (report.has_progress() && report.progress().step() == step) return true;
    if (!report.has_progress() && !report.has_hello()) return false;
  }
}

void StdioConnection::Cut() {
  commands_.Close();
  reports_.Close();
}

void StdioConnection::Kill() {
  kill(pid_, SIGKILL);
  waitpid(std::exchange(pid_, -1), nullptr, 0);
}

int StdioConnection::AwaitEnd() {
  int status = -1;
  EXPECT_THAT(WaitUntil("the agent has ended", kPatience, [&] { return waitpid(pid_, &status, WNOHANG) == pid_; }),
              IsOk());
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

StdioFixture::StdioFixture() {
  signal(SIGPIPE, SIG_IGN);
  // With one this would be another kind of host.
  EXPECT_FALSE(std::filesystem::exists("/etc/certcast/node.yaml"));
  PutByHand();
}

void StdioFixture::PutByHand() {
  for (const char* name : {"fullchain.pem", "privkey.pem"}) std::filesystem::remove(PathOf(name));
  EXPECT_THAT(WriteFile(PathOf("fullchain.pem"), old_.fullchain_pem, 0644), IsOk());
  EXPECT_THAT(WriteFile(PathOf("privkey.pem"), old_.key_pem.ExposeSecret()), IsOk());
  EXPECT_TRUE(service_.Reload());
}

std::string StdioFixture::WriteNodeYaml() const {
  std::string path = PathOf("node.yaml");
  EXPECT_THAT(WriteFile(path, absl::Substitute(R"(name: web-01
state: $0
allow_names: ["*.example.com"]
services:
  - name: web
    certificate: wildcard
    files: [{path: $1/fullchain.pem, content: fullchain}]
    probes: [{tls: {address: "$2", server_name: www.example.com}}]
)",
                                               state(), directory_.path(), service_.address())),
              IsOk());
  return path;
}

void StdioFixture::StartAnew() {
  std::filesystem::remove_all(state());
  PutByHand();
}

v1::NodeDefinition StdioFixture::Definition() const {
  v1::NodeDefinition definition;
  definition.set_node("old-01");
  definition.set_state(state());
  definition.set_fleet_id(fleet_.id());
  definition.set_manifest_key_pem(fleet_.key().ToPem());
  definition.add_allow_names("*.example.com");
  definition.set_keep(2);
  definition.set_services_yaml(absl::Substitute(
      R"(- name: web
  certificate: wildcard
  files:
    - {path: $0/fullchain.pem, content: fullchain}
    - {path: $0/privkey.pem, content: private_key}
  check: [test, -s, $0/privkey.pem]
  reload: [bash, -c, "$1"]
  probes: [{tls: {address: "$2", server_name: www.example.com, timeout: 5s}}]
)",
      directory_.path(), service_.reload_line(), service_.address()));
  return definition;
}

v1::Command StdioFixture::Install(absl::Duration confirm_timeout) {
  v1::Command command;
  command.set_id(NewId());
  command.set_epoch(1);
  *command.mutable_definition() = Definition();
  *command.mutable_install()->mutable_bundle() = fleet_.Bundle(new_, "wildcard", 1, absl::Now());
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(absl::ToInt64Seconds(confirm_timeout));
  return command;
}

v1::Command StdioFixture::Confirm() {
  v1::Command command;
  command.set_id(NewId());
  command.set_epoch(1);
  *command.mutable_definition() = Definition();
  command.mutable_confirm()->set_certificate("wildcard");
  command.mutable_confirm()->set_generation(1);
  command.mutable_confirm()->set_leaf_sha256(new_.certificate.sha256());
  return command;
}

v1::Command StdioFixture::Describe() {
  v1::Command command;
  command.set_id(NewId());
  *command.mutable_definition() = Definition();
  command.mutable_describe();
  return command;
}

std::string StdioFixture::Served() const {
  const auto peer = TlsHandshake(service_.address(), "www.example.com", {}, kPlenty);
  return peer.ok() ? peer->leaf_sha256 : peer.status().ToString();
}

void StdioFixture::ExpectInForce(const std::string& leaf, const std::string& when) const {
  EXPECT_EQ(InFiles(), leaf) << when;
  EXPECT_EQ(Served(), leaf) << when;
}

void StdioFixture::ExpectConfirmable(const std::string& when) {
  StdioConnection next;
  const v1::Report report = next.Ask(Confirm());
  EXPECT_EQ(report.install_result().outcome(), v1::Outcome::INSTALLED) << when << ": " << report.ShortDebugString();
  ExpectInForce(new_leaf(), when);
}

ProcessResult StdioFixture::Run(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), kAgent);
  ProcessRequest request;
  request.argv = std::move(arguments);
  request.timeout = kPlenty;
  auto result = ProcessRunner::Real().Run(request);
  EXPECT_THAT(result, IsOk());
  return result.ok() ? *std::move(result) : ProcessResult();
}

}  // namespace certcast::testing
