// What sealed records are for: the purpose that each is sealed with.
#ifndef CERTCAST_CONTROLLER_KEYRING_PURPOSES_H_
#define CERTCAST_CONTROLLER_KEYRING_PURPOSES_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {

// The private key of an ACME account; `account_key` is the record's.
inline std::string AccountKeyPurpose(absl::string_view account_key) {
  return absl::StrCat("account/", account_key);
}

// The private key that an order's certificate will have, while the order is pending.
inline std::string OrderKeyPurpose(absl::string_view certificate) {
  return absl::StrCat("order/", certificate);
}

// The private key of one generation.
inline std::string GenerationKeyPurpose(absl::string_view certificate, uint64_t generation) {
  return absl::StrCat("certificate/", certificate, "/", generation);
}

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_KEYRING_PURPOSES_H_
