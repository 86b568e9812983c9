// A store in memory, with the semantics of the real one but for its durability.
#ifndef CERTCAST_TESTS_TESTING_MEMORY_STORE_H_
#define CERTCAST_TESTS_TESTING_MEMORY_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "controller/store/store.h"

namespace certcast::testing {

// Thread-safe.
class MemoryStore : public controller::Store {
 public:
  absl::StatusOr<controller::StoredRecord> Get(absl::string_view key) override;
  absl::StatusOr<std::vector<controller::StoredRecord>> List(absl::string_view prefix) override;
  absl::StatusOr<int64_t> Commit(const controller::Transaction& transaction) override;
  absl::StatusOr<std::unique_ptr<controller::Lease>> TakeLease(absl::string_view holder) override;

  // From now on the next `count` commits succeed and the one after them fails with `error`, as do all later ones until
  // this is called again. Nothing of a failed one is written: a crash, or a disk that is full.
  void FailCommitsAfter(int count, absl::Status error);
  // Heals what FailCommitsAfter began.
  void StopFailing();
  // That succeeded.
  int commits() const;

 private:
  class HeldLease;

  mutable absl::Mutex mutex_;
  std::map<std::string, controller::StoredRecord, std::less<>> records_ ABSL_GUARDED_BY(mutex_);
  int64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  // Empty: nobody.
  std::string holder_ ABSL_GUARDED_BY(mutex_);
  int commits_ ABSL_GUARDED_BY(mutex_) = 0;
  int commits_left_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_MEMORY_STORE_H_
