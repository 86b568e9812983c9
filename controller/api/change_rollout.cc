// Pause, resume, abort, undo and retry of a rollout.
//
// Whoever holds the lease carries rollouts out. A pause or an abort of one that another process has at work is left for
// that process in the store, and waited for; everything else takes the lease and is done here.
#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/api/find_rollout.h"
#include "controller/api/note.h"
#include "controller/api/obtain.h"
#include "controller/api/revoked_rollouts.h"
#include "controller/api/roll_out.h"
#include "controller/api/session.h"
#include "controller/rollout/life_cycle.h"
#include "controller/rollout/record.h"
#include "controller/store/records.h"
#include "controller/store/rollout_records.h"
#include "controller/store/rollout_requests.h"

namespace certcast::controller {
namespace {

using Request = v1::ChangeRolloutRequest;
using Response = v1::ChangeRolloutResponse;
using Wish = state::v1::RolloutRequest;

// How long a pause or an abort waits for the process that is asked, which answers between two nodes.
constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr absl::Duration kPause = absl::Milliseconds(200);

absl::string_view StateOf(const state::v1::Rollout& rollout) {
  return v1::Rollout::State_Name(rollout.state());
}

std::string VerbOf(Request::Action action) {
  switch (action) {
    case Request::PAUSE:
      return "rollout pause";
    case Request::RESUME:
      return "rollout resume";
    case Request::ABORT:
      return "rollout abort";
    case Request::UNDO:
      return "rollout undo";
    default:
      return "rollout retry";
  }
}

absl::Status Refuse(absl::string_view detail, absl::string_view hint) {
  return WithHint(absl::FailedPreconditionError(std::string(detail)), hint);
}

class Change {
 public:
  Change(const Config& config, const Machine& machine, const Request& request, const OnProgress& on_progress,
         const std::atomic<bool>& stop)
      : config_(config), machine_(machine), request_(request), on_progress_(on_progress), stop_(stop) {}

  absl::StatusOr<Response> Run();

 private:
  // --- PAUSE and ABORT.
  absl::StatusOr<Response> AskOrDo();
  // Without a process at work on it. The lease is held.
  absl::StatusOr<Response> DoWithLease();
  Wish WishOf() const;
  // There is nothing to ask for: the answer, or why it is refused. A way back that was left is gone on with.
  absl::StatusOr<Response> AnswerAsItStands(const state::v1::Rollout& rollout);

  absl::StatusOr<Response> Resume();
  absl::StatusOr<Response> Undo();
  absl::StatusOr<Response> Retry();

  absl::Status Find();
  // Reads it anew, whole.
  absl::StatusOr<state::v1::Rollout> Read();
  absl::Status TakeLease();
  // The certificate as it is configured now.
  absl::StatusOr<const CertificateConfig*> ConfigOf(const state::v1::Rollout& rollout) const;
  // Another rollout of the certificate that must be dealt with first, or OK.
  absl::Status CheckNoOther(bool later_ones_too) const;
  absl::Status CheckStillWanted(const state::v1::Rollout& rollout, absl::string_view hint);
  // What was asked for before counts no more.
  absl::Status DropRequests();
  absl::StatusOr<RolloutRunner> MakeRunner();
  absl::StatusOr<Response> Execute(const state::v1::Rollout& rollout, absl::string_view text);
  absl::StatusOr<Response> AnswerEnded(v1::Rollout ended, absl::string_view text) const;
  void Note(const std::string& text) const;

  const Config& config_;
  const Machine& machine_;
  const Request& request_;
  const OnProgress& on_progress_;
  const std::atomic<bool>& stop_;
  Session session_;
  std::vector<state::v1::Rollout> heads_;
  state::v1::Rollout head_;
};

Response AnswerOf(const state::v1::Rollout& rollout, absl::string_view text) {
  Response response;
  *response.mutable_rollout() = ShowRollout(rollout);
  response.set_text(std::string(text));
  return response;
}

absl::StatusOr<Response> Change::Run() {
  ASSIGN_OR_RETURN(session_, OpenToRead(config_, machine_));
  RETURN_IF_ERROR(Find());
  switch (request_.action()) {
    case Request::PAUSE:
    case Request::ABORT:
      return AskOrDo();
    case Request::RESUME:
      return Resume();
    case Request::UNDO:
      return Undo();
    case Request::RETRY:
      return Retry();
    default:
      return FailInput("the request says nothing of what is to be done with the rollout");
  }
}

absl::StatusOr<Response> Change::AskOrDo() {
  RolloutRequests requests(*session_.store);
  const Wish wish = WishOf();
  std::optional<PendingRequest> asked;
  const absl::Duration until = machine_.clock->Monotonic() + kPatience;
  while (true) {
    ASSIGN_OR_RETURN(const state::v1::Rollout rollout, Read());
    if (state::v1::Rollout head = rollout; !TakeRequest(wish, head) && (IsFinished(rollout) || !asked.has_value())) {
      if (asked.has_value()) RETURN_IF_ERROR(requests.Remove(rollout.id(), asked->revision));
      return AnswerAsItStands(rollout);
    }
    if (asked.has_value()) {
      ASSIGN_OR_RETURN(const std::optional<PendingRequest> left, requests.Get(rollout.id()));
      if (!left.has_value()) {
        // As it stands now: it may have been taken up after the rollout was read.
        ASSIGN_OR_RETURN(const state::v1::Rollout now, Read());
        const bool is_late = now.state() == v1::Rollout::COMPLETED || now.state() == v1::Rollout::INCOMPLETE ||
                             (request_.action() == Request::PAUSE && (IsFinished(now) || !GoesOn(now.state())) &&
                              now.state() != v1::Rollout::PAUSED);
        if (is_late) return AnswerAsItStands(now);
        return AnswerOf(now, absl::StrCat("it is ", StateOf(now)));
      }
    }
    const absl::Status taken = TakeLease();
    if (taken.ok()) return DoWithLease();
    if (ReasonOf(taken) != Reason::BUSY) return taken;
    if (!asked.has_value()) {
      ASSIGN_OR_RETURN(asked, requests.Put(rollout.id(), wish));
      Note(absl::StrCat("asked; ", taken.message(), ", which answers between two nodes"));
    }
    if (stop_ || machine_.clock->Monotonic() >= until) {
      Response response =
          AnswerOf(rollout, absl::StrCat("asked; ", taken.message(),
                                         ", which has not answered so far: it does before the next node begins"));
      response.set_pending(true);
      return response;
    }
    machine_.clock->Sleep(kPause);
  }
}

absl::StatusOr<Response> Change::DoWithLease() {
  RolloutRequests requests(*session_.store);
  ASSIGN_OR_RETURN(const state::v1::Rollout rollout, Read());
  const Wish wish = WishOf();
  if (request_.action() == Request::ABORT) RETURN_IF_ERROR(ConfigOf(rollout).status());
  state::v1::Rollout changed = rollout;
  const bool changes = TakeRequest(wish, changed);
  if (changes) RETURN_IF_ERROR(RolloutRecords(*session_.store).PutHead(changed, session_.epoch()));
  RETURN_IF_ERROR(DropRequests());
  if (!changes) return AnswerAsItStands(rollout);
  if (request_.action() == Request::PAUSE) return AnswerOf(changed, "it is PAUSED");
  return Execute(changed, "it was aborted");
}

Wish Change::WishOf() const {
  Wish wish;
  wish.set_wish(request_.action() == Request::PAUSE ? Wish::PAUSE : Wish::ABORT);
  wish.set_on_halt(static_cast<Wish::OnHalt>(request_.on_halt()));
  *wish.mutable_by() = request_.by();
  *wish.mutable_by()->mutable_at() = ToTimestamp(machine_.clock->Now());
  return wish;
}

absl::StatusOr<Response> Change::AnswerAsItStands(const state::v1::Rollout& rollout) {
  const std::string stands = absl::StrCat("rollout ", rollout.id(), " is ", StateOf(rollout));
  if (request_.action() == Request::PAUSE) {
    if (rollout.state() == v1::Rollout::PAUSED) return AnswerOf(rollout, "it was paused already");
    return Refuse(absl::StrCat(stands, IsFinished(rollout) ? ": it has ended" : ": the way back is not paused"), "");
  }
  if (rollout.state() == v1::Rollout::COMPLETED || rollout.state() == v1::Rollout::INCOMPLETE) {
    return Refuse(absl::StrCat(stands, ": it has ended"),
                  absl::StrCat("certcast rollout undo ", rollout.id(), " puts back what it changed"));
  }
  const std::string text = absl::StrCat("it is ", StateOf(rollout));
  if (IsFinished(rollout)) return AnswerOf(rollout, text);
  if (session_.lease == nullptr) {
    const absl::Status taken = TakeLease();
    if (ReasonOf(taken) == Reason::BUSY) return AnswerOf(rollout, text);
    RETURN_IF_ERROR(taken);
  }
  ASSIGN_OR_RETURN(const state::v1::Rollout left, Read());
  return Execute(left, "its way back was gone on with");
}

absl::StatusOr<Response> Change::Resume() {
  RETURN_IF_ERROR(TakeLease());
  ASSIGN_OR_RETURN(const state::v1::Rollout rollout, Read());
  if (IsFinished(rollout)) {
    return AnswerOf(
        rollout, absl::StrCat("it has ended; certcast rollout retry ", rollout.id(), " tries what it left once more"));
  }
  if (GoesOn(rollout.state()) || rollout.state() == v1::Rollout::PAUSED) {
    RETURN_IF_ERROR(
        CheckStillWanted(rollout, absl::StrCat("certcast rollout abort ", rollout.id(),
                                               " --keep ends it; certcast apply rolls the wanted one out")));
  }
  RETURN_IF_ERROR(DropRequests());
  return Execute(rollout, "it was gone on with");
}

absl::StatusOr<Response> Change::Undo() {
  RETURN_IF_ERROR(TakeLease());
  ASSIGN_OR_RETURN(const state::v1::Rollout rollout, Read());
  RETURN_IF_ERROR(CheckNoOther(/*later_ones_too=*/true));
  if (!CanBeUndone(rollout)) {
    return AnswerOf(rollout, "there is nothing to undo: no node has what it brought");
  }
  RETURN_IF_ERROR(ConfigOf(rollout).status());
  ASSIGN_OR_RETURN(const std::optional<std::string> revoked, WhyNotBack(*session_.store, rollout));
  if (revoked.has_value()) {
    return Fail(Reason::REVOKED, absl::StrCat("rollout ", rollout.id(), " is not undone: ", *revoked),
                absl::StrCat("bring another generation: certcast apply ", rollout.certificate(), " --force-renewal"));
  }
  v1::Operator by = request_.by();
  *by.mutable_at() = ToTimestamp(machine_.clock->Now());
  const state::v1::Rollout undone = UndoRollout(rollout, by);
  const std::vector<state::v1::Rollout::Node> nodes(undone.nodes().begin(), undone.nodes().end());
  RETURN_IF_ERROR(RolloutRecords(*session_.store).PutHeadAndNodes(undone, nodes, session_.epoch()));
  RETURN_IF_ERROR(DropRequests());
  return Execute(undone, absl::StrCat("generation ", rollout.generation(), " of ", rollout.certificate(),
                                      " stays the wanted one: the next certcast apply rolls it out again"));
}

absl::StatusOr<Response> Change::Retry() {
  RETURN_IF_ERROR(TakeLease());
  ASSIGN_OR_RETURN(const state::v1::Rollout rollout, Read());
  RETURN_IF_ERROR(CheckNoOther(/*later_ones_too=*/false));
  if (!IsFinished(rollout)) {
    return Refuse(absl::StrCat("rollout ", rollout.id(), " is ", StateOf(rollout), ", not ended"),
                  absl::StrCat("certcast rollout resume ", rollout.id(), " goes on with it"));
  }
  RETURN_IF_ERROR(CheckStillWanted(rollout, "certcast apply rolls the wanted one out"));
  ASSIGN_OR_RETURN(const CertificateConfig* certificate, ConfigOf(rollout));
  ASSIGN_OR_RETURN(const std::optional<state::v1::Generation> generation,
                   GenerationRecords(*session_.store).Wanted(rollout.certificate()));
  RETURN_IF_ERROR(CheckUsable(*generation, machine_.clock->Now()));
  const std::vector<std::string> names = NodesToRetry(rollout);
  std::vector<FleetMember> fleet;
  for (const NodeConfig* node : config_.NodesOf(*certificate)) {
    if (std::find(names.begin(), names.end(), node->name) == names.end()) continue;
    fleet.push_back({.name = node->name, .labels = node->labels, .unseen = true});
  }
  if (fleet.empty()) {
    return AnswerOf(rollout, names.empty()
                                 ? "there is nothing to retry: every node of it has the generation"
                                 : "there is nothing to retry: the nodes that it left are not configured any more");
  }
  ASSIGN_OR_RETURN(RolloutRunner runner, MakeRunner());
  ASSIGN_OR_RETURN(v1::Rollout ended, runner.Run(*certificate, *generation, fleet));
  return AnswerEnded(std::move(ended), absl::StrCat("it is for what ", rollout.id(), " left"));
}

absl::Status Change::Find() {
  const bool ends = request_.action() == Request::UNDO || request_.action() == Request::RETRY;
  ASSIGN_OR_RETURN(heads_, RolloutRecords(*session_.store).List(""));
  ASSIGN_OR_RETURN(
      head_, FindRollout(heads_, config_, request_.id(), ends ? RolloutDefault::kLatest : RolloutDefault::kUnfinished));
  return absl::OkStatus();
}

absl::StatusOr<state::v1::Rollout> Change::Read() {
  ASSIGN_OR_RETURN(std::optional<state::v1::Rollout> rollout, RolloutRecords(*session_.store).Get(head_.id()));
  if (rollout.has_value()) return *std::move(rollout);
  return Refuse(absl::StrCat("rollout ", head_.id(), " is gone: newer ones took its place"),
                "certcast rollout history");
}

absl::Status Change::TakeLease() {
  ASSIGN_OR_RETURN(session_.lease, session_.store->TakeLease(VerbOf(request_.action())));
  // It may have changed while nobody held it.
  ASSIGN_OR_RETURN(heads_, RolloutRecords(*session_.store).List(""));
  return absl::OkStatus();
}

absl::StatusOr<const CertificateConfig*> Change::ConfigOf(const state::v1::Rollout& rollout) const {
  const CertificateConfig* certificate = config_.FindCertificate(rollout.certificate());
  if (certificate != nullptr) return certificate;
  return Refuse(absl::StrCat("certificate ", rollout.certificate(), " is no longer in ", config_.path),
                "put it back there for as long as its nodes are spoken to");
}

absl::Status Change::CheckNoOther(bool later_ones_too) const {
  for (const state::v1::Rollout& other : heads_) {
    if (other.id() == head_.id()) later_ones_too = false;
    if (other.id() == head_.id() || other.certificate() != head_.certificate()) continue;
    if (!IsFinished(other)) {
      return Refuse(absl::StrCat("rollout ", other.id(), " of ", other.certificate(), " is ", StateOf(other)),
                    absl::StrCat("certcast rollout resume ", other.id(), " or abort comes first"));
    }
    if (!later_ones_too || other.generation() == head_.generation() || other.state() == v1::Rollout::REVERTED) continue;
    return Refuse(absl::StrCat("rollout ", other.id(), " brought generation ", other.generation(), " after it"),
                  absl::StrCat("certcast rollout undo ", other.id(), " comes first"));
  }
  return absl::OkStatus();
}

absl::Status Change::CheckStillWanted(const state::v1::Rollout& rollout, absl::string_view hint) {
  ASSIGN_OR_RETURN(const std::optional<state::v1::Generation> wanted,
                   GenerationRecords(*session_.store).Wanted(rollout.certificate()));
  if (wanted.has_value() && wanted->generation() == rollout.generation()) return absl::OkStatus();
  return Refuse(
      absl::StrCat("rollout ", rollout.id(), " is of generation ", rollout.generation(), ", and ",
                   wanted.has_value() ? absl::StrCat("generation ", wanted->generation()) : "none", " is wanted now"),
      hint);
}

absl::Status Change::DropRequests() {
  RolloutRequests requests(*session_.store);
  ASSIGN_OR_RETURN(const std::optional<PendingRequest> pending, requests.Get(head_.id()));
  return pending.has_value() ? requests.Remove(head_.id(), pending->revision) : absl::OkStatus();
}

absl::StatusOr<RolloutRunner> Change::MakeRunner() {
  ASSIGN_OR_RETURN(RolloutRunner runner, RolloutRunner::Make(config_, machine_, session_, on_progress_, stop_));
  if (request_.now()) runner.OverrideWindows(request_.by());
  return runner;
}

absl::StatusOr<Response> Change::Execute(const state::v1::Rollout& rollout, absl::string_view text) {
  ASSIGN_OR_RETURN(const CertificateConfig* certificate, ConfigOf(rollout));
  ASSIGN_OR_RETURN(RolloutRunner runner, MakeRunner());
  ASSIGN_OR_RETURN(v1::Rollout ended, runner.Execute(*certificate, rollout));
  return AnswerEnded(std::move(ended), text);
}

absl::StatusOr<Response> Change::AnswerEnded(v1::Rollout ended, absl::string_view text) const {
  if (stop_ && !ended.has_finished_at()) {
    return absl::CancelledError(
        absl::StrCat("stopped as asked; certcast rollout resume ", ended.id(), " goes on where this run ended"));
  }
  Response response;
  response.set_text(std::string(text));
  *response.mutable_rollout() = std::move(ended);
  return response;
}

void Change::Note(const std::string& text) const {
  on_progress_(MakeNote(text, head_.certificate(), head_.id()));
}

}  // namespace

absl::StatusOr<v1::ChangeRolloutResponse> Controller::ChangeRollout(const v1::ChangeRolloutRequest& request,
                                                                    const OnProgress& on_progress,
                                                                    const std::atomic<bool>& stop) {
  return Change(config_, machine_, request, on_progress, stop).Run();
}

}  // namespace certcast::controller
