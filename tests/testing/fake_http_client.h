// HTTPS without a network: a function answers, and a test says which exchanges get lost.
#ifndef CERTCAST_TESTS_TESTING_FAKE_HTTP_CLIENT_H_
#define CERTCAST_TESTS_TESTING_FAKE_HTTP_CLIENT_H_

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/acme/http_client.h"
#include "tests/testing/fake_clock.h"

namespace certcast::testing {

// Thread-safe if the handler is.
class FakeHttpClient final : public controller::HttpClient {
 public:
  using Handler = std::function<controller::HttpResponse(const controller::HttpRequest&)>;
  // kRequestLost: the server never saw it. kAnswerLost: it did, and the answer did not arrive.
  enum class Fault { kRequestLost, kAnswerLost };

  explicit FakeHttpClient(Handler handler) : handler_(std::move(handler)) {}

  // The exchange of that number (from 1, counted from the start) fails so with `error`.
  void FailAt(int exchange, Fault fault, absl::Status error) {
    const absl::MutexLock lock(&mutex_);
    faults_[exchange] = {fault, std::move(error)};
  }

  // From now on each request whose URL has `part` in it is lost with `error`; none is any more once that is OK.
  void LoseAll(std::string part, absl::Status error) {
    const absl::MutexLock lock(&mutex_);
    lost_ = {std::move(part), std::move(error)};
  }

  // From now on the server, which acts at once, takes so long to answer a request whose URL has `part` in it. Who does
  // not wait as long gets TIMED_OUT, after its own timeout.
  void AnswerLate(std::string part, absl::Duration after, FakeClock& clock) {
    const absl::MutexLock lock(&mutex_);
    late_ = {.part = std::move(part), .after = after, .clock = &clock};
  }

  // Called with each exchange's number, before anything else; an error is what the caller gets.
  void set_gate(std::function<absl::Status(int)> gate) {
    const absl::MutexLock lock(&mutex_);
    gate_ = std::move(gate);
  }

  absl::StatusOr<controller::HttpResponse> Perform(const controller::HttpRequest& request) override {
    std::pair<Fault, absl::Status> fault;
    Late late;
    {
      const absl::MutexLock lock(&mutex_);
      requests_.push_back(request);
      const int exchange = static_cast<int>(requests_.size());
      if (gate_) RETURN_IF_ERROR(gate_(exchange));
      if (const auto it = faults_.find(exchange); it != faults_.end()) fault = it->second;
      if (!lost_.second.ok() && absl::StrContains(request.url, lost_.first)) return lost_.second;
      if (late_.clock != nullptr && absl::StrContains(request.url, late_.part)) late = late_;
    }
    if (!fault.second.ok() && fault.first == Fault::kRequestLost) return fault.second;
    controller::HttpResponse response = handler_(request);
    if (!fault.second.ok()) return fault.second;
    if (late.clock == nullptr) return response;
    late.clock->Advance(std::min(late.after, request.timeout));
    if (late.after > request.timeout) return Fail(Reason::TIMED_OUT, "the server has not answered in time");
    return response;
  }

  // All of them, in order, the lost ones too.
  std::vector<controller::HttpRequest> requests() const {
    const absl::MutexLock lock(&mutex_);
    return requests_;
  }
  int exchanges() const { return static_cast<int>(requests().size()); }

 private:
  struct Late {
    std::string part;
    absl::Duration after;
    FakeClock* clock = nullptr;
  };

  const Handler handler_;
  mutable absl::Mutex mutex_;
  std::map<int, std::pair<Fault, absl::Status>> faults_ ABSL_GUARDED_BY(mutex_);
  std::pair<std::string, absl::Status> lost_ ABSL_GUARDED_BY(mutex_);
  Late late_ ABSL_GUARDED_BY(mutex_);
  std::function<absl::Status(int)> gate_ ABSL_GUARDED_BY(mutex_);
  std::vector<controller::HttpRequest> requests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_HTTP_CLIENT_H_
