// An engine for processes of which several may work on one node: each connection over SSH starts one of its own, and
// one whose connection broke is still at work when the next begins.
//
// The state's lock is held only while something is done. So whoever comes next can confirm or revert what an earlier
// connection left waiting; each command reads the journal first, and ends what a crash left. Whoever opened the engine
// while something waited for Confirm remembers until when, and goes back then, unless another process is at work.
#ifndef CERTCAST_NODE_HOSTED_ON_DEMAND_ENGINE_H_
#define CERTCAST_NODE_HOSTED_ON_DEMAND_ENGINE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "node/engine/engine.h"

namespace certcast::node {

// What the engine is made of.
class EngineSource {
 public:
  virtual ~EngineSource() = default;
  // Absolute.
  virtual const std::string& state() const = 0;
  // Under the state's lock, which `environment.locker` grants once more; the state directory is there.
  virtual absl::StatusOr<std::unique_ptr<Engine>> Open(const EngineEnvironment& environment) = 0;
  virtual absl::StatusOr<std::unique_ptr<Engine>> OpenReadOnly(const EngineEnvironment& environment) = 0;
};

// Of a configuration that stays.
std::unique_ptr<EngineSource> MakeEngineSource(EngineConfig config);

// Thread-safe.
class OnDemandEngine : public Engine {
 public:
  // A command that changes something waits so long for another process that is at work, then gets BUSY.
  static constexpr absl::Duration kPatience = absl::Seconds(60);

  OnDemandEngine(std::unique_ptr<EngineSource> source, EngineEnvironment environment);

  // Describe and Probe never wait: beside another process at work they say what is on the disk now. What was recovered
  // before the command, and that it waits, is told as Progress.
  v1::Report Handle(const v1::Command& command, const OnProgress& on_progress) override;
  // Now, and says what was done. BUSY where another process is at work for longer than `patience` (kLockOutlives at
  // least).
  absl::StatusOr<Recovery> Recover(absl::Duration patience = absl::ZeroDuration());
  std::optional<absl::Time> ConfirmBy() const override;
  // Leaves it to another process that is at work.
  absl::Status RevertIfOverdue() override;
  absl::StatusOr<std::vector<v1::ProbeResult>> TestService(absl::string_view service) override;
  absl::Status CheckClock() const override;
  // BUSY while another process is at work (kLockOutlives).
  absl::Status TrustClock() override;

 private:
  struct Opened;

  // BUSY at once where `patience` is zero.
  absl::StatusOr<std::unique_ptr<Opened>> Open(absl::Duration patience, const OnProgress& on_progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(work_mutex_);
  v1::Report Look(const v1::Command& command, const OnProgress& on_progress);
  v1::Report Change(const v1::Command& command, const OnProgress& on_progress);
  void NoteDeadline(const Engine& engine);
  bool IsOverdue() const;

  const std::unique_ptr<EngineSource> source_;
  const EngineEnvironment environment_;
  // Held by who has the state's lock in this process.
  absl::Mutex work_mutex_;
  mutable absl::Mutex deadline_mutex_ ABSL_ACQUIRED_AFTER(work_mutex_);
  // By the monotonic clock; unset: nothing waits, or it is another process's.
  std::optional<absl::Duration> deadline_ ABSL_GUARDED_BY(deadline_mutex_);
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_HOSTED_ON_DEMAND_ENGINE_H_
