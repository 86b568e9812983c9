// replacements/<certificate>. See records.h for what holds of all records.
#ifndef CERTCAST_CONTROLLER_STORE_REPLACEMENT_RECORDS_H_
#define CERTCAST_CONTROLLER_STORE_REPLACEMENT_RECORDS_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/store/store.h"

namespace certcast::controller {

class ReplacementRecords {
 public:
  explicit ReplacementRecords(Store& store) : store_(store) {}
  absl::StatusOr<std::optional<state::v1::Replacement>> Get(absl::string_view certificate);
  absl::Status Put(const state::v1::Replacement& replacement, uint64_t epoch);
  // Writes it and forgets a pending order of the certificate, whose key may have got out as well, in one transaction.
  // Challenge records that were presented for it stay known, so that they are cleaned up.
  absl::Status PutAndForgetOrder(const state::v1::Replacement& replacement, uint64_t epoch);

 private:
  Store& store_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_REPLACEMENT_RECORDS_H_
