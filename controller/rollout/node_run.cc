#include "controller/rollout/node_run.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/link/wipe_key.h"
#include "common/status/status.h"
#include "controller/rollout/verify.h"

namespace certcast::controller {
namespace {

using google::protobuf::util::TimeUtil;

constexpr absl::Duration kLongestLook = absl::Seconds(10);

v1::Failure MakeFailure(Reason::Code reason, absl::string_view step, absl::string_view detail) {
  v1::Failure failure;
  failure.set_reason(reason);
  failure.set_step(std::string(step));
  failure.set_detail(std::string(detail));
  return failure;
}

// nullptr when the node has none of that name.
const v1::Inventory::Certificate* FindCertificate(const v1::Inventory& inventory, absl::string_view name) {
  for (const v1::Inventory::Certificate& certificate : inventory.certificates()) {
    if (certificate.name() == name) return &certificate;
  }
  return nullptr;
}

// A service of several certificates is asked for each of them.
bool IsOfAnother(const v1::ProbeResult& probe, absl::string_view certificate) {
  return !probe.certificate().empty() && probe.certificate() != certificate;
}

// Another controller has taken over: nothing more may be done under this epoch.
bool IsDeposed(const absl::Status& status) {
  return ReasonOf(status) == Reason::STALE_EPOCH;
}

}  // namespace

NodeRun::NodeRun(size_t index, const NodeConfig& config, const NodeRunContext& context)
    : index_(index),
      config_(config),
      context_(context),
      started_(context.clock->Monotonic()),
      node_(context.ledger->node(index)),
      session_(config, *context.transport, *context.clock, context.policy.node_timeout),
      begun_before_(node_.step() != Step::PENDING) {
}

absl::Status NodeRun::Advance() {
  switch (node_.step()) {
    case Step::PENDING:
      return Install();
    case Step::INSTALLING:
    case Step::VERIFYING:
    case Step::CONFIRMING:
      return AskWhatItHas();
    case Step::REVERTING:
      return GoBack(CommandRole::kRevertUnverified, Reason::VERIFY_FAILED);
    default:
      return absl::OkStatus();
  }
}

absl::Status NodeRun::Revert() {
  return GoBack(CommandRole::kRevertHalted, Reason::ROLLOUT_HALTED);
}

absl::Status NodeRun::Install() {
  // Connected first: of a node that can't be reached the record says PENDING, so that nobody wonders later what it did.
  const absl::Status connected = session_.Connect();
  if (!connected.ok()) return FinishWithoutResult(connected);
  ASSIGN_OR_RETURN(const std::shared_ptr<const v1::Bundle> bundle, context_.bundles->Get());
  if (node_.step() == Step::PENDING) {
    if (node_.ask_first()) {
      const absl::Status asked = AskWhatItHadBefore();
      if (!asked.ok()) return FinishWithoutResult(asked);
    }
    // The window may have closed, and the rollout been halted or paused, while this one was connected to.
    if (!context_.may_begin()) return absl::OkStatus();
    node_.set_step(Step::INSTALLING);
    ASSIGN_OR_RETURN(const bool began, context_.ledger->BeginNode(index_, node_));
    if (!began) return absl::OkStatus();
  } else {
    RETURN_IF_ERROR(Save(Step::INSTALLING));
  }
  v1::Command command = NewCommand(CommandRole::kInstall);
  *command.mutable_install()->mutable_bundle() = *bundle;
  *command.mutable_install()->mutable_confirm_timeout() =
      TimeUtil::NanosecondsToDuration(absl::ToInt64Nanoseconds(context_.policy.confirm_timeout));
  const absl::StatusOr<v1::InstallResult> result = session_.SendForResult(command);
  WipeKey(command);
  return result.ok() ? JudgeInstall(*result) : FinishWithoutResult(result.status());
}

// Saved with the first step, and not asked again: what it has after that may be this rollout's doing.
absl::Status NodeRun::AskWhatItHadBefore() {
  ASSIGN_OR_RETURN(const v1::Inventory inventory, session_.SendForInventory(NewCommand(CommandRole::kDescribe)));
  const v1::Inventory::Certificate* has = FindCertificate(inventory, context_.subject.certificate);
  node_.set_had_before(has != nullptr && has->generation() == context_.subject.generation && has->confirmed());
  node_.clear_ask_first();
  return absl::OkStatus();
}

absl::Status NodeRun::JudgeInstall(const v1::InstallResult& result) {
  if (std::exchange(went_back_before_, false) && IsToBeAskedAnew(result)) {
    node_.set_attempt(node_.attempt() + 1);
    return Install();
  }
  KeepServed(result);
  switch (result.outcome()) {
    case v1::Outcome::INSTALLED:
      MarkChanged();
      return Verify(ContradictionIn(result));
    case v1::Outcome::UNCHANGED:
      // An install that an earlier rollout left without its Confirm.
      if (result.has_confirm_by()) {
        MarkChanged();
        return Verify(ContradictionIn(result));
      }
      return JudgeUnchanged(result);
    case v1::Outcome::REVERTED:
    case v1::Outcome::FAILED:
      KeepFailure(result.failure());
      // A node's REVERT_FAILED says both already.
      if (result.has_cleanup_failure() &&
          !absl::StrContains(result.failure().detail(), result.cleanup_failure().detail())) {
        AddToDetail(result.cleanup_failure().detail());
      }
      if (result.failure().reason() == Reason::REVERT_FAILED) MarkChanged();
      return Finish(result.outcome());
    default:
      MarkChanged();
      return FinishWithoutResult(Fail(Reason::PROTOCOL, "the node answered Install with a result without an outcome"));
  }
}

// Of a node that took the command up before, and has another generation now.
bool NodeRun::IsToBeAskedAnew(const v1::InstallResult& result) {
  if (result.outcome() == v1::Outcome::INSTALLED) return true;
  switch (result.failure().reason()) {
    case Reason::NOT_CONFIRMED:
    case Reason::INTERRUPTED:
      return true;
    // As of a machine that booted, and looked before its services had started.
    case Reason::REVERT_FAILED:
      return ServesWhatItHas();
    default:
      return false;
  }
}

bool NodeRun::ServesWhatItHas() {
  const std::string& certificate = context_.subject.certificate;
  v1::Command command = NewCommand(CommandRole::kDescribe);
  command.mutable_probe()->set_certificate(certificate);
  const absl::StatusOr<v1::Inventory> inventory = session_.SendForInventory(command);
  if (!inventory.ok()) return false;
  const v1::Inventory::Certificate* has = FindCertificate(*inventory, certificate);
  if (has == nullptr || !has->confirmed() || has->generation() == context_.subject.generation) return false;
  for (const v1::Inventory::Service& service : inventory->services()) {
    if (service.certificate() == certificate && service.drift_size() > 0) return false;
  }
  int seen = 0;
  for (const v1::ProbeResult& probe : inventory->probes()) {
    if (IsOfAnother(probe, certificate)) continue;
    if (!probe.ok()) return false;
    ++seen;
  }
  return seen > 0;
}

absl::Status NodeRun::JudgeUnchanged(const v1::InstallResult& result) {
  std::string problem = ContradictionIn(result);
  if (problem.empty()) problem = LookFromHere(context_.subject.leaf_sha256);
  if (problem.empty()) {
    node_.set_confirmed(true);
    return Finish(v1::Outcome::UNCHANGED);
  }
  KeepFailure(MakeFailure(Reason::VERIFY_FAILED, "confirm", problem));
  return Finish(v1::Outcome::FAILED);
}

// An earlier controller had begun with this node and did not see the end.
absl::Status NodeRun::AskWhatItHas() {
  const absl::StatusOr<v1::Inventory> inventory = session_.SendForInventory(NewCommand(CommandRole::kDescribe));
  if (!inventory.ok()) return FinishWithoutResult(inventory.status());
  const v1::Inventory::Certificate* has = FindCertificate(*inventory, context_.subject.certificate);
  const bool in_force = has != nullptr && has->generation() == context_.subject.generation;
  // With a step after INSTALLING it is this rollout's doing. Confirming it a second time changes nothing. One that is
  // not confirmed and waits for nothing has failed there, and stays for want of a way back.
  if (in_force && (has->has_confirm_by() || node_.step() != Step::INSTALLING)) {
    MarkChanged();
    return Verify("");
  }
  // The same command again: a node that failed answers so from its record. One that went back because nobody confirmed
  // it says NOT_CONFIRMED, or INSTALLED though nothing waits for Confirm now, and one that was ended in the middle of
  // it says INTERRUPTED, or REVERT_FAILED though it serves what it has now: that was not the certificate's fault, so it
  // is asked anew.
  went_back_before_ = has != nullptr && has->highest_generation() >= context_.subject.generation;
  return Install();
}

absl::Status NodeRun::Verify(std::string problem) {
  if (problem.empty() && !config_.verify.empty()) {
    RETURN_IF_ERROR(Save(Step::VERIFYING));
    problem = LookFromHere(context_.subject.leaf_sha256);
  }
  if (problem.empty()) return Confirm();
  KeepFailure(MakeFailure(Reason::VERIFY_FAILED, "confirm", problem));
  if (node_.had_before()) {
    // Without Confirm it goes back by itself to what it had, the same generation. A Revert that came after that would
    // take it away.
    AddToDetail("it goes back by itself to what it had of this generation");
    return Finish(v1::Outcome::FAILED);
  }
  RETURN_IF_ERROR(Save(Step::REVERTING));
  return GoBack(CommandRole::kRevertUnverified, Reason::VERIFY_FAILED);
}

absl::Status NodeRun::Confirm() {
  RETURN_IF_ERROR(Save(Step::CONFIRMING));
  v1::Command command = NewCommand(CommandRole::kConfirm);
  command.mutable_confirm()->set_certificate(context_.subject.certificate);
  command.mutable_confirm()->set_generation(context_.subject.generation);
  command.mutable_confirm()->set_leaf_sha256(context_.subject.leaf_sha256);
  const absl::StatusOr<v1::InstallResult> result = session_.SendForResult(command);
  if (!result.ok()) return FinishWithoutResult(result.status());
  if (result->outcome() == v1::Outcome::INSTALLED || result->outcome() == v1::Outcome::UNCHANGED) {
    node_.set_confirmed(true);
    return Finish(v1::Outcome::INSTALLED);
  }
  KeepServed(*result);
  if (result->failure().reason() == Reason::STALE_COMMAND) return FinishNotConfirmed(result->failure());
  KeepFailure(result->failure());
  return Finish(v1::Outcome::FAILED);
}

absl::Status NodeRun::GoBack(CommandRole role, Reason::Code because) {
  v1::Command command = NewCommand(role);
  command.mutable_revert()->set_certificate(context_.subject.certificate);
  command.mutable_revert()->set_generation(context_.subject.generation);
  command.mutable_revert()->set_because(because);
  const absl::StatusOr<v1::InstallResult> result = session_.SendForResult(command);
  if (!result.ok()) {
    return IsDeposed(result.status()) ? result.status() : FinishNotReverted(FailureOf(result.status()));
  }
  if (result->outcome() != v1::Outcome::REVERTED && result->outcome() != v1::Outcome::UNCHANGED) {
    return FinishNotReverted(result->failure());
  }
  KeepServed(*result);
  if (result->generation_in_force() == context_.subject.generation) {
    return FinishNotReverted(MakeFailure(
        Reason::REVERT_FAILED, "revert",
        absl::StrCat("the node says that it went back, and still has generation ", context_.subject.generation)));
  }
  // Not where the look from here has failed just now: that it still fails says nothing about the way back.
  if (because == Reason::ROLLOUT_HALTED && !result->installed_sha256().empty()) {
    const std::string problem = LookFromHere(result->installed_sha256());
    if (!problem.empty()) return FinishNotReverted(MakeFailure(Reason::VERIFY_FAILED, "revert", problem));
  }
  // A node that failed by itself keeps its own reason.
  if (node_.result().reason() == Reason::REASON_UNSPECIFIED) node_.mutable_result()->set_reason(because);
  node_.set_changed(false);
  return Finish(v1::Outcome::REVERTED);
}

absl::Status NodeRun::Finish(v1::Outcome::Code outcome) {
  node_.set_step(Step::DONE);
  v1::Rollout::Node& result = *node_.mutable_result();
  result.set_outcome(outcome);
  result.set_duration_ms(result.duration_ms() + absl::ToInt64Milliseconds(context_.clock->Monotonic() - started_));
  return context_.ledger->FinishNode(index_, node_);
}

absl::Status NodeRun::FinishWithoutResult(const absl::Status& status) {
  if (IsDeposed(status)) return status;
  KeepFailure(FailureOf(status));
  const bool refused = !IsUnanswered(status) && session_.connected();
  if (session_.in_doubt() || (begun_before_ && !refused)) {
    MarkChanged();
    AddToDetail("what it did before is not known; it goes back by itself unless it was confirmed");
  }
  return Finish(refused ? v1::Outcome::FAILED : v1::Outcome::UNREACHABLE);
}

absl::Status NodeRun::FinishNotConfirmed(const v1::Failure& failure) {
  KeepFailure(MakeFailure(Reason::NOT_CONFIRMED, "confirm", "went back by itself before Confirm reached it"));
  AddToDetail(failure.detail());
  node_.set_changed(false);
  return Finish(v1::Outcome::REVERTED);
}

absl::Status NodeRun::FinishNotReverted(const v1::Failure& failure) {
  v1::Rollout::Node& result = *node_.mutable_result();
  result.set_reason(Reason::REVERT_FAILED);
  result.set_step("revert");
  if (!failure.stderr().empty()) result.set_stderr(failure.stderr());
  result.set_hint(failure.hint().empty() ? "look at what it serves: certcast-node status" : failure.hint());
  AddToDetail(absl::StrCat("going back failed: ", failure.detail()));
  MarkChanged();
  return Finish(v1::Outcome::FAILED);
}

void NodeRun::MarkChanged() {
  node_.set_changed(!node_.had_before());
}

absl::Status NodeRun::Save(Step::Step step) {
  node_.set_step(step);
  return context_.ledger->SaveNode(index_, node_);
}

v1::Command NodeRun::NewCommand(CommandRole role) const {
  v1::Command command;
  command.set_id(CommandId(context_.rollout_id, index_, role, node_.attempt()));
  command.set_epoch(context_.epoch);
  // Of a fleet, how far each node is would be more than anybody could read.
  command.set_without_progress(true);
  if (role == CommandRole::kDescribe) command.mutable_describe();
  return command;
}

std::string NodeRun::LookFromHere(const std::string& leaf_sha256) {
  VerifyOptions options;
  options.parallel = kLooksAtANode;
  options.patience = std::min({kLongestLook, context_.policy.confirm_timeout / 2, session_.remaining()});
  std::vector<std::string> problems;
  for (const v1::VerifyResponse::Endpoint& endpoint :
       VerifyEndpoints(EndpointsOf(config_, context_.subject.certificate, context_.default_server_name, leaf_sha256),
                       *context_.prober, *context_.clock, options)) {
    if (problems.empty() && !endpoint.served_sha256().empty()) {
      node_.mutable_result()->set_served_sha256(endpoint.served_sha256());
    }
    if (endpoint.ok()) continue;
    problems.push_back(absl::StrCat(endpoint.address(), " ", endpoint.server_name(),
                                    " seen from the controller: ", endpoint.detail()));
  }
  return absl::StrJoin(problems, "; ");
}

std::string NodeRun::ContradictionIn(const v1::InstallResult& result) const {
  const RolloutSubject& subject = context_.subject;
  if (result.generation_in_force() != subject.generation || result.installed_sha256() != subject.leaf_sha256) {
    return absl::StrCat("the node says ", v1::Outcome::Code_Name(result.outcome()), ", but has generation ",
                        result.generation_in_force(), " (", result.installed_sha256(), ") in force");
  }
  for (const v1::ProbeResult& probe : result.probes()) {
    if (probe.ok() && IsOfAnother(probe, subject.certificate)) continue;
    if (probe.ok() && (probe.served_sha256().empty() || probe.served_sha256() == subject.leaf_sha256)) continue;
    return absl::StrCat("the node says ", v1::Outcome::Code_Name(result.outcome()), ", but its probe ", probe.probe(),
                        probe.served_sha256().empty() ? " failed" : absl::StrCat(" saw ", probe.served_sha256()));
  }
  return "";
}

void NodeRun::KeepFailure(const v1::Failure& failure) {
  v1::Rollout::Node& result = *node_.mutable_result();
  result.set_reason(failure.reason());
  result.set_detail(failure.detail());
  result.set_hint(failure.hint());
  result.set_step(failure.step());
  result.set_stderr(failure.stderr());
}

void NodeRun::AddToDetail(absl::string_view text) {
  std::string& detail = *node_.mutable_result()->mutable_detail();
  if (text.empty()) return;
  absl::StrAppend(&detail, detail.empty() ? "" : "; ", text);
}

void NodeRun::KeepServed(const v1::InstallResult& result) {
  for (const v1::ProbeResult& probe : result.probes()) {
    if (probe.served_sha256().empty() || IsOfAnother(probe, context_.subject.certificate)) continue;
    node_.mutable_result()->set_served_sha256(probe.served_sha256());
    if (probe.served_sha256() != context_.subject.leaf_sha256) return;
  }
}

}  // namespace certcast::controller
