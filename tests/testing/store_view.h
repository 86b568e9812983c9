// A store that is opened anew by each call of a controller, as the real one is; what is in it stays.
#ifndef CERTCAST_TESTS_TESTING_STORE_VIEW_H_
#define CERTCAST_TESTS_TESTING_STORE_VIEW_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controller/store/store.h"
#include "tests/testing/memory_store.h"

namespace certcast::testing {

// `store` outlives it.
class StoreView : public controller::Store {
 public:
  explicit StoreView(MemoryStore& store) : store_(store) {}
  absl::StatusOr<controller::StoredRecord> Get(absl::string_view key) override { return store_.Get(key); }
  absl::StatusOr<std::vector<controller::StoredRecord>> List(absl::string_view prefix) override {
    return store_.List(prefix);
  }
  absl::StatusOr<int64_t> Commit(const controller::Transaction& transaction) override {
    return store_.Commit(transaction);
  }
  absl::StatusOr<std::unique_ptr<controller::Lease>> TakeLease(absl::string_view holder) override {
    return store_.TakeLease(holder);
  }

 private:
  MemoryStore& store_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_STORE_VIEW_H_
