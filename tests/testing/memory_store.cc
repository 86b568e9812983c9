#include "tests/testing/memory_store.h"

#include <functional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::testing {

using controller::StoredRecord;
using controller::Transaction;

class MemoryStore::HeldLease : public controller::Lease {
 public:
  HeldLease(MemoryStore& store, uint64_t epoch) : store_(store), epoch_(epoch) {}
  ~HeldLease() override {
    absl::MutexLock lock(&store_.mutex_);
    store_.holder_.clear();
  }
  uint64_t epoch() const override { return epoch_; }

 private:
  MemoryStore& store_;
  const uint64_t epoch_;
};

absl::StatusOr<StoredRecord> MemoryStore::Get(absl::string_view key) {
  RETURN_IF_ERROR(controller::CheckKey(key));
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(key);
  if (found == records_.end()) return absl::NotFoundError(absl::StrCat("no record ", key));
  return found->second;
}

absl::StatusOr<std::vector<StoredRecord>> MemoryStore::List(absl::string_view prefix) {
  if (!prefix.empty()) RETURN_IF_ERROR(controller::CheckKey(prefix));
  absl::MutexLock lock(&mutex_);
  std::vector<StoredRecord> found;
  for (auto at = records_.lower_bound(prefix); at != records_.end() && absl::StartsWith(at->first, prefix); ++at) {
    found.push_back(at->second);
  }
  return found;
}

absl::StatusOr<int64_t> MemoryStore::Commit(const Transaction& transaction) {
  RETURN_IF_ERROR(controller::CheckTransaction(transaction));
  absl::MutexLock lock(&mutex_);
  if (!failure_.ok() && commits_left_-- <= 0) return failure_;
  if (transaction.epoch != 0) RETURN_IF_ERROR(controller::CheckEpoch(transaction.epoch, epoch_));
  for (const Transaction::Compare& compare : transaction.compares) {
    const auto found = records_.find(compare.key);
    RETURN_IF_ERROR(controller::CheckRevision(compare, found == records_.end() ? 0 : found->second.revision));
  }
  ++revision_;
  ++commits_;
  for (const Transaction::Write& write : transaction.writes) {
    if (write.value.has_value()) {
      records_[write.key] = {write.key, *write.value, revision_};
    } else {
      records_.erase(write.key);
    }
  }
  return revision_;
}

absl::StatusOr<std::unique_ptr<controller::Lease>> MemoryStore::TakeLease(absl::string_view holder) {
  absl::MutexLock lock(&mutex_);
  if (!holder_.empty()) return Fail(Reason::BUSY, absl::StrCat("in use by ", holder_));
  holder_ = absl::StrCat(holder, " (this process)");
  return std::make_unique<HeldLease>(*this, ++epoch_);
}

void MemoryStore::FailCommitsAfter(int count, absl::Status error) {
  absl::MutexLock lock(&mutex_);
  commits_left_ = count;
  failure_ = std::move(error);
}

void MemoryStore::StopFailing() {
  absl::MutexLock lock(&mutex_);
  failure_ = absl::OkStatus();
}

int MemoryStore::commits() const {
  absl::MutexLock lock(&mutex_);
  return commits_;
}

}  // namespace certcast::testing
