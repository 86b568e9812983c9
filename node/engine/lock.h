// One process at a time works on a state directory.
#ifndef CERTCAST_NODE_ENGINE_LOCK_H_
#define CERTCAST_NODE_ENGINE_LOCK_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"

namespace certcast::node {

// Held as long as it lives; the kernel lets go of it when the process ends, however it ends, or an instant later: see
// kLockOutlives.
class StateLock {
 public:
  virtual ~StateLock() = default;
};

// Thread-safe.
class StateLocker {
 public:
  virtual ~StateLocker() = default;
  // The lock of `state`, a directory that is there. BUSY when somebody holds it; never waits.
  virtual absl::StatusOr<std::unique_ptr<StateLock>> Lock(const std::string& state) = 0;

  // flock(2) on <state>/lock; lives for ever.
  static StateLocker& Real();
};

// A process that is killed as it starts a program leaves its lock to that one until it has begun (vfork(2), execve(2)).
inline constexpr absl::Duration kLockOutlives = absl::Seconds(1);

// StateLocker::Lock, tried again for so long while it is BUSY. `on_wait` is called before the first wait; may be empty.
absl::StatusOr<std::unique_ptr<StateLock>> LockWithin(absl::Duration patience, const std::string& state,
                                                      StateLocker& locker, Clock& clock,
                                                      const std::function<void()>& on_wait = {});

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_LOCK_H_
