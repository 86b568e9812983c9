// What comes over the link: Commands in the framing of stdio, and Reports with the failures that a peer wrote.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "certcast/v1/link.pb.h"
#include "common/file/descriptor.h"
#include "common/link/bounds.h"
#include "common/link/preface.h"
#include "common/status/status.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/util/delimited_message_util.h"
#include "node/frontend/stdio.h"
#include "tests/fuzz/target.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_engine.h"

namespace certcast::fuzz {
namespace {

constexpr size_t kMaxDetail = 1024;
constexpr size_t kMaxStderr = 4096;

// A file without a name, which reads and writes as a pipe does, without its bound.
Descriptor MemoryFile(absl::string_view bytes) {
  Descriptor file(memfd_create("link", MFD_CLOEXEC));
  const bool written =
      file.valid() && pwrite(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
  if (!written) std::abort();
  return file;
}

std::string ReadAll(const Descriptor& file) {
  std::string bytes(static_cast<size_t>(lseek(file.get(), 0, SEEK_END)), '\0');
  if (pread(file.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  return bytes;
}

// What stdio.h promises to read: the commands up to the first that is wrong.
struct Expected {
  std::vector<v1::Command> commands;
  bool is_whole = true;
};

std::optional<size_t> TakeLength(absl::string_view& rest) {
  size_t length = 0;
  for (int i = 0; i < 4 && !rest.empty(); ++i) {
    const auto byte = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    length |= static_cast<size_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) return length <= kMaxLinkMessage ? std::optional<size_t>(length) : std::nullopt;
  }
  return std::nullopt;
}

Expected ReadAsPromised(absl::string_view rest) {
  Expected expected;
  while (!rest.empty()) {
    const std::optional<size_t> length = TakeLength(rest);
    v1::Command command;
    expected.is_whole =
        length.has_value() && *length <= rest.size() && command.ParseFromArray(rest.data(), static_cast<int>(*length));
    if (!expected.is_whole) break;
    rest.remove_prefix(*length);
    expected.commands.push_back(command);
  }
  return expected;
}

std::vector<v1::Report> ReportsIn(absl::string_view bytes) {
  Require(absl::ConsumePrefix(&bytes, kLinkPreface), "the node's own line comes first");
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  std::vector<v1::Report> reports;
  bool clean_end = false;
  v1::Report report;
  while (google::protobuf::util::ParseDelimitedFromZeroCopyStream(&report, &stream, &clean_end)) {
    reports.push_back(report);
    report.Clear();
  }
  Require(clean_end, "every report is whole");
  return reports;
}

void TryCommands(absl::string_view input) {
  const Expected expected = ReadAsPromised(input);
  testing::FakeClock clock;
  std::vector<std::string> handled;
  testing::FakeEngine engine([&](const v1::Command& command, const node::OnProgress&) {
    handled.push_back(command.SerializeAsString());
    return v1::Report();
  });
  const Descriptor in = MemoryFile(input);
  const Descriptor out = MemoryFile("");
  v1::Hello hello;
  hello.set_node("web-01");
  const absl::Status served = node::ServeStdio(in.get(), out.get(), engine, clock, hello);
  RequireOrderly(served);
  RequireHidden(served, input);
  Require(served.ok() == expected.is_whole, "the link ends well when every message was whole");
  Require(served.ok() || ReasonOf(served) == Reason::MALFORMED, "what is not a message is MALFORMED");
  Require(handled.size() == expected.commands.size(), "every whole command is handled, and no other");
  const std::vector<v1::Report> reports = ReportsIn(ReadAll(out));
  Require(reports.size() == handled.size() + 1 && reports.front().has_hello(), "a Hello, then an answer to each");
  for (size_t i = 0; i < handled.size(); ++i) {
    Require(handled[i] == expected.commands[i].SerializeAsString(), "a command is handled as it came");
    Require(reports[i + 1].command_id() == expected.commands[i].id(), "a command is answered under its id");
  }
}

void RequireShowable(const v1::Failure& came) {
  const absl::Status status = StatusOf(came);
  Require(!status.ok(), "a failure never becomes a success");
  RequireOrderly(status);
  const v1::Failure shown = FailureOf(status);
  Require(
      shown.detail().size() <= kMaxDetail && shown.hint().size() <= kMaxDetail && shown.stderr().size() <= kMaxStderr,
      "what a peer says is bounded");
  Require(shown.detail().find('\n') == std::string::npos && shown.hint().find('\n') == std::string::npos,
          "detail and hint are a line each");
  Require(FailureOf(StatusOf(shown)).SerializeAsString() == shown.SerializeAsString(),
          "a failure that was passed on is the same");
}

void TryReport(absl::string_view input) {
  v1::Report report;
  if (!report.ParseFromArray(input.data(), static_cast<int>(input.size()))) return;
  v1::Report again;
  Require(again.ParseFromString(report.SerializeAsString()) && again.SerializeAsString() == report.SerializeAsString(),
          "a report that was read is written as one that is read the same");
  if (report.has_refusal()) RequireShowable(report.refusal().failure());
  if (report.has_install_result()) {
    RequireShowable(report.install_result().failure());
    RequireShowable(report.install_result().cleanup_failure());
  }
}

std::string Delimited(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::util::SerializeDelimitedToZeroCopyStream(message, &stream);
  }
  return bytes;
}

std::string Commands() {
  v1::Command describe;
  describe.set_id("describe");
  describe.mutable_describe();
  v1::Command install;
  install.set_id("install");
  install.set_epoch(3);
  install.mutable_install()->mutable_bundle()->set_manifest("manifest");
  install.mutable_install()->mutable_bundle()->set_signature(std::string(64, 's'));
  install.mutable_install()->mutable_bundle()->set_fullchain_pem("chain");
  install.mutable_install()->mutable_bundle()->set_private_key_pem("a private key of several bytes");
  install.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
  v1::Command confirm;
  confirm.set_id("confirm");
  confirm.mutable_confirm()->set_certificate("wildcard");
  confirm.mutable_confirm()->set_generation(7);
  v1::Command revert;
  revert.set_id("revert");
  revert.mutable_revert()->set_certificate("wildcard");
  revert.mutable_revert()->set_because(Reason::ROLLOUT_HALTED);
  return absl::StrCat(Delimited(describe), Delimited(install), Delimited(confirm), Delimited(revert));
}

std::string InstallReport() {
  v1::Report report;
  report.set_command_id("install");
  v1::InstallResult& result = *report.mutable_install_result();
  result.set_certificate("wildcard");
  *result.mutable_failure() = FailureOf(
      WithStderr(WithStep(Fail(Reason::CHECK_FAILED, "nginx -t failed", "see its log"), "check"), "line\nline"));
  result.add_probes()->set_probe("tls 127.0.0.1:443");
  return report.SerializeAsString();
}

std::string RefusalReport() {
  v1::Report report;
  *report.mutable_refusal()->mutable_failure() = FailureOf(Fail(Reason::BUSY, "another install is under way"));
  return report.SerializeAsString();
}

}  // namespace

// The first byte says which of the two follows.
std::vector<Seed> Seeds() {
  return {
      {.name = "commands", .bytes = absl::StrCat("c", Commands())},
      {.name = "long-command", .bytes = absl::StrCat("c", std::string("\xff\xff\x3f", 3), "x")},
      {.name = "too-long-command", .bytes = absl::StrCat("c", std::string("\x81\x80\x40", 3), "x")},
      {.name = "install-report", .bytes = absl::StrCat("r", InstallReport())},
      {.name = "refusal", .bytes = absl::StrCat("r", RefusalReport())},
  };
}

void TryInput(absl::string_view input) {
  if (input.empty()) return;
  if (input.front() == 'r') {
    TryReport(input.substr(1));
  } else {
    TryCommands(input.substr(1));
  }
}

}  // namespace certcast::fuzz
