#include "controller/rollout/rollout_progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace certcast::controller {
namespace {

std::string SayHowItEnded(const v1::Rollout::Node& result) {
  std::string text = absl::StrCat(result.name(), ": ", v1::Outcome::Code_Name(result.outcome()), " ",
                                  v1::Reason::Code_Name(result.reason()));
  if (!result.step().empty()) absl::StrAppend(&text, " at ", result.step());
  if (!result.detail().empty()) absl::StrAppend(&text, ": ", result.detail());
  if (!result.hint().empty()) absl::StrAppend(&text, " (", result.hint(), ")");
  return text;
}

}  // namespace

RolloutProgress::RolloutProgress(const state::v1::Rollout& rollout,
                                 const std::function<void(const Progress&)>& listener, Clock& clock)
    : listener_(listener), clock_(clock) {
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
  now_.clear_failing();
  failing_.Clear();
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
  at_work_.emplace_back(name, clock_.Monotonic());
  Show();
}

void RolloutProgress::NodeEnds(const std::string& name, bool good) {
  absl::MutexLock lock(&mutex_);
  const auto place = std::find_if(at_work_.begin(), at_work_.end(), [&](const auto& one) { return one.first == name; });
  if (place != at_work_.end()) at_work_.erase(place);
  if (good) {
    now_.set_done(now_.done() + 1);
  } else {
    now_.set_failed(now_.failed() + 1);
    failing_.Add(name);
    now_.mutable_failing()->Assign(failing_.get().begin(), failing_.get().end());
  }
  Show();
}

void RolloutProgress::NodeReturns(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  at_work_.remove_if([&](const auto& one) { return one.first == name; });
  Show();
}

void RolloutProgress::Note(absl::string_view text) {
  absl::MutexLock lock(&mutex_);
  Tell(text);
}

void RolloutProgress::NoteNode(const v1::Rollout::Node& result) {
  absl::MutexLock lock(&mutex_);
  if (nodes_noted_ > FirstNames::kMost) return;
  Tell(nodes_noted_++ < FirstNames::kMost
           ? SayHowItEnded(result)
           : "more nodes fail: each wave ends with the first by name, and the result has all");
}

void RolloutProgress::Tell(absl::string_view text) {
  Progress note = now_;
  note.set_phase(Progress::NOTE);
  note.set_text(std::string(text));
  if (listener_ != nullptr) listener_(note);
}

void RolloutProgress::Show() {
  constexpr int kSlowest = 3;
  now_.set_in_flight(static_cast<int>(at_work_.size()));
  now_.clear_slowest();
  now_.clear_slowest_ms();
  const absl::Duration now = clock_.Monotonic();
  for (const auto& [name, since] : at_work_) {
    if (now_.slowest_size() == kSlowest) break;
    now_.add_slowest(name);
    now_.add_slowest_ms(absl::ToInt64Milliseconds(now - since));
  }
  if (listener_ != nullptr) listener_(now_);
}

}  // namespace certcast::controller
