// An engine that does what a test tells it, for front ends.
#ifndef CERTCAST_TESTS_TESTING_FAKE_ENGINE_H_
#define CERTCAST_TESTS_TESTING_FAKE_ENGINE_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status.h"
#include "node/engine/engine.h"

namespace certcast::testing {

// Thread-safe.
class FakeEngine final : public node::Engine {
 public:
  // What it does with a command; may wait. The command's id is set in the report afterwards.
  using OnHandle = std::function<v1::Report(const v1::Command&, const OnProgress&)>;

  // By default: an Inventory with the node's name "fake".
  explicit FakeEngine(OnHandle on_handle = nullptr) : on_handle_(std::move(on_handle)) {}

  v1::Report Handle(const v1::Command& command, const OnProgress& on_progress) override {
    {
      absl::MutexLock lock(&mutex_);
      commands_.push_back(command.id());
    }
    v1::Report report;
    report.mutable_inventory()->set_node("fake");
    if (on_handle_) report = on_handle_(command, on_progress);
    report.set_command_id(command.id());
    return report;
  }

  std::optional<absl::Time> ConfirmBy() const override {
    absl::MutexLock lock(&mutex_);
    return confirm_by_;
  }
  absl::Status RevertIfOverdue() override {
    absl::MutexLock lock(&mutex_);
    ++reverts_;
    if (revert_result_.ok()) confirm_by_ = std::nullopt;
    return revert_result_;
  }
  absl::StatusOr<std::vector<v1::ProbeResult>> TestService(absl::string_view) override {
    return std::vector<v1::ProbeResult>();
  }

  // Something waits for Confirm until then; a RevertIfOverdue that succeeds ends it.
  void SetConfirmBy(std::optional<absl::Time> confirm_by) {
    absl::MutexLock lock(&mutex_);
    confirm_by_ = confirm_by;
  }
  void SetRevertResult(absl::Status result) {
    absl::MutexLock lock(&mutex_);
    revert_result_ = std::move(result);
  }
  // Waits until RevertIfOverdue was called so often.
  void AwaitReverts(int count) {
    absl::MutexLock lock(&mutex_);
    auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return reverts_ >= count; };
    mutex_.Await(absl::Condition(&enough));
  }

  int reverts() const {
    absl::MutexLock lock(&mutex_);
    return reverts_;
  }
  // Ids, in the order they came.
  std::vector<std::string> commands() const {
    absl::MutexLock lock(&mutex_);
    return commands_;
  }

 private:
  const OnHandle on_handle_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> commands_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Time> confirm_by_ ABSL_GUARDED_BY(mutex_);
  absl::Status revert_result_ ABSL_GUARDED_BY(mutex_);
  int reverts_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FAKE_ENGINE_H_
