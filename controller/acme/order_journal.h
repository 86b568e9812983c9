// The record of one certificate's order, written before each step that the CA or the DNS would remember.
#ifndef CERTCAST_CONTROLLER_ACME_ORDER_JOURNAL_H_
#define CERTCAST_CONTROLLER_ACME_ORDER_JOURNAL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "common/x509/private_key.h"
#include "controller/store/records.h"

namespace certcast::controller {

// What each call changed is durable when it returns OK; on an error the record in memory is as before.
// Thread-compatible.
class OrderJournal {
 public:
  // Empty when there is no record.
  static absl::StatusOr<OrderJournal> Load(Store& store, const std::string& certificate, uint64_t epoch);

  const state::v1::Order& record() const { return record_; }
  bool has_order() const { return !record_.order_url().empty(); }
  bool finalizing() const { return record_.step() == state::v1::Order::FINALIZING; }

  // An order was made at the CA. What was presented before stays.
  absl::Status Begin(const state::v1::Order& order);
  // Key and CSR are set: finalize may be sent.
  absl::Status BeginFinalize(const state::v1::Sealed& private_key, KeyType key_type, const std::string& csr);
  // These alone are there, or about to be.
  absl::Status KeepPresented(const std::vector<state::v1::PresentedChallenge>& challenges);
  // Forgets the order, with its key. What was presented stays.
  absl::Status Drop();
  // Adds the generation and forgets the order, in one transaction unless something presented is left.
  absl::Status Finish(const state::v1::Generation& generation);

 private:
  OrderJournal(Store& store, uint64_t epoch, state::v1::Order record)
      : store_(&store), epoch_(epoch), record_(std::move(record)) {}
  absl::Status Save(state::v1::Order record);

  Store* store_;
  uint64_t epoch_;
  state::v1::Order record_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ORDER_JOURNAL_H_
