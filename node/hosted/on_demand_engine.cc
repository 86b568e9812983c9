#include "node/hosted/on_demand_engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "node/engine/layout.h"
#include "node/engine/refusal.h"

namespace certcast::node {
namespace {

class ConfiguredSource : public EngineSource {
 public:
  explicit ConfiguredSource(EngineConfig config) : config_(std::move(config)) {}

  const std::string& state() const override { return config_.state; }
  absl::StatusOr<std::unique_ptr<Engine>> Open(const EngineEnvironment& environment) override {
    return Engine::Start(config_, environment);
  }
  absl::StatusOr<std::unique_ptr<Engine>> OpenReadOnly(const EngineEnvironment& environment) override {
    return Engine::OpenReadOnly(config_, environment);
  }

 private:
  const EngineConfig config_;
};

// Of a lock that is held already, and outlives what is granted here.
class GrantedLocker : public StateLocker {
 public:
  absl::StatusOr<std::unique_ptr<StateLock>> Lock(const std::string&) override { return std::make_unique<StateLock>(); }
};

void Tell(const OnProgress& on_progress, absl::string_view step, absl::string_view detail) {
  if (!on_progress) return;
  v1::Progress progress;
  progress.set_step(std::string(step));
  progress.set_detail(std::string(detail));
  on_progress(progress);
}

// HTTP challenges are no part of an install, and guard themselves.
bool NeedsNoLock(const v1::Command& command) {
  return command.has_describe() || command.has_probe() || command.has_put_http_challenge() ||
         command.has_remove_http_challenge();
}

}  // namespace

std::unique_ptr<EngineSource> MakeEngineSource(EngineConfig config) {
  return std::make_unique<ConfiguredSource>(std::move(config));
}

// The engine goes first, the lock last.
struct OnDemandEngine::Opened {
  std::unique_ptr<StateLock> lock;
  GrantedLocker locker;
  std::unique_ptr<Engine> engine;
};

OnDemandEngine::OnDemandEngine(std::unique_ptr<EngineSource> source, EngineEnvironment environment)
    : source_(std::move(source)), environment_(environment) {
}

v1::Report OnDemandEngine::Handle(const v1::Command& command, const OnProgress& on_progress) {
  return NeedsNoLock(command) ? Look(command, on_progress) : Change(command, on_progress);
}

v1::Report OnDemandEngine::Look(const v1::Command& command, const OnProgress& on_progress) {
  {
    // Puts right what a crash left. Not kept: probing takes its time, and others may want to work.
    absl::MutexLock work(&work_mutex_);
    const auto opened = Open(absl::ZeroDuration(), on_progress);
    if (!opened.ok() && ReasonOf(opened.status()) != Reason::BUSY) return Refuse(command, opened.status());
  }
  const auto engine = source_->OpenReadOnly(environment_);
  return engine.ok() ? (*engine)->Handle(command, on_progress) : Refuse(command, engine.status());
}

v1::Report OnDemandEngine::Change(const v1::Command& command, const OnProgress& on_progress) {
  absl::MutexLock work(&work_mutex_);
  const auto opened = Open(kPatience, on_progress);
  if (!opened.ok()) return Refuse(command, opened.status());
  v1::Report report = (*opened)->engine->Handle(command, on_progress);
  NoteDeadline(*(*opened)->engine);
  return report;
}

absl::StatusOr<Recovery> OnDemandEngine::Recover(absl::Duration patience) {
  absl::MutexLock work(&work_mutex_);
  ASSIGN_OR_RETURN(const std::unique_ptr<Opened> opened, Open(std::max(patience, kLockOutlives), nullptr));
  return opened->engine->Recovered();
}

absl::StatusOr<std::unique_ptr<OnDemandEngine::Opened>> OnDemandEngine::Open(absl::Duration patience,
                                                                             const OnProgress& on_progress) {
  RETURN_IF_ERROR(OpenOrMakeDirectory(*environment_.files, source_->state(), DirectoryAttributes()).status());
  auto opened = std::make_unique<Opened>();
  ASSIGN_OR_RETURN(opened->lock,
                   LockWithin(patience, source_->state(), *environment_.locker, *environment_.clock, [&on_progress] {
                     Tell(on_progress, "lock", "waiting for the install that is under way");
                   }));
  EngineEnvironment environment = environment_;
  environment.locker = &opened->locker;
  ASSIGN_OR_RETURN(opened->engine, source_->Open(environment));
  NoteDeadline(*opened->engine);
  if (const std::string recovered = opened->engine->Recovered().line; !recovered.empty()) {
    Tell(on_progress, "recover", recovered);
  }
  return opened;
}

void OnDemandEngine::NoteDeadline(const Engine& engine) {
  const std::optional<absl::Time> confirm_by = engine.ConfirmBy();
  absl::MutexLock lock(&deadline_mutex_);
  deadline_.reset();
  if (!confirm_by.has_value()) return;
  deadline_ = environment_.clock->Monotonic() + (*confirm_by - environment_.clock->Now());
}

bool OnDemandEngine::IsOverdue() const {
  absl::MutexLock lock(&deadline_mutex_);
  return deadline_.has_value() && environment_.clock->Monotonic() >= *deadline_;
}

std::optional<absl::Time> OnDemandEngine::ConfirmBy() const {
  absl::MutexLock lock(&deadline_mutex_);
  if (!deadline_.has_value()) return std::nullopt;
  return environment_.clock->Now() + (*deadline_ - environment_.clock->Monotonic());
}

absl::Status OnDemandEngine::RevertIfOverdue() {
  if (!IsOverdue()) return absl::OkStatus();
  absl::MutexLock work(&work_mutex_);
  // A command that was under way may have settled it.
  if (!IsOverdue()) return absl::OkStatus();
  const auto opened = Open(absl::ZeroDuration(), nullptr);
  if (ReasonOf(opened.status()) == Reason::BUSY) {
    absl::MutexLock lock(&deadline_mutex_);
    deadline_.reset();
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(opened.status());
  absl::Status reverted = (*opened)->engine->RevertIfOverdue();
  NoteDeadline(*(*opened)->engine);
  return reverted;
}

absl::StatusOr<std::vector<v1::ProbeResult>> OnDemandEngine::TestService(absl::string_view service) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, source_->OpenReadOnly(environment_));
  return engine->TestService(service);
}

absl::Status OnDemandEngine::CheckClock() const {
  const auto engine = source_->OpenReadOnly(environment_);
  return engine.ok() ? (*engine)->CheckClock() : engine.status();
}

absl::Status OnDemandEngine::TrustClock() {
  absl::MutexLock work(&work_mutex_);
  ASSIGN_OR_RETURN(const std::unique_ptr<Opened> opened, Open(kLockOutlives, nullptr));
  return opened->engine->TrustClock();
}

}  // namespace certcast::node
