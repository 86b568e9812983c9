// What http-01 shows (RFC 8555 section 8.3): a key authorization at a path that is made of a token.
#ifndef CERTCAST_COMMON_HTTP_CHALLENGE_TOKEN_H_
#define CERTCAST_COMMON_HTTP_CHALLENGE_TOKEN_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast {

// What stands before the token in a URL's path.
inline constexpr absl::string_view kChallengePath = "/.well-known/acme-challenge/";
inline constexpr size_t kMaxChallengeToken = 128;
// That one place shows at once: as many as a certificate has names, twice over.
inline constexpr size_t kMaxChallenges = 256;

// Tokens become names of files, and both come from a CA: 1 to kMaxChallengeToken characters of base64url. MALFORMED.
absl::Status CheckChallengeToken(absl::string_view token);
// Also that the key authorization is the token, a dot, and a SHA-256 as base64url: nothing else is ever shown.
// MALFORMED.
absl::Status CheckHttpChallenge(absl::string_view token, absl::string_view key_authorization);

}  // namespace certcast

#endif  // CERTCAST_COMMON_HTTP_CHALLENGE_TOKEN_H_
