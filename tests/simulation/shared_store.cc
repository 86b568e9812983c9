#include "tests/simulation/shared_store.h"

#include <utility>

#include "absl/strings/match.h"
#include "common/status/status.h"

namespace certcast::simulation {

using controller::Lease;
using controller::Store;
using controller::StoredRecord;
using controller::Transaction;

namespace {

absl::Status Dead() {
  return Fail(Reason::STORAGE_FAILED, "the process is dead");
}

}  // namespace

class SharedStore::HeldLease final : public Lease {
 public:
  HeldLease(SharedStore& store, ProcessPtr process, uint64_t epoch)
      : store_(store), process_(std::move(process)), epoch_(epoch) {}
  ~HeldLease() override {
    if (store_.lease_ != nullptr && store_.lease_->epoch() == epoch_) store_.Release(*process_);
  }
  uint64_t epoch() const override { return epoch_; }

 private:
  SharedStore& store_;
  const ProcessPtr process_;
  const uint64_t epoch_;
};

class StoreOfProcess final : public Store {
 public:
  StoreOfProcess(SharedStore& store, ProcessPtr process) : store_(store), process_(std::move(process)) {}

  absl::StatusOr<StoredRecord> Get(absl::string_view key) override {
    Look(key);
    if (!process_->is_alive()) return Dead();
    return store_.records_.Get(key);
  }
  absl::StatusOr<std::vector<StoredRecord>> List(absl::string_view prefix) override {
    Look(prefix);
    if (!process_->is_alive()) return Dead();
    return store_.records_.List(prefix);
  }
  // The process may die before it is written, or once it is and nobody was told.
  absl::StatusOr<int64_t> Commit(const Transaction& transaction) override {
    Pass();
    if (!process_->is_alive()) return Dead();
    RETURN_IF_ERROR(store_.failure_);
    Transaction written = transaction;
    if (store_.alter_) store_.alter_(written);
    ASSIGN_OR_RETURN(const int64_t revision, store_.records_.Commit(written));
    if (store_.on_commit_) store_.on_commit_(transaction.epoch == written.epoch ? written : transaction);
    Pass();
    if (!process_->is_alive()) return Dead();
    return revision;
  }
  absl::StatusOr<std::unique_ptr<Lease>> TakeLease(absl::string_view holder) override {
    Pass();
    if (!process_->is_alive()) return Dead();
    ASSIGN_OR_RETURN(store_.lease_, store_.records_.TakeLease(holder));
    store_.holder_ = process_.get();
    if (store_.on_lease_) store_.on_lease_(store_.lease_->epoch());
    return std::make_unique<SharedStore::HeldLease>(store_, process_, store_.lease_->epoch());
  }

 private:
  // Between two reads somebody else may have written. Only those where no lock is held (scheduler.h).
  void Look(absl::string_view key) {
    if (!absl::StartsWith(key, "rollout")) return;
    if (store_.dice_.OneIn(4))
      store_.scheduler_.Sleep(store_.dice_.Between(absl::Microseconds(5), absl::Milliseconds(1)));
  }
  void Pass() { store_.scheduler_.Sleep(store_.dice_.Between(absl::Microseconds(50), store_.longest_commit_) / 2); }

  SharedStore& store_;
  const ProcessPtr process_;
};

std::unique_ptr<Store> SharedStore::Open(ProcessPtr process) {
  return std::make_unique<StoreOfProcess>(*this, std::move(process));
}

void SharedStore::Release(const Process& process) {
  if (holder_ != &process) return;
  holder_ = nullptr;
  lease_.reset();
}

}  // namespace certcast::simulation
