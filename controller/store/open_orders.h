// Orders of all certificates, configured or not.
#ifndef CERTCAST_CONTROLLER_STORE_OPEN_ORDERS_H_
#define CERTCAST_CONTROLLER_STORE_OPEN_ORDERS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/store/store.h"

namespace certcast::controller {

// What OrderRecords keeps, by certificate: orders that are not finished, and challenge records that are left of others.
absl::StatusOr<std::vector<state::v1::Order>> ListOpenOrders(Store& store);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_OPEN_ORDERS_H_
