#include "controller/rollout/rollout_progress.h"

namespace certcast::controller {

RolloutProgress::RolloutProgress(const state::v1::Rollout& rollout,
                                 const std::function<void(const Progress&)>& listener)
    : listener_(listener) {
  now_.set_certificate(rollout.certificate());
  now_.set_rollout_id(rollout.id());
  now_.set_waves(rollout.waves_size());
}

void RolloutProgress::Begin(Progress::Phase phase, int wave, int size, int done, int failed) {
  absl::MutexLock lock(&mutex_);
  now_.set_phase(phase);
  now_.set_wave(wave);
  now_.set_size(size);
  now_.set_done(done);
  now_.set_failed(failed);
  now_.clear_text();
  Show();
}

void RolloutProgress::Soak(int wave, absl::string_view text) {
  absl::MutexLock lock(&mutex_);
  now_.set_phase(Progress::SOAKING);
  now_.set_wave(wave);
  now_.set_text(std::string(text));
  Show();
}

void RolloutProgress::NodeBegins(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  at_work_.push_back(name);
  Show();
}

void RolloutProgress::NodeEnds(const std::string& name, bool good) {
  absl::MutexLock lock(&mutex_);
  at_work_.remove(name);
  if (good) {
    now_.set_done(now_.done() + 1);
  } else {
    now_.set_failed(now_.failed() + 1);
  }
  Show();
}

void RolloutProgress::NodeReturns(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  at_work_.remove(name);
  Show();
}

void RolloutProgress::Note(absl::string_view text) {
  absl::MutexLock lock(&mutex_);
  Progress note = now_;
  note.set_phase(Progress::NOTE);
  note.set_text(std::string(text));
  if (listener_ != nullptr) listener_(note);
}

void RolloutProgress::Show() {
  constexpr int kSlowest = 3;
  now_.set_in_flight(static_cast<int>(at_work_.size()));
  now_.clear_slowest();
  for (const std::string& name : at_work_) {
    if (now_.slowest_size() == kSlowest) break;
    now_.add_slowest(name);
  }
  if (listener_ != nullptr) listener_(now_);
}

}  // namespace certcast::controller
