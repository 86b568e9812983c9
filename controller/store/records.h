// The store's records as their messages: certcast/state/v1/store.proto says which key each has.
//
// Where nothing else is said:
//   - what is absent is nullopt, not an error;
//   - `epoch` is that of the lease under which the caller writes (0: outside of any); writing fails with
//     kFailedPrecondition (STALE_EPOCH) after another process took the lease;
//   - names become parts of keys: one that can't is kInvalidArgument;
//   - a record that does not parse is STORAGE_FAILED, with its key.
// All classes are thread-safe and hold nothing but the store, which must outlive them.
#ifndef CERTCAST_CONTROLLER_STORE_RECORDS_H_
#define CERTCAST_CONTROLLER_STORE_RECORDS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/store/store.h"

namespace certcast::controller {

// certificates/<name>/generations/<n>. Generations are never removed, so a number is never used twice.
class GenerationRecords {
 public:
  explicit GenerationRecords(Store& store) : store_(store) {}

  // What the next one must be numbered: the key is sealed with its number, so it is asked for first. 1 for the first.
  absl::StatusOr<uint64_t> NextNumber(absl::string_view certificate);
  // Whether a pending order of the certificate ends in the same transaction, so that a crash can't leave both.
  enum class PendingOrder { kKeep, kRemove };
  // Adds `generation`, whose number must be NextNumber's; kAborted when another was added since.
  absl::Status Append(const state::v1::Generation& generation, PendingOrder order, uint64_t epoch);
  // The CA is about to be asked to revoke it. kNotFound when there is no such generation. A later reason wins; nothing
  // is changed once it is revoked.
  absl::Status BeginRevocation(absl::string_view certificate, uint64_t number, int reason, absl::Time at,
                               uint64_t epoch);
  // The CA did not, for sure.
  absl::Status CancelRevocation(absl::string_view certificate, uint64_t number, uint64_t epoch);
  // Sets revoked_at. kNotFound when there is no such generation. Idempotent: the first date stays.
  absl::Status MarkRevoked(absl::string_view certificate, uint64_t number, absl::Time at, uint64_t epoch);

  absl::StatusOr<std::optional<state::v1::Generation>> Get(absl::string_view certificate, uint64_t number);
  // The latest: the one that nodes should have, unless MayBeRevoked.
  absl::StatusOr<std::optional<state::v1::Generation>> Wanted(absl::string_view certificate);
  // Lowest number first.
  absl::StatusOr<std::vector<state::v1::Generation>> List(absl::string_view certificate);

 private:
  absl::Status ChangeUnrevoked(absl::string_view certificate, uint64_t number, uint64_t epoch,
                               const std::function<void(state::v1::Generation&)>& change);

  Store& store_;
};

// It is revoked, or the CA was asked to and may have: no node may be given it, nor be sent back to it.
bool MayBeRevoked(const state::v1::Generation& generation);

// certificates/<name>/order
class OrderRecords {
 public:
  explicit OrderRecords(Store& store) : store_(store) {}
  absl::StatusOr<std::optional<state::v1::Order>> Get(absl::string_view certificate);
  absl::Status Put(const state::v1::Order& order, uint64_t epoch);
  // OK when there is none.
  absl::Status Delete(absl::string_view certificate, uint64_t epoch);
  // Adds to `transaction` what forgets a pending order, but for the challenge records that were presented.
  absl::Status AddForget(absl::string_view certificate, Transaction& transaction);

 private:
  Store& store_;
};

// accounts/<key>
class AccountRecords {
 public:
  explicit AccountRecords(Store& store) : store_(store) {}
  // SHA-256 of directory URL, line feed, EAB key id, in lower-case hex: the same CA with another EAB is another
  // account.
  static std::string Key(absl::string_view directory_url, absl::string_view external_account_key_id);

  absl::StatusOr<std::optional<state::v1::Account>> Get(absl::string_view account_key);
  absl::StatusOr<std::vector<state::v1::Account>> List();
  // Under the key that follows from its directory_url and external_account_key_id.
  absl::Status Put(const state::v1::Account& account, uint64_t epoch);

 private:
  Store& store_;
};

// nodes/<name>
class NodeRecords {
 public:
  explicit NodeRecords(Store& store) : store_(store) {}
  absl::StatusOr<std::optional<state::v1::Node>> Get(absl::string_view name);
  // By name.
  absl::StatusOr<std::vector<state::v1::Node>> List();
  // Reads each of them (a new record with its name where there is none), lets `change` change it and writes all in one
  // transaction; once more when another wrote one in between, so `change` may run several times. kAborted when that
  // goes on.
  absl::Status Update(const std::vector<std::string>& names, uint64_t epoch,
                      const std::function<void(state::v1::Node&)>& change);
  // OK when there is none.
  absl::Status Delete(absl::string_view name, uint64_t epoch);

 private:
  Store& store_;
};

// renewal-info/<certificate>
class RenewalInfoRecords {
 public:
  explicit RenewalInfoRecords(Store& store) : store_(store) {}
  absl::StatusOr<std::optional<state::v1::RenewalInfo>> Get(absl::string_view certificate);
  absl::Status Put(const state::v1::RenewalInfo& info, uint64_t epoch);

 private:
  Store& store_;
};

// schedule/<certificate>
class ScheduleRecords {
 public:
  explicit ScheduleRecords(Store& store) : store_(store) {}
  absl::StatusOr<std::optional<state::v1::Schedule>> Get(absl::string_view certificate);
  absl::Status Put(absl::string_view certificate, const state::v1::Schedule& schedule, uint64_t epoch);
  // OK when there is none.
  absl::Status Delete(absl::string_view certificate, uint64_t epoch);

 private:
  Store& store_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_RECORDS_H_
