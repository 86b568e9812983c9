// Takes PEM (RFC 7468) apart, strictly: blocks and white space between them, nothing else.
#ifndef CERTCAST_COMMON_X509_PEM_H_
#define CERTCAST_COMMON_X509_PEM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast {

struct PemBlock {
  // "CERTIFICATE".
  absl::string_view label;
  // From -----BEGIN to the end of the -----END line, without its line end.
  absl::string_view text;
};

// Views into `pem`, which may hold a secret: nothing is copied, and no error quotes it. MALFORMED when there is
// anything but blocks, or a block is not closed or has another label at its end, or a label has other characters than
// capital letters, digits, spaces and "#". At most `limit` bytes. What is inside
// the blocks is not looked at. No block at all: an empty result.
absl::StatusOr<std::vector<PemBlock>> SplitPem(absl::string_view pem, size_t limit);

// The bytes of one block; MALFORMED for bad base64 or RFC 1421 headers. Not for secrets.
absl::StatusOr<std::string> DecodePem(const PemBlock& block);

// One block as OpenSSL writes it.
std::string EncodePem(absl::string_view label, absl::string_view bytes);

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_PEM_H_
