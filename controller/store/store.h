// The controller's memory, as records behind keys: compare-and-swap and a lease. Nothing here is SQL, so that a
// replicated store can stand behind it later.
#ifndef CERTCAST_CONTROLLER_STORE_STORE_H_
#define CERTCAST_CONTROLLER_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {

struct StoredRecord {
  std::string key;
  std::string value;
  // The store's revision when this was written. 0: absent.
  int64_t revision = 0;
};

// All of it happens or none.
struct Transaction {
  struct Compare {
    std::string key;
    // The record's revision must still be this one; 0: it must be absent.
    int64_t revision = 0;
  };
  struct Write {
    std::string key;
    // nullopt: delete. A record that is absent already stays so.
    std::optional<std::string> value;
  };
  std::vector<Compare> compares;
  // In this order; of two for one key the last one counts.
  std::vector<Write> writes;
  // When not 0: the epoch of the lease under which this is written; the transaction fails when another took it since.
  uint64_t epoch = 0;
};

// What every store refuses with kInvalidArgument: keys that are empty, longer or other than printable ASCII without
// space, larger values, longer transactions.
constexpr size_t kMaxKeySize = 512;
constexpr size_t kMaxValueSize = 1 << 20;
constexpr size_t kMaxTransactionWrites = 200'000;
absl::Status CheckKey(absl::string_view key);
absl::Status CheckTransaction(const Transaction& transaction);
// What stores answer to a transaction that comes too late.
absl::Status CheckEpoch(uint64_t epoch, uint64_t latest);
absl::Status CheckRevision(const Transaction::Compare& compare, int64_t revision);

// The right to change things. Given back when destroyed, or by the operating system when the process dies. Must not
// outlive its store.
class Lease {
 public:
  virtual ~Lease() = default;
  // Grows each time a lease is taken.
  virtual uint64_t epoch() const = 0;
};

// Thread-safe. A committed transaction survives a power loss.
class Store {
 public:
  virtual ~Store() = default;

  // kNotFound when absent.
  virtual absl::StatusOr<StoredRecord> Get(absl::string_view key) = 0;
  // Keys that begin with `prefix` (empty: all), sorted by their bytes. One consistent view.
  virtual absl::StatusOr<std::vector<StoredRecord>> List(absl::string_view prefix) = 0;
  // The new revision: each commit has a higher one than all before. kAborted when a compare does not hold,
  // kFailedPrecondition (STALE_EPOCH) when the epoch is not the latest one: nothing was written then. Of any other
  // error it is not known whether it was written, but never a part of it.
  virtual absl::StatusOr<int64_t> Commit(const Transaction& transaction) = 0;
  // kUnavailable (BUSY), naming the holder (process, verb, since), while another has it. `holder` describes this one,
  // in one line: `certcast apply`. The new epoch is durable before this returns.
  virtual absl::StatusOr<std::unique_ptr<Lease>> TakeLease(absl::string_view holder) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_STORE_H_
