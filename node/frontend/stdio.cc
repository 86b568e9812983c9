#include "node/frontend/stdio.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/link/bounds.h"
#include "common/link/preface.h"
#include "common/link/wipe_key.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "google/protobuf/io/coded_stream.h"
#include "node/frontend/bounded_write.h"
#include "node/frontend/confirm_watch.h"

namespace certcast::node {
namespace {

// Of a varint that holds up to 1 MiB and a bit more.
constexpr int kMaxLengthBytes = 4;
constexpr absl::Duration kLookAgain = absl::Seconds(1);
constexpr absl::Duration kAtLeast = absl::Milliseconds(200);
// Between two tries of a way back that fails: twice as long each time, up to the second.
constexpr absl::Duration kFirstRetry = absl::Seconds(1);
constexpr absl::Duration kLastRetry = absl::Minutes(1);
// No more of them so long after the first; the next contact goes on with it.
constexpr absl::Duration kGivenUpAfter = absl::Minutes(15);

// Exactly `size` bytes, or fewer at the end of the input.
absl::StatusOr<size_t> ReadFully(int fd, char* bytes, size_t size) {
  size_t have = 0;
  while (have < size) {
    const ssize_t count = read(fd, bytes + have, size - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno(errno, "reading commands");
    if (count == 0) break;
    have += static_cast<size_t>(count);
  }
  return have;
}

absl::Status Torn() {
  return Fail(Reason::MALFORMED, "the commands ended in the middle of a message");
}

// The length before a message; nullopt at the end of the input.
absl::StatusOr<std::optional<size_t>> ReadLength(int in) {
  uint32_t length = 0;
  for (int i = 0; i < kMaxLengthBytes; ++i) {
    char byte = 0;
    ASSIGN_OR_RETURN(const size_t have, ReadFully(in, &byte, 1));
    if (have == 0 && i == 0) return std::nullopt;
    if (have == 0) return Torn();
    length |= static_cast<uint32_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) != 0) continue;
    if (length <= kMaxLinkMessage) return length;
    break;
  }
  return Fail(Reason::MALFORMED, absl::StrCat("a command is larger than ", kMaxLinkMessage, " bytes"));
}

// False at the end of the input.
absl::StatusOr<bool> ReadCommand(int in, v1::Command& command) {
  ASSIGN_OR_RETURN(const std::optional<size_t> length, ReadLength(in));
  if (!length.has_value()) return false;
  Secret bytes = Secret::OfSize(*length);  // a command may hold a private key
  ASSIGN_OR_RETURN(const size_t have, ReadFully(in, bytes.MutableBytes(), *length));
  if (have < *length) return Torn();
  if (!command.ParseFromArray(bytes.MutableBytes(), static_cast<int>(*length))) {
    return Fail(Reason::MALFORMED, "a command does not parse");
  }
  return true;
}

// Thread-compatible. After the first write that failed, nothing is written any more.
class ReportWriter {
 public:
  explicit ReportWriter(int out) : out_(out) {}

  // At once, with what goes before it.
  void Write(const v1::Report& report, std::string bytes = "") {
    {
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.WriteVarint32(static_cast<uint32_t>(report.ByteSizeLong()));
      report.SerializeToCodedStream(&coded);
    }
    broken_ = broken_ || !WriteWithin(out_, bytes, WriteBounds());
  }

  bool broken() const { return broken_; }

 private:
  const int out_;
  bool broken_ = false;
};

absl::Status HandleCommands(int in, ReportWriter& reports, Engine& engine, ConfirmWatch& watch) {
  while (!reports.broken()) {
    v1::Command command;
    ASSIGN_OR_RETURN(const bool more, ReadCommand(in, command));
    if (!more) break;
    Engine::OnProgress on_progress;
    if (!command.without_progress()) {
      on_progress = [&](const v1::Progress& progress) {
        v1::Report line;
        line.set_command_id(command.id());
        *line.mutable_progress() = progress;
        reports.Write(line);
      };
    }
    const v1::Report report = engine.Handle(command, on_progress);
    watch.Look();
    WipeKey(command);
    reports.Write(report);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ServeStdio(int in, int out, Engine& engine, Clock& clock, const v1::Hello& hello) {
  ReportWriter reports(out);
  v1::Report first;
  *first.mutable_hello() = hello;
  reports.Write(first, kLinkPreface);
  // While a command is awaited, the time for Confirm may run out. What kept it from going back is said at the end.
  ConfirmWatch watch(engine, clock, [](const absl::Status&) {});
  return HandleCommands(in, reports, engine, watch);
}

absl::Status AwaitNothingToConfirm(Engine& engine, Clock& clock) {
  absl::Duration retry = kFirstRetry;
  std::optional<absl::Duration> failing_since;
  while (const std::optional<absl::Time> confirm_by = engine.ConfirmBy()) {
    const absl::Duration left = *confirm_by - clock.Now();
    const absl::Status reverted = left > absl::ZeroDuration() ? absl::OkStatus() : engine.RevertIfOverdue();
    if (reverted.ok()) {
      if (engine.ConfirmBy().has_value()) clock.Sleep(std::clamp(left, kAtLeast, kLookAgain));
      continue;
    }
    // A disk may be full, or descriptors be short, for a while.
    if (!failing_since.has_value()) failing_since = clock.Monotonic();
    if (clock.Monotonic() - *failing_since >= kGivenUpAfter) return reverted;
    clock.Sleep(retry);
    retry = std::min(retry * 2, kLastRetry);
  }
  return absl::OkStatus();
}

}  // namespace certcast::node
