// A store that counts what is committed to it.
#ifndef CERTCAST_TESTS_BENCH_COUNTING_STORE_H_
#define CERTCAST_TESTS_BENCH_COUNTING_STORE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "controller/store/store.h"

namespace certcast::bench {

struct StoreCost {
  std::atomic<int64_t> commits{0};
  std::atomic<int64_t> writes{0};
  // Of keys and values.
  std::atomic<int64_t> bytes{0};
  // From call to return; of commits that wait for each other all of it counts.
  std::atomic<int64_t> nanoseconds{0};
};

// As the store behind it. `cost` outlives it.
class CountingStore final : public controller::Store {
 public:
  CountingStore(std::unique_ptr<controller::Store> store, StoreCost& cost) : store_(std::move(store)), cost_(cost) {}

  absl::StatusOr<controller::StoredRecord> Get(absl::string_view key) override { return store_->Get(key); }
  absl::StatusOr<std::vector<controller::StoredRecord>> List(absl::string_view prefix) override {
    return store_->List(prefix);
  }
  absl::StatusOr<int64_t> Commit(const controller::Transaction& transaction) override {
    const absl::Time start = absl::Now();
    absl::StatusOr<int64_t> revision = store_->Commit(transaction);
    cost_.nanoseconds += absl::ToInt64Nanoseconds(absl::Now() - start);
    ++cost_.commits;
    for (const controller::Transaction::Write& write : transaction.writes) {
      ++cost_.writes;
      cost_.bytes += static_cast<int64_t>(write.key.size() + (write.value.has_value() ? write.value->size() : 0));
    }
    return revision;
  }
  absl::StatusOr<std::unique_ptr<controller::Lease>> TakeLease(absl::string_view holder) override {
    return store_->TakeLease(holder);
  }

 private:
  const std::unique_ptr<controller::Store> store_;
  StoreCost& cost_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_COUNTING_STORE_H_
