#include "controller/transport/ssh/ssh_link.h"

#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/link/wipe_key.h"
#include "common/status/status.h"
#include "controller/transport/clean_report.h"

namespace certcast::controller {
namespace {

// Of commands given up on one link. A node that is later than that with its answers is not worth a link.
constexpr size_t kMaxGivenUp = 64;

}  // namespace

SshLink::SshLink(std::unique_ptr<ByteChannel> channel, std::unique_ptr<ChannelReader> reader,
                 std::shared_ptr<const void> keep_alive, v1::NodeDefinition definition)
    : keep_alive_(std::move(keep_alive)),
      channel_(std::move(channel)),
      reader_(std::move(reader)),
      definition_(std::move(definition)),
      name_(definition_->node()),
      fleet_id_(definition_->fleet_id()),
      peer_(channel_->peer()) {
}

SshLink::~SshLink() = default;

absl::Status SshLink::AwaitHello(Deadline deadline) {
  absl::MutexLock lock(&mutex_);
  ASSIGN_OR_RETURN(const v1::Report report, Receive(deadline));
  if (!report.has_hello()) return Fail(Reason::PROTOCOL, absl::StrCat(peer_, ": its first report is no Hello"));
  hello_ = report.hello();
  if (!hello_.hosted()) definition_.reset();
  return CheckHello();
}

absl::Status SshLink::CheckHello() const {
  if (hello_.hosted()) return absl::OkStatus();
  if (hello_.node() != name_) {
    return Fail(Reason::AUTH_FAILED,
                absl::StrCat(peer_, " has an agent of its own, which is ", hello_.node(), ", not ", name_),
                "its node.yaml names it: one of the two is wrong");
  }
  if (!hello_.fleet_id().empty() && hello_.fleet_id() != fleet_id_) {
    return Fail(
        Reason::AUTH_FAILED, absl::StrCat(peer_, " belongs to fleet ", hello_.fleet_id(), ", not to ", fleet_id_),
        "have its agent accept an identity of this fleet: `certcast nodes sign` here, `certcast-node accept` there");
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Report> SshLink::Call(const v1::Command& command, absl::Duration timeout,
                                         const OnProgress& on_progress) {
  const Deadline deadline = Deadline::In(timeout);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(broken_);
  RETURN_IF_ERROR(Send(command, deadline));
  while (true) {
    absl::StatusOr<v1::Report> report = Receive(deadline);
    if (ReasonOf(report.status()) == Reason::TIMED_OUT) return GiveUp(command, timeout);
    RETURN_IF_ERROR(report.status());
    if (report->command_id() != command.id()) {
      if (!given_up_.contains(report->command_id())) {
        return Fail(Reason::PROTOCOL, absl::StrCat(peer_, " reported on a command that it was not given"));
      }
    } else if (!report->has_progress()) {
      return CheckAnswer(*std::move(report));
    } else if (on_progress) {
      on_progress(report->progress());
    }
    // A channel looks at the time only when nothing comes.
    if (deadline.IsOver()) return GiveUp(command, timeout);
  }
}

absl::Status SshLink::GiveUp(const v1::Command& command, absl::Duration timeout) {
  if (given_up_.size() < kMaxGivenUp) given_up_.insert(command.id());
  return Fail(Reason::TIMED_OUT, absl::StrCat(peer_, " did not answer within ", absl::FormatDuration(timeout)),
              "the node may still be at it: look at it again");
}

absl::StatusOr<v1::Report> SshLink::CheckAnswer(v1::Report report) const {
  switch (report.body_case()) {
    case v1::Report::kRefusal:
      return StatusOf(report.refusal().failure());
    case v1::Report::kInstallResult:
    case v1::Report::kInventory:
    case v1::Report::kHttpChallengeResult:
      return report;
    default:
      return Fail(Reason::PROTOCOL, absl::StrCat(peer_, " sent a report that this controller does not know"));
  }
}

absl::Status SshLink::Send(const v1::Command& command, Deadline deadline) {
  if (!definition_.has_value()) {
    absl::Status sent = WriteMessage(command, *channel_, deadline);
    if (ReasonOf(sent) != Reason::MALFORMED) broken_ = sent;
    return sent;
  }
  v1::Command first = command;
  const auto wipe = absl::MakeCleanup([&first] { WipeKey(first); });
  *first.mutable_definition() = *definition_;
  absl::Status sent = WriteMessage(first, *channel_, deadline);
  if (ReasonOf(sent) == Reason::MALFORMED) return sent;  // nothing was sent
  definition_.reset();
  broken_ = sent;
  return sent;
}

absl::StatusOr<v1::Report> SshLink::Receive(Deadline deadline) {
  v1::Report report;
  absl::Status received = reader_->ReadMessage(report, deadline);
  if (received.ok()) {
    CleanReport(report);
    return report;
  }
  if (ReasonOf(received) == Reason::TIMED_OUT) return received;
  if (ReasonOf(received) == Reason::LINK_LOST) {
    received =
        WithStderr(WithHint(std::move(received), "whether the node did what it was told is not known: ask it again"),
                   channel_->error_output());
  }
  broken_ = received;
  return received;
}

}  // namespace certcast::controller
