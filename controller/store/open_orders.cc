#include "controller/store/open_orders.h"

#include "absl/strings/match.h"
#include "common/status/status.h"
#include "controller/store/record_io.h"

namespace certcast::controller {

absl::StatusOr<std::vector<state::v1::Order>> ListOpenOrders(Store& store) {
  ASSIGN_OR_RETURN(const std::vector<StoredRecord> records, store.List("certificates/"));
  std::vector<state::v1::Order> orders;
  for (const StoredRecord& record : records) {
    if (absl::EndsWith(record.key, "/order")) RETURN_IF_ERROR(ParseRecord(record, orders.emplace_back()));
  }
  return orders;
}

}  // namespace certcast::controller
