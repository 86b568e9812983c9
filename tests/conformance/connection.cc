#include "tests/conformance/connection.h"

#include <utility>

namespace certcast::conformance {

void Inbox::Add(v1::Report report) {
  absl::MutexLock lock(&mutex_);
  reports_.push_back(std::move(report));
}

void Inbox::End(absl::Status why) {
  absl::MutexLock lock(&mutex_);
  ended_ = std::move(why);
}

absl::StatusOr<v1::Report> Inbox::Next(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  mutex_.AwaitWithTimeout(absl::Condition(this, &Inbox::HasSomething), timeout);
  if (!reports_.empty()) {
    v1::Report report = std::move(reports_.front());
    reports_.pop_front();
    return report;
  }
  if (!ended_.ok()) return ended_;
  return absl::DeadlineExceededError("the node said nothing for " + absl::FormatDuration(timeout));
}

}  // namespace certcast::conformance
