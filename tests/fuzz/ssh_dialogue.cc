// What a host's login shell, its profile and an agent say on the channel of a link over SSH.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/link/preface.h"
#include "common/status/status.h"
#include "controller/transport/agent_on_host.h"
#include "controller/transport/ssh/bootstrap.h"
#include "controller/transport/ssh/channel_reader.h"
#include "controller/transport/ssh/ssh_link.h"
#include "tests/fuzz/target.h"
#include "tests/testing/scripted_channel.h"

namespace certcast::fuzz {
namespace {

using controller::AgentOnHost;
using controller::ChannelReader;

constexpr char kNode[] = "web-01";
constexpr char kFleet[] = "test-fleet";
constexpr char kMarker[] = "certcast-bootstrap 1\n";
constexpr size_t kMaxPiece = size_t{16} * 1024;
constexpr size_t kMaxStderr = 4096;
constexpr size_t kDigest = 64;
constexpr absl::string_view kProgram = "program";
constexpr size_t kMaxWritten = 4096;
constexpr absl::Duration kLong = absl::Hours(1);

struct Host {
  bool sudo = false;
  bool may_upload = true;
  bool tells_exit = false;
  int exit = 0;
  std::string error_output;
};

// What came of it, for people and for comparison.
struct Outcome {
  std::vector<std::string> steps;
  std::string written;

  bool Note(absl::string_view step, const absl::Status& status, absl::string_view value) {
    RequireOrderly(status);
    Require(FailureOf(status).stderr().size() <= kMaxStderr, "what a host complains of is bounded");
    steps.push_back(absl::StrCat(step, " ", ReasonOf(status), " ", value));
    return status.ok();
  }
};

controller::BootstrapOptions Options(const Host& host) {
  controller::BootstrapOptions options;
  options.directory = "/var/lib/certcast-node/bin";
  options.sudo = host.sudo;
  options.may_upload = host.may_upload;
  options.user = "deploy";
  options.binary = [] {
    controller::AgentBinary binary;
    binary.path = "/usr/lib/certcast/certcast-node";
    binary.size = kProgram.size();
    binary.sha256 = std::string(kDigest, 'a');
    binary.machine = "x86_64";
    return std::make_shared<const controller::AgentBinary>(binary);
  };
  options.contents = [](const controller::AgentBinary&) { return std::make_shared<const std::string>(kProgram); };
  return options;
}

// Hello, then two commands.
void Speak(controller::SshLink& link, Outcome& outcome) {
  const absl::Status greeted = link.AwaitHello(Deadline::In(kLong));
  if (!outcome.Note("hello", greeted, greeted.ok() ? link.hello().SerializeAsString() : "")) return;
  Require(link.hello().hosted() || link.hello().node() == kNode, "an agent of its own is the node that was meant");
  Require(link.hello().hosted() || link.hello().fleet_id().empty() || link.hello().fleet_id() == kFleet,
          "an agent of its own is of the fleet that was meant");
  for (const std::string id : {"1", "2"}) {
    v1::Command command;
    command.set_id(id);
    command.mutable_describe();
    std::string progress;
    const auto report = link.Call(command, kLong, [&](const v1::Progress& p) { absl::StrAppend(&progress, p.step()); });
    const bool done = outcome.Note(id, report.status(), report.ok() ? report->SerializeAsString() : progress);
    if (done) {
      Require(report->command_id() == id, "an answer is to what was asked");
      Require(report->has_inventory() || report->has_install_result(), "an answer is a result");
    }
  }
}

std::string Described(const AgentOnHost& agent, const Host& host) {
  Require(agent.previous_sha256.empty() || agent.previous_sha256.size() == kDigest, "a digest is one");
  Require(agent.state != AgentOnHost::State::kUploaded || host.may_upload, "nothing is uploaded that may not be");
  Require((agent.state == AgentOnHost::State::kOwn) == agent.sha256.empty(), "a host's own agent is not ours");
  return absl::StrCat(static_cast<int>(agent.state), " ", agent.previous_sha256);
}

Outcome Talk(const Host& host, absl::string_view says, size_t piece) {
  auto channel = std::make_unique<testing::ScriptedChannel>(InPieces(says, piece));
  if (host.tells_exit) channel->SetExit(host.exit, host.error_output);
  testing::ScriptedChannel& asked = *channel;
  auto reader = std::make_unique<ChannelReader>(asked);
  Outcome outcome;
  const auto agent = controller::Bootstrap(asked, *reader, Options(host), Deadline::In(kLong));
  if (outcome.Note("bootstrap", agent.status(), agent.ok() ? Described(*agent, host) : "") &&
      agent->state != AgentOnHost::State::kMissing) {
    v1::NodeDefinition definition;
    definition.set_node(kNode);
    definition.set_fleet_id(kFleet);
    controller::SshLink link(std::move(channel), std::move(reader), nullptr, definition);
    Speak(link, outcome);
    outcome.written = asked.written();
  } else {
    outcome.written = asked.written();
  }
  Require(outcome.written.size() <= kMaxWritten, "no more is said than there is to say");
  return outcome;
}

std::string Delimited(const v1::Report& report) {
  testing::ScriptedChannel channel({});
  WriteMessage(report, channel, Deadline::In(kLong)).IgnoreError();
  return channel.written();
}

std::string Agent(bool hosted) {
  v1::Report hello;
  hello.mutable_hello()->set_hosted(hosted);
  hello.mutable_hello()->set_node(hosted ? "" : kNode);
  v1::Report progress;
  progress.set_command_id("1");
  progress.mutable_progress()->set_step("recover");
  v1::Report inventory;
  inventory.set_command_id("1");
  inventory.mutable_inventory();
  v1::Report refusal;
  refusal.set_command_id("2");
  *refusal.mutable_refusal()->mutable_failure() = FailureOf(Fail(Reason::BUSY, "another install is under way"));
  return absl::StrCat(kLinkPreface, Delimited(hello), Delimited(progress), Delimited(inventory), Delimited(refusal));
}

// A byte of flags, a code, the size of the pieces, what it complains of.
std::string Seeded(char flags, char exit, absl::string_view error_output, absl::string_view says) {
  return absl::StrCat(std::string{flags, exit, '\x07'}, PieceOf(error_output), says);
}

}  // namespace

std::vector<Seed> Seeds() {
  return {
      {.name = "has", .bytes = Seeded(0, 0, "", absl::StrCat("motd\n\n", kMarker, "have /b\n", Agent(true)))},
      {.name = "needs",
       .bytes = Seeded(1, 0, "", absl::StrCat(kMarker, "need Linux x86_64\nstored /b\n", Agent(true)))},
      {.name = "older",
       .bytes = Seeded(4, 0, "",
                       absl::StrCat(kMarker, "need Linux x86_64 certcast-node-", std::string(kDigest, 'b'), "\n"))},
      {.name = "other-machine", .bytes = Seeded(0, 0, "", absl::StrCat(kMarker, "need Linux armv7l\n"))},
      {.name = "forced", .bytes = Seeded(0, 0, "", Agent(false))},
      {.name = "full",
       .bytes = Seeded(2, 1, "", absl::StrCat(kMarker, "need Linux x86_64\nfailed write: No space left on device\n"))},
      {.name = "sudo", .bytes = Seeded(3, 1, "sudo: a password is required\n", absl::StrCat(kMarker, "have /b\n"))},
      {.name = "no-shell", .bytes = Seeded(2, 1, "", "This account is currently not available.\n")},
      {.name = "noisy", .bytes = Seeded(0, 0, "", std::string(70000, '\n') + Agent(false))},
  };
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  const unsigned flags = reader.Byte();
  Host host;
  host.sudo = (flags & 1) != 0;
  host.tells_exit = (flags & 2) != 0;
  host.may_upload = (flags & 4) == 0;
  host.exit = static_cast<int>(reader.Byte());
  const size_t piece = reader.Byte() + 1;
  host.error_output = std::string(reader.Piece().substr(0, kMaxStderr));
  const Outcome at_once = Talk(host, reader.Rest(), kMaxPiece);
  const Outcome in_pieces = Talk(host, reader.Rest(), piece);
  Require(at_once.steps == in_pieces.steps && at_once.written == in_pieces.written,
          "how the network cut it does not matter");
}

}  // namespace certcast::fuzz
