#include "common/http_challenge/token.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast {
namespace {

// base64url of 32 bytes, without padding.
constexpr size_t kThumbprint = 43;

bool IsBase64Url(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
}

}  // namespace

absl::Status CheckChallengeToken(absl::string_view token) {
  if (!token.empty() && token.size() <= kMaxChallengeToken && IsBase64Url(token)) return absl::OkStatus();
  return Fail(Reason::MALFORMED,
              absl::StrCat("the challenge's token is not 1 to ", kMaxChallengeToken, " characters of base64url"));
}

absl::Status CheckHttpChallenge(absl::string_view token, absl::string_view key_authorization) {
  RETURN_IF_ERROR(CheckChallengeToken(token));
  if (absl::ConsumePrefix(&key_authorization, token) && absl::ConsumePrefix(&key_authorization, ".") &&
      key_authorization.size() == kThumbprint && IsBase64Url(key_authorization)) {
    return absl::OkStatus();
  }
  return Fail(Reason::MALFORMED,
              "the challenge's key authorization is not its token, a dot and a thumbprint (RFC 8555 section 8.1)");
}

}  // namespace certcast
