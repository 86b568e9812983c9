#include "controller/rollout/node_session.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
// A node that was never spoken to is given up soon: others wait for its place. One that was is worth more patience.
constexpr int kTriesToReach = 2;
constexpr int kTriesOnceDelivered = 8;
constexpr absl::Duration kFirstPause = absl::Milliseconds(500);
constexpr absl::Duration kLongestPause = absl::Seconds(15);

// What a node says is bounded and printable before it is kept or shown, as our own errors are.
void Clean(v1::InstallResult& result) {
  if (result.has_failure()) *result.mutable_failure() = FailureOf(StatusOf(result.failure()));
  if (result.has_cleanup_failure()) *result.mutable_cleanup_failure() = FailureOf(StatusOf(result.cleanup_failure()));
}

bool MayPass(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::NO_ROUTE:
    case Reason::TIMED_OUT:
    case Reason::LINK_LOST:
    case Reason::PROTOCOL:
      return true;
    default:
      return false;
  }
}

}  // namespace

bool IsUnanswered(const absl::Status& status) {
  switch (ReasonOf(status)) {
    case Reason::NO_ROUTE:
    case Reason::AUTH_FAILED:
    case Reason::HOST_KEY_UNKNOWN:
    case Reason::HOST_KEY_CHANGED:
    case Reason::NO_AGENT_BINARY:
    case Reason::SUDO_REFUSED:
    case Reason::TIMED_OUT:
    case Reason::LINK_LOST:
    case Reason::PROTOCOL:
    case Reason::REASON_UNSPECIFIED:
      return !status.ok();
    default:
      return false;
  }
}

NodeSession::NodeSession(const NodeConfig& node, Transport& transport, Clock& clock, absl::Duration time_allowed)
    : node_(node),
      transport_(transport),
      clock_(clock),
      time_allowed_(time_allowed),
      deadline_(clock.Monotonic() + time_allowed),
      jitter_(static_cast<uint32_t>(std::hash<std::string>()(node.name) ^ absl::ToInt64Nanoseconds(deadline_))) {
}

absl::Status NodeSession::Connect() {
  for (int tries = 1;; ++tries) {
    absl::Status status = ConnectOnce();
    if (status.ok() || !TryAgain(tries, status)) return status;
  }
}

absl::StatusOr<v1::Report> NodeSession::Send(const v1::Command& command) {
  for (int tries = 1;; ++tries) {
    absl::StatusOr<v1::Report> report = SendOnce(command);
    if (report.ok() || !TryAgain(tries, report.status())) return report;
  }
}

absl::StatusOr<v1::InstallResult> NodeSession::SendForResult(const v1::Command& command) {
  ASSIGN_OR_RETURN(v1::Report report, Send(command));
  if (report.has_install_result()) {
    Clean(*report.mutable_install_result());
    return std::move(*report.mutable_install_result());
  }
  in_doubt_ = true;
  return Fail(Reason::PROTOCOL, absl::StrCat("node ", node_.name, " answered without a result"));
}

absl::StatusOr<v1::Inventory> NodeSession::SendForInventory(const v1::Command& command) {
  ASSIGN_OR_RETURN(v1::Report report, Send(command));
  if (report.has_inventory()) return std::move(*report.mutable_inventory());
  return Fail(Reason::PROTOCOL, absl::StrCat("node ", node_.name, " answered without an inventory"));
}

absl::Status NodeSession::ConnectOnce() {
  if (link_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(link_, transport_.Open(node_, std::min(kConnectTimeout, remaining())));
  if (!std::exchange(reached_, true)) deadline_ = clock_.Monotonic() + time_allowed_;
  return absl::OkStatus();
}

absl::StatusOr<v1::Report> NodeSession::SendOnce(const v1::Command& command) {
  if (remaining() <= absl::ZeroDuration()) {
    return Fail(Reason::TIMED_OUT, absl::StrCat("node ", node_.name, " took longer than node_timeout"));
  }
  RETURN_IF_ERROR(ConnectOnce());
  delivered_ = true;
  absl::StatusOr<v1::Report> report = link_->Call(command, remaining(), nullptr);
  if (!report.ok() && IsUnanswered(report.status())) {
    link_.reset();
    in_doubt_ = in_doubt_ || !command.has_describe();
  }
  return report;
}

bool NodeSession::TryAgain(int tries, const absl::Status& error) {
  // It may be at work on this very command, sent over a link that was lost.
  if (ReasonOf(error) == Reason::BUSY) return Pause(tries);
  return MayPass(error) && tries < (delivered_ ? kTriesOnceDelivered : kTriesToReach) && Pause(tries);
}

bool NodeSession::Pause(int tries) {
  const absl::Duration longest = std::min(kFirstPause * (1 << std::min(tries - 1, 10)), kLongestPause);
  const absl::Duration pause = longest * std::uniform_real_distribution<double>(0.5, 1.0)(jitter_);
  if (pause >= remaining()) return false;
  clock_.Sleep(pause);
  return true;
}

absl::Duration NodeSession::remaining() const {
  return deadline_ - clock_.Monotonic();
}

}  // namespace certcast::controller
