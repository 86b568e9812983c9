// A prober that sees what the test says.
#ifndef CERTCAST_TESTS_TESTING_FAKE_PROBER_H_
#define CERTCAST_TESTS_TESTING_FAKE_PROBER_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/probe/probe.h"

namespace certcast::testing {

// Thread-safe. A probe that the test said nothing about is refused.
class FakeProber final : public Prober {
 public:
  using View = std::function<Observation(const ProbeSpec&)>;

  static Observation Serves(absl::string_view sha256);
  static Observation Fails(absl::string_view detail);

  // What probes with this ProbeSpec::Describe() see from now on: one after the other, the last one for ever.
  void On(absl::string_view probe, std::vector<Observation> observations);
  // A View runs without any lock held.
  void On(absl::string_view probe, View view);
  // For every probe that On doesn't name.
  void Otherwise(View view);

  Observation Look(const ProbeSpec& spec, absl::Duration timeout) override;

  // Describe() of every look, in order.
  std::vector<std::string> looks() const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, View> views_ ABSL_GUARDED_BY(mutex_);
  View otherwise_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> looks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_PROBER_H_
