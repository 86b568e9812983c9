// What sealed records are for: the purpose that each is sealed with.
#ifndef CERTCAST_CONTROLLER_KEYRING_PURPOSES_H_
#define CERTCAST_CONTROLLER_KEYRING_PURPOSES_H_

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {

// The private key of one generation, in its record and, before that, in its order's.
inline std::string GenerationKeyPurpose(absl::string_view certificate, uint64_t generation) {
  return absl::StrCat("certificate/", certificate, "/", generation);
}

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_KEYRING_PURPOSES_H_
