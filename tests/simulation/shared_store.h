// The store that all controllers of a run share, with a lease that can be taken from one that does not know it.
#ifndef CERTCAST_TESTS_SIMULATION_SHARED_STORE_H_
#define CERTCAST_TESTS_SIMULATION_SHARED_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/store/store.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/scheduler.h"
#include "tests/testing/memory_store.h"

namespace certcast::simulation {

class SharedStore {
 public:
  SharedStore(Scheduler& scheduler, uint64_t seed) : scheduler_(scheduler), dice_(seed, 101) {}

  // Told of each transaction once it is written, and of each lease that is taken.
  void Watch(std::function<void(const controller::Transaction&)> on_commit, std::function<void(uint64_t)> on_lease) {
    on_commit_ = std::move(on_commit);
    on_lease_ = std::move(on_lease);
  }
  // A store that is broken on purpose: writes this instead.
  void Alter(std::function<void(controller::Transaction&)> alter) { alter_ = std::move(alter); }

  // As one process has it open. What a dead one does has no effect.
  std::unique_ptr<controller::Store> Open(ProcessPtr process);

  // The process is dead, or its lease is over though it does not know: the next one may take it.
  void Release(const Process& process);
  // Commits take so long from now on.
  void SetCommitTime(absl::Duration longest) { longest_commit_ = longest; }
  // From now on commits fail as on a full disk, or (OK) do not.
  void SetFailure(absl::Status failure) { failure_ = std::move(failure); }

  // Without time or faults.
  testing::MemoryStore& records() { return records_; }
  bool IsHeldBy(const Process& process) const { return lease_ != nullptr && holder_ == &process; }
  bool is_held() const { return lease_ != nullptr; }

 private:
  friend class StoreOfProcess;
  class HeldLease;

  Scheduler& scheduler_;
  Dice dice_;
  testing::MemoryStore records_;
  std::function<void(const controller::Transaction&)> on_commit_;
  std::function<void(uint64_t)> on_lease_;
  std::function<void(controller::Transaction&)> alter_;
  absl::Duration longest_commit_ = absl::Milliseconds(5);
  absl::Status failure_;
  // Who has the lease. The lease itself is here, so that it can be taken away.
  const Process* holder_ = nullptr;
  std::unique_ptr<controller::Lease> lease_;
};

}  // namespace certcast::simulation

#endif  // CERTCAST_TESTS_SIMULATION_SHARED_STORE_H_
