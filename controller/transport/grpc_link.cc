#include "controller/transport/grpc_link.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/link/bounds.h"
#include "common/link/wipe_key.h"
#include "common/status/status.h"
#include "controller/transport/clean_report.h"

namespace certcast::controller {
namespace {

constexpr char kSanProperty[] = "x509_subject_alternative_name";
// Of commands given up on one link. A node that is later than that with its answers is not worth a link.
constexpr size_t kMaxGivenUp = 64;

}  // namespace

GrpcLink::GrpcLink(std::shared_ptr<grpc::Channel> channel, std::string peer)
    : peer_(std::move(peer)), stub_(v1::NodeLink::NewStub(std::move(channel))) {
  context_.set_wait_for_ready(false);
  stub_->async()->Link(&context_, this);
  AddHold();  // Call starts operations from threads that are not the stream's: until LetGo
  StartRead(&incoming_);
  StartCall();
}

GrpcLink::~GrpcLink() {
  context_.TryCancel();
  absl::MutexLock lock(&mutex_);
  LetGo();
  mutex_.Await(absl::Condition(this, &GrpcLink::IsDone));
}

void GrpcLink::LetGo() {
  if (!std::exchange(let_go_, true)) RemoveHold();
}

void GrpcLink::OnReadDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  if (ok) {
    received_ = true;
  } else {
    LetGo();
  }
}

void GrpcLink::OnWriteDone(bool ok) {
  absl::MutexLock lock(&mutex_);
  writing_ = false;
  WipeKey(outgoing_);
  outgoing_.Clear();
  if (!ok) LetGo();
}

void GrpcLink::OnDone(const grpc::Status& status) {
  absl::MutexLock lock(&mutex_);
  done_ = status;
}

grpc::Status GrpcLink::AwaitHello(absl::Time deadline, std::vector<std::string>& names) {
  absl::StatusOr<v1::Report> report = Receive(deadline);
  if (absl::IsDeadlineExceeded(report.status())) return {grpc::StatusCode::DEADLINE_EXCEEDED, ""};
  if (!report.ok()) {
    absl::MutexLock lock(&mutex_);
    return done_->ok() ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "it ended the link at once") : *done_;
  }
  if (!report->has_hello()) return {grpc::StatusCode::INTERNAL, "its first report is no Hello"};
  hello_ = report->hello();
  for (const grpc::string_ref& name : context_.auth_context()->FindPropertyValues(kSanProperty)) {
    names.emplace_back(name.data(), name.size());
  }
  return grpc::Status::OK;
}

absl::StatusOr<v1::Report> GrpcLink::Call(const v1::Command& command, absl::Duration timeout,
                                          const OnProgress& on_progress) {
  if (const size_t size = command.ByteSizeLong(); size > kMaxLinkMessage) {
    return Fail(Reason::MALFORMED,
                absl::StrCat("the command for ", peer_, " has ", size, " bytes, a message at most ", kMaxLinkMessage));
  }
  const absl::Time deadline = absl::Now() + timeout;
  absl::MutexLock call(&call_mutex_);
  absl::Status sent = Send(command, deadline);
  if (absl::IsDeadlineExceeded(sent)) return TimedOut(timeout);
  RETURN_IF_ERROR(sent);
  while (true) {
    absl::StatusOr<v1::Report> report = Receive(deadline);
    if (absl::IsDeadlineExceeded(report.status())) {
      if (given_up_.size() < kMaxGivenUp) given_up_.insert(command.id());
      return TimedOut(timeout);
    }
    RETURN_IF_ERROR(report.status());
    if (report->command_id() != command.id()) {
      if (given_up_.contains(report->command_id())) continue;
      return Fail(Reason::PROTOCOL, absl::StrCat(peer_, " reported on a command that it was not given"));
    }
    switch (report->body_case()) {
      case v1::Report::kProgress:
        if (on_progress) on_progress(report->progress());
        break;
      case v1::Report::kRefusal:
        return StatusOf(report->refusal().failure());
      case v1::Report::kInstallResult:
      case v1::Report::kInventory:
      case v1::Report::kHttpChallengeResult:
        return report;
      default:
        return Fail(Reason::PROTOCOL, absl::StrCat(peer_, " sent a report that this controller does not know"));
    }
  }
}

absl::Status GrpcLink::Send(const v1::Command& command, absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithDeadline(absl::Condition(this, &GrpcLink::CanWrite), deadline)) {
    return absl::DeadlineExceededError("");
  }
  if (let_go_) {
    mutex_.Await(absl::Condition(this, &GrpcLink::IsDone));
    return Lost();
  }
  writing_ = true;
  outgoing_ = command;
  StartWrite(&outgoing_);
  return absl::OkStatus();
}

absl::StatusOr<v1::Report> GrpcLink::Receive(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithDeadline(absl::Condition(this, &GrpcLink::CanReceive), deadline)) {
    return absl::DeadlineExceededError("");
  }
  if (!received_) return Lost();
  v1::Report report = std::exchange(incoming_, v1::Report());
  received_ = false;
  if (!let_go_) StartRead(&incoming_);
  CleanReport(report);
  return report;
}

absl::Status GrpcLink::TimedOut(absl::Duration timeout) const {
  return Fail(Reason::TIMED_OUT, absl::StrCat(peer_, " did not answer within ", absl::FormatDuration(timeout)),
              "the node may still be at it: look at `certcast-node status` there");
}

absl::Status GrpcLink::Lost() const {
  return Fail(Reason::LINK_LOST,
              absl::StrCat("the connection to ", peer_, " ended before the answer",
                           done_->error_message().empty() ? "" : ": ", done_->error_message()),
              "whether the node did what it was told is not known: ask it again");
}

}  // namespace certcast::controller
