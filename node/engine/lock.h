// One process at a time works on a state directory.
#ifndef CERTCAST_NODE_ENGINE_LOCK_H_
#define CERTCAST_NODE_ENGINE_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace certcast::node {

// Held as long as it lives; the kernel lets go of it when the process ends, however it ends.
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

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_LOCK_H_
