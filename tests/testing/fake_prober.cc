#include "tests/testing/fake_prober.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

namespace certcast::testing {

Observation FakeProber::Serves(absl::string_view sha256) {
  return {.served_sha256 = std::string(sha256), .ok = true, .detail = ""};
}

Observation FakeProber::Fails(absl::string_view detail) {
  return {.served_sha256 = "", .ok = false, .detail = std::string(detail)};
}

void FakeProber::On(absl::string_view probe, std::vector<Observation> observations) {
  On(probe,
     [observations = std::move(observations),
      next = std::make_shared<std::atomic<size_t>>(0)](const ProbeSpec&) -> Observation {
       if (observations.empty()) return Fails("connection refused");
       return observations[std::min(next->fetch_add(1), observations.size() - 1)];
     });
}

void FakeProber::On(absl::string_view probe, View view) {
  const absl::MutexLock lock(&mutex_);
  views_[std::string(probe)] = std::move(view);
}

void FakeProber::Otherwise(View view) {
  const absl::MutexLock lock(&mutex_);
  otherwise_ = std::move(view);
}

Observation FakeProber::Look(const ProbeSpec& spec, absl::Duration) {
  View view;
  {
    const absl::MutexLock lock(&mutex_);
    looks_.push_back(spec.Describe());
    const auto found = views_.find(looks_.back());
    view = found == views_.end() ? otherwise_ : found->second;
  }
  return view ? view(spec) : Fails("connection refused");
}

std::vector<std::string> FakeProber::looks() const {
  const absl::MutexLock lock(&mutex_);
  return looks_;
}

}  // namespace certcast::testing
