#include "node/engine/engine.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/clock/timestamp.h"
#include "common/file/atomic.h"
#include "common/identity/names.h"
#include "common/status/status.h"
#include "node/engine/check.h"
#include "node/engine/clock_check.h"
#include "node/engine/commit.h"
#include "node/engine/context.h"
#include "node/engine/elapsed.h"
#include "node/engine/http_challenge.h"
#include "node/engine/install.h"
#include "node/engine/inventory.h"
#include "node/engine/lock.h"
#include "node/engine/lost_record.h"
#include "node/engine/probe.h"
#include "node/engine/recover.h"
#include "node/engine/refusal.h"
#include "node/engine/repair.h"
#include "node/engine/revert.h"
#include "node/engine/transaction.h"
#include "node/engine/undo.h"

namespace certcast::node {
namespace {

constexpr size_t kMaxCommandId = 64;
// For all probes of a Probe command: a controller waits a minute for the answer.
constexpr absl::Duration kLongestLook = absl::Seconds(45);

v1::Report Answer(const v1::Command& command, v1::InstallResult result) {
  v1::Report report;
  report.set_command_id(command.id());
  *report.mutable_install_result() = std::move(result);
  return report;
}

// What a command names is repeated in its result, which is kept: it is bounded before.
absl::Status CheckSubject(const v1::Command& command) {
  constexpr size_t kMaxFingerprint = 64;
  const std::string& certificate =
      command.has_confirm() ? command.confirm().certificate() : command.revert().certificate();
  if (!command.has_install() && !CheckNodeName(certificate).ok()) {
    return Fail(Reason::MALFORMED, "the command names no certificate");
  }
  if (command.has_confirm() && command.confirm().leaf_sha256().size() > kMaxFingerprint) {
    return Fail(Reason::MALFORMED, "the command's leaf_sha256 is longer than a SHA-256 in hex");
  }
  return absl::OkStatus();
}

// Names become path components, so they are not believed, wherever they come from.
absl::Status CheckConfig(const EngineConfig& config) {
  if (!absl::StartsWith(config.state, "/")) {
    return FailInput(absl::StrCat("the state directory \"", config.state, "\" is not an absolute path"));
  }
  if (config.keep < 1) return FailInput(absl::StrCat("keep is ", config.keep, "; it must be at least 1"));
  std::set<std::string> names, paths;
  for (const Service& service : config.services) {
    RETURN_IF_ERROR(Annotate(CheckNodeName(service.name), "the name of a service"));
    for (const std::string& certificate : service.Certificates()) {
      RETURN_IF_ERROR(Annotate(CheckNodeName(certificate), absl::StrCat("a certificate of ", service.name)));
    }
    if (!names.insert(service.name).second) return FailInput(absl::StrCat("two services are called ", service.name));
    for (const ServiceFile& file : service.files) {
      RETURN_IF_ERROR(Annotate(SplitPath(file.path).status(), absl::StrCat("service ", service.name)));
      if (!paths.insert(file.path).second) return FailInput(absl::StrCat("two files have the path ", file.path));
    }
  }
  return absl::OkStatus();
}

bool IsUnfinished(Journal::Step step) {
  return step != Journal::IDLE && step != Journal::AWAITING_CONFIRM;
}

absl::Status AlreadyAwaiting(const EngineContext& engine, const Journal& journal) {
  const absl::Duration left = TimeLeftToConfirm(journal, engine.clock());
  return Fail(Reason::BUSY, absl::StrCat("generation ", journal.target().generation(), " of ", journal.certificate(),
                                         " waits for Confirm for another ",
                                         absl::FormatDuration(absl::Trunc(left, absl::Seconds(1)))));
}

// The same bundle again, under another id: a controller that forgot that it had sent it.
bool IsWhatAwaits(const v1::Install& install, const Journal& journal) {
  v1::Manifest manifest;
  return manifest.ParseFromString(install.bundle().manifest()) && manifest.certificate() == journal.certificate() &&
         manifest.generation() == journal.target().generation() &&
         manifest.leaf_sha256() == journal.target().leaf_sha256();
}

// A result that is given once more while its install waits for Confirm. It is the same, unless the wall clock was set
// meanwhile: then it says until when by the clock as it is now.
v1::InstallResult AsOfNow(const EngineContext& engine, v1::InstallResult result) {
  constexpr absl::Duration kWasSet = absl::Seconds(1);
  const Journal journal = engine.journal->Get();
  if (!result.has_confirm_by() || journal.step() != Journal::AWAITING_CONFIRM) return result;
  const absl::Time until = engine.clock().Now() + TimeLeftToConfirm(journal, engine.clock());
  if (absl::AbsDuration(until - FromTimestamp(result.confirm_by())) < kWasSet) return result;
  *result.mutable_confirm_by() = ToTimestamp(until);
  return result;
}

class RealEngine : public Engine {
 public:
  RealEngine(EngineContext context, std::unique_ptr<StateLock> lock)
      : lock_(std::move(lock)), context_(std::move(context)) {}

  absl::Status Begin();

  v1::Report Handle(const v1::Command& command, const OnProgress& on_progress) override;
  std::optional<absl::Time> ConfirmBy() const override;
  absl::Status RevertIfOverdue() override;
  absl::StatusOr<std::vector<v1::ProbeResult>> TestService(absl::string_view service) override;
  Recovery Recovered() const override { return recovered_; }
  absl::Status CheckClock() const override { return node::CheckClock(context_); }
  absl::Status TrustClock() override;

 private:
  bool read_only() const { return lock_ == nullptr; }

  // For commands that change something, under the install lock.
  v1::Report Change(const v1::Command& command, const OnProgress& on_progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(install_mutex_);
  v1::Report CarryOut(const v1::Command& command, const OnProgress& on_progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(install_mutex_);
  v1::Report HandleInstall(const v1::Command& command, const OnProgress& on_progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(install_mutex_);
  v1::Report HandleConfirm(const v1::Command& command, const OnProgress& on_progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(install_mutex_);
  v1::Report HandleRevert(const v1::Command& command, const OnProgress& on_progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(install_mutex_);

  // A lower epoch than one seen before is refused; a higher one is remembered.
  absl::Status CheckEpoch(const v1::Command& command) ABSL_EXCLUSIVE_LOCKS_REQUIRED(install_mutex_);
  // Goes on with what the disk did not let finish earlier, and goes back from what is overdue. What kept it from that,
  // or from proving it.
  absl::Status Settle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(install_mutex_);
  bool IsOverdue() const;
  // Sets the deadline from the journal when something waits, to now when something was not finished, and removes it
  // when there is nothing.
  void NoteDeadline();

  const std::unique_ptr<StateLock> lock_;
  const EngineContext context_;
  Recovery recovered_;
  // Held by who changes something on the disk. Never waited for but by RevertIfOverdue.
  absl::Mutex install_mutex_;
  mutable absl::Mutex deadline_mutex_ ABSL_ACQUIRED_AFTER(install_mutex_);
  // When the wait for Confirm is over, or what is unfinished was due, by the monotonic clock.
  std::optional<absl::Duration> deadline_ ABSL_GUARDED_BY(deadline_mutex_);
};

absl::Status RealEngine::Begin() {
  absl::MutexLock lock(&install_mutex_);
  RETURN_IF_ERROR(RemoveAllTemporaries(context_));
  ASSIGN_OR_RETURN(recovered_, Recover(context_));
  // What another fleet's controller had under way has ended with that.
  if (const auto& fleet = context_.config.fleet;
      !context_.environment.before_services && fleet.has_value() && context_.state->FleetId() != fleet->id) {
    RETURN_IF_ERROR(context_.state->Update([&](NodeState& state) { EnterFleet(state, fleet->id); }));
  }
  Recovery put_back = PutBackWhatIsGone(context_);
  recovered_.Add(put_back.line, std::move(put_back.failed));
  if (HttpChallenges* const challenges = context_.environment.http_challenges; challenges != nullptr) {
    const absl::Status taken_up = challenges->TakeUp(context_.layout.state());
    if (!taken_up.ok()) recovered_.Add(absl::StrCat("HTTP challenges of before: ", taken_up.message()));
  }
  NoteDeadline();
  return absl::OkStatus();
}

v1::Report RealEngine::Handle(const v1::Command& command, const OnProgress& on_progress) {
  if (command.id().empty() || command.id().size() > kMaxCommandId) {
    return Refuse(command, Fail(Reason::MALFORMED, absl::StrCat("a command's id has 1 to ", kMaxCommandId,
                                                                " characters; this one has ", command.id().size())));
  }
  if (command.has_definition() && !context_.config.hosted) {
    return Refuse(command, Fail(Reason::DEFINITION_REFUSED,
                                "the command says what this node is, but the node has a node.yaml that says so",
                                "remove /etc/certcast/node.yaml there, or give it a grpc:// address in certcast.yaml"));
  }
  v1::Report report;
  report.set_command_id(command.id());
  switch (command.body_case()) {
    case v1::Command::kDescribe:
      *report.mutable_inventory() = TakeInventory(context_);
      return report;
    case v1::Command::kProbe:
      *report.mutable_inventory() = TakeInventory(context_);
      for (v1::ProbeResult& seen :
           LookOnce(context_, ExpectedNow(context_, command.probe().certificate()), kLongestLook, kLongestLook)) {
        *report.mutable_inventory()->add_probes() = std::move(seen);
      }
      return report;
    case v1::Command::kPutHttpChallenge:
    case v1::Command::kRemoveHttpChallenge:
      if (const absl::Status changed = ChangeHttpChallenge(context_, command); !changed.ok()) {
        return Refuse(command, changed);
      }
      report.mutable_http_challenge_result()->set_http_challenge(context_.config.http_challenge.ToString());
      return report;
    case v1::Command::kInstall:
    case v1::Command::kConfirm:
    case v1::Command::kRevert:
      break;
    case v1::Command::BODY_NOT_SET:
      return Refuse(command, Fail(Reason::MALFORMED, "the command says nothing that this certcast-node knows",
                                  "is the controller newer than the agent? Update certcast-node"));
  }
  if (const absl::Status named = CheckSubject(command); !named.ok()) return Refuse(command, named);
  if (read_only())
    return Refuse(command, Fail(Reason::BUSY, "this certcast-node only looks; another one may be at work"));
  if (!install_mutex_.TryLock()) {
    return Refuse(command, Fail(Reason::BUSY, "another command is under way on this node"));
  }
  report = Change(command, on_progress);
  NoteDeadline();
  install_mutex_.Unlock();
  return report;
}

v1::Report RealEngine::Change(const v1::Command& command, const OnProgress& on_progress) {
  if (const absl::Status fresh = CheckEpoch(command); !fresh.ok()) return Refuse(command, fresh);
  // Where it is over, however it ended, this command is about something else.
  const absl::Status settled = Settle();
  if (!settled.ok() && IsUnfinished(context_.journal->Get().step())) return Refuse(command, settled);
  if (std::optional<v1::InstallResult> earlier = context_.state->Result(command.id()); earlier.has_value()) {
    return Answer(command, AsOfNow(context_, *std::move(earlier)));
  }
  v1::Report report = CarryOut(command, on_progress);
  if (report.has_refusal() || IsUnfinished(context_.journal->Get().step()) ||
      context_.state->Result(command.id()).has_value()) {
    return report;
  }
  const absl::Status saved =
      context_.state->Update([&](NodeState& state) { RememberResult(state, command.id(), report.install_result()); });
  if (!saved.ok() && !report.install_result().has_cleanup_failure()) {
    *report.mutable_install_result()->mutable_cleanup_failure() = FailureOf(Annotate(saved, "saving the result"));
  }
  return report;
}

v1::Report RealEngine::CarryOut(const v1::Command& command, const OnProgress& on_progress) {
  if (command.has_install()) return HandleInstall(command, on_progress);
  if (command.has_confirm()) return HandleConfirm(command, on_progress);
  return HandleRevert(command, on_progress);
}

absl::Status RealEngine::CheckEpoch(const v1::Command& command) {
  const uint64_t highest = context_.state->HighestEpoch();
  if (command.epoch() < highest) return StaleEpoch(command.epoch(), highest);
  if (command.epoch() == highest) return absl::OkStatus();
  return context_.state->Update([&](NodeState& state) { state.set_highest_epoch(command.epoch()); });
}

absl::Status RealEngine::Settle() {
  const Journal journal = context_.journal->Get();
  if (IsUnfinished(journal.step())) {
    absl::Status finished = Recover(context_).status();
    NoteDeadline();
    return finished;
  }
  if (journal.step() == Journal::IDLE || !IsOverdue()) return absl::OkStatus();
  Transaction t(context_, journal, nullptr);
  const v1::InstallResult result = GoBack(t, NotConfirmed(journal));
  NoteDeadline();
  return result.outcome() == v1::Outcome::REVERTED ? absl::OkStatus() : StatusOf(result.failure());
}

v1::Report RealEngine::HandleInstall(const v1::Command& command, const OnProgress& on_progress) {
  if (!context_.config.fleet.has_value()) return Refuse(command, NotEnrolled(context_.config.node));
  const Journal journal = context_.journal->Get();
  if (journal.step() == Journal::AWAITING_CONFIRM) {
    const std::optional<v1::InstallResult> waiting = context_.state->Result(journal.command_id());
    if (waiting.has_value() && IsWhatAwaits(command.install(), journal)) {
      return Answer(command, AsOfNow(context_, *waiting));
    }
    return Refuse(command, AlreadyAwaiting(context_, journal));
  }
  // Nothing is taken up, so that the same command may come again once the clock is right.
  absl::Status clock = node::CheckClock(context_);
  if (clock.ok()) clock = CheckClockAgainst(context_, command.install().bundle());
  if (!clock.ok()) return Refuse(command, clock);
  return Answer(command, Install(context_, command.id(), command.install(), on_progress));
}

v1::Report RealEngine::HandleConfirm(const v1::Command& command, const OnProgress& on_progress) {
  const v1::Confirm& confirm = command.confirm();
  const Journal journal = context_.journal->Get();
  const auto is_meant = [&](const state::v1::GenerationOnDisk& generation) {
    return confirm.generation() > 0 && generation.generation() == confirm.generation() &&
           generation.leaf_sha256() == confirm.leaf_sha256();
  };
  const bool awaits = journal.step() == Journal::AWAITING_CONFIRM && journal.certificate() == confirm.certificate();
  if (awaits && is_meant(journal.target())) {
    Transaction t(context_, journal, on_progress);
    t.result.set_outcome(v1::Outcome::INSTALLED);
    // Not recorded: it may come again.
    if (const absl::Status committed = Commit(t, command.id()); !committed.ok()) return Refuse(command, committed);
    return Answer(command, t.result);
  }

  Transaction t(context_, on_progress);
  t.result.set_certificate(confirm.certificate());
  t.result.set_generation(confirm.generation());
  t.NoteInForce();
  const NodeState::Certificate known = context_.state->Certificate(confirm.certificate());
  const state::v1::GenerationOnDisk& in_force = known.in_force();
  if (!awaits && is_meant(in_force) && !known.unconfirmed()) {
    t.result.set_outcome(v1::Outcome::INSTALLED);
    return Answer(command, t.result);
  }
  if (!awaits && is_meant(in_force)) {
    t.result.set_outcome(v1::Outcome::FAILED);
    *t.result.mutable_failure() =
        FailureOf(WithStep(Fail(Reason::STALE_COMMAND,
                                absl::StrCat("generation ", confirm.generation(), " of ", confirm.certificate(),
                                             " stays in force unconfirmed, since there was nothing good to go back to"),
                                "it is proven anew by another install: run certcast apply"),
                           "confirm"));
    return Answer(command, t.result);
  }
  const uint64_t now = awaits ? journal.target().generation() : in_force.generation();
  t.result.set_outcome(v1::Outcome::FAILED);
  *t.result.mutable_failure() = FailureOf(
      WithStep(Fail(Reason::STALE_COMMAND,
                    absl::StrCat("generation ", confirm.generation(), " of ", confirm.certificate(), " with leaf ",
                                 confirm.leaf_sha256(), " is not in force (any more); ", now, " is"),
                    "it was put back when no Confirm came in time, or it never got here"),
               "confirm"));
  return Answer(command, t.result);
}

v1::Report RealEngine::HandleRevert(const v1::Command& command, const OnProgress& on_progress) {
  v1::Revert revert = command.revert();
  if (revert.because() == Reason::REASON_UNSPECIFIED) revert.set_because(Reason::ROLLOUT_HALTED);
  Journal journal = context_.journal->Get();
  if (journal.step() != Journal::AWAITING_CONFIRM) {
    return Answer(command, Undo(context_, command.id(), revert, on_progress));
  }
  if (journal.certificate() != revert.certificate()) return Refuse(command, AlreadyAwaiting(context_, journal));
  if (journal.target().generation() != revert.generation()) {
    Transaction t(context_, journal, on_progress);
    t.result.set_generation(revert.generation());
    t.result.set_outcome(v1::Outcome::UNCHANGED);
    t.result.set_generation_in_force(journal.target().generation());
    t.result.set_installed_sha256(journal.target().leaf_sha256());
    return Answer(command, t.result);
  }
  journal.set_reverted_by(command.id());
  Transaction t(context_, std::move(journal), on_progress);
  return Answer(command, GoBack(t, WithStep(Fail(revert.because(), absl::StrCat("the controller had generation ",
                                                                                revert.generation(), " taken back")),
                                            "confirm")));
}

bool RealEngine::IsOverdue() const {
  absl::MutexLock lock(&deadline_mutex_);
  return deadline_.has_value() && context_.clock().Monotonic() >= *deadline_;
}

void RealEngine::NoteDeadline() {
  const Journal journal = context_.journal->Get();
  absl::MutexLock lock(&deadline_mutex_);
  if (journal.step() == Journal::IDLE) {
    deadline_.reset();
  } else if (IsUnfinished(journal.step())) {
    const absl::Duration now = context_.clock().Monotonic();
    deadline_ = std::min(deadline_.value_or(now), now);
  } else if (!deadline_.has_value()) {
    deadline_ = context_.clock().Monotonic() + TimeLeftToConfirm(journal, context_.clock());
  }
}

std::optional<absl::Time> RealEngine::ConfirmBy() const {
  absl::MutexLock lock(&deadline_mutex_);
  if (!deadline_.has_value()) return std::nullopt;
  return context_.clock().Now() + (*deadline_ - context_.clock().Monotonic());
}

absl::Status RealEngine::RevertIfOverdue() {
  if (read_only() || !IsOverdue()) return absl::OkStatus();
  absl::MutexLock lock(&install_mutex_);
  return Settle();
}

absl::Status RealEngine::TrustClock() {
  if (read_only()) return Fail(Reason::BUSY, "this certcast-node only looks");
  absl::MutexLock lock(&install_mutex_);
  RETURN_IF_ERROR(context_.state->Update(
      [&](NodeState& state) { *state.mutable_known_time() = ToTimestamp(context_.clock().Now()); }));
  return CheckClock();
}

absl::StatusOr<std::vector<v1::ProbeResult>> RealEngine::TestService(absl::string_view name) {
  const Service* service = context_.FindService(name);
  if (service == nullptr) {
    return absl::NotFoundError(absl::StrCat("no service of this node is called \"", name, "\""));
  }
  RETURN_IF_ERROR(CheckServices(context_, {service}));
  std::vector<Expectation> expectations;
  for (Expectation& expectation : ExpectedNow(context_, "")) {
    if (expectation.service == service) expectations.push_back(std::move(expectation));
  }
  return LookOnce(context_, expectations, absl::InfiniteDuration());
}

absl::StatusOr<EngineContext> MakeContext(EngineConfig config, EngineEnvironment environment, bool read_only) {
  Layout layout(config.state);
  EngineContext context{.config = std::move(config), .environment = environment, .layout = std::move(layout)};
  // Null where there is none yet, which only a read-only engine may meet.
  const auto open = [&]() -> absl::StatusOr<std::unique_ptr<Directory>> {
    auto directory = context.files().OpenDirectory(context.layout.state());
    if (read_only && absl::IsNotFound(directory.status())) return nullptr;
    return directory;
  };
  ASSIGN_OR_RETURN(std::unique_ptr<Directory> for_journal, open());
  ASSIGN_OR_RETURN(std::unique_ptr<Directory> for_state, open());
  auto journal = JournalFile::Open(std::move(for_journal), read_only);
  RETURN_IF_ERROR(WithHint(journal.status(), WithoutJournal(context.config)));
  context.journal = *std::move(journal);
  auto state = NodeStateFile::Open(std::move(for_state), read_only);
  RETURN_IF_ERROR(WithHint(state.status(), WithoutState(context.config)));
  context.state = *std::move(state);
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(EngineConfig config, EngineEnvironment environment) {
  RETURN_IF_ERROR(CheckConfig(config));
  const std::string state = Layout(config.state).state();
  RETURN_IF_ERROR(OpenOrMakeDirectory(*environment.files, state, DirectoryAttributes()).status());
  ASSIGN_OR_RETURN(std::unique_ptr<StateLock> lock,
                   LockWithin(kLockOutlives, state, *environment.locker, *environment.clock));
  ASSIGN_OR_RETURN(EngineContext context, MakeContext(std::move(config), environment, /*read_only=*/false));
  auto engine = std::make_unique<RealEngine>(std::move(context), std::move(lock));
  RETURN_IF_ERROR(engine->Begin());
  return engine;
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::OpenReadOnly(EngineConfig config, EngineEnvironment environment) {
  RETURN_IF_ERROR(CheckConfig(config));
  ASSIGN_OR_RETURN(EngineContext context, MakeContext(std::move(config), environment, /*read_only=*/true));
  return std::make_unique<RealEngine>(std::move(context), nullptr);
}

}  // namespace certcast::node
