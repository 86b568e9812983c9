#ifndef CERTCAST_COMMON_X509_DIGEST_H_
#define CERTCAST_COMMON_X509_DIGEST_H_

#include <string>

#include "absl/strings/string_view.h"

namespace certcast {

// Lower-case hex of SHA-256 (FIPS 180-4): how fingerprints and parts are written everywhere.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_DIGEST_H_
