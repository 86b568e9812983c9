// By when CAs want to have renewed what they issued (RFC 9773), also of generations that another one has replaced
// since.
#ifndef CERTCAST_CONTROLLER_STORE_RENEWAL_ENDS_H_
#define CERTCAST_CONTROLLER_STORE_RENEWAL_ENDS_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controller/store/store.h"

namespace certcast::controller {

// The end of the window that the CA suggested last, by the leaf's SHA-256; of those for which it suggested one.
// RenewalInfoRecords keeps them.
absl::StatusOr<std::map<std::string, absl::Time>> RenewalEnds(Store& store, absl::string_view certificate);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_RENEWAL_ENDS_H_
