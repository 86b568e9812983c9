// The small languages that configuration values are written in: names, times, addresses. No YAML here, so that flags
// are read by the same rules.
//
// Errors are kInvalidArgument and whole sentences, `found "web 01", expected a name: ...`, with a hint where one helps.
#ifndef CERTCAST_COMMON_YAML_GRAMMAR_H_
#define CERTCAST_COMMON_YAML_GRAMMAR_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast {

// `[a-z0-9][a-z0-9.-]{0,62}` in which each dot-separated label begins and ends with a letter or digit, the grammar of
// CheckNodeName: what nodes, services, certificates and accounts are called. Safe as one path component.
absl::Status CheckName(absl::string_view text);

// A host name to be asked for (SNI, RFC 6066 section 3): LDH labels, no address, no wildcard. One label is enough.
absl::Status CheckHostName(absl::string_view text);

// `10s`, `1h30m`, `15d`, `500ms`: whole or decimal numbers with unit, larger units first. `0` needs no unit.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);
// The shortest way to write it in that language.
std::string ShowDuration(absl::Duration duration);

// `66%` is 66. Above 0, at most 100.
absl::StatusOr<double> ParsePercent(absl::string_view text);

// A decimal whole number without sign.
absl::StatusOr<int> ParseWholeNumber(absl::string_view text);

// Permission bits as four octal digits, the first of them 0: `0644`.
absl::StatusOr<mode_t> ParseMode(absl::string_view text);

// `web-01.example.com:443`, `10.0.0.1:443`, `[2001:db8::1]:443`, in the one way to write it. Port 1 to 65535.
absl::Status CheckHostPort(absl::string_view text);

// A URL of one of `schemes` (http and https are known), without user information and fragment.
absl::Status CheckUrl(absl::string_view text, const std::vector<absl::string_view>& schemes);

// `mailto:` and one address, without header fields (RFC 8555 section 7.3).
absl::Status CheckMailto(absl::string_view text);

// A user's or group's name, or its number.
absl::Status CheckAccountName(absl::string_view text);

// In double quotes, control characters escaped, cut to 60 characters.
std::string Quoted(absl::string_view text);

// The word that was probably meant: at most a third of its letters differ. Empty: none is near.
absl::string_view NearestWord(absl::string_view word, const std::vector<absl::string_view>& words);

}  // namespace certcast

#endif  // CERTCAST_COMMON_YAML_GRAMMAR_H_
