// DNS names in certificates: their grammar, and which name covers which.
#ifndef CERTCAST_COMMON_X509_NAMES_H_
#define CERTCAST_COMMON_X509_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast {

// RFC 6125 section 6.4.3: `pattern` is a name, or one with `*` as its whole left-most label, which stands for exactly
// one label and is followed by at least two. Case is ignored. No partial wildcards. `host` is a host's name: not a
// pattern, an IP address (no wildcard matches it), nor a name with a trailing dot.
bool NameMatches(absl::string_view pattern, absl::string_view host);

// Whether what `allowed` names covers the certificate's name `name`, which may be a wildcard itself: "*.example.com" is
// covered by "*.example.com" alone, "a.example.com" by both. In `allowed`, "*" alone covers everything. Case is
// ignored.
bool NameAllowed(const std::vector<std::string>& allowed, absl::string_view name);

// A DNS name as in a certificate: LDH labels (RFC 5890 section 2.3.1) of at most 63, 253 in all, at least two labels
// and the last not a number, optionally "*." before them. Otherwise kInvalidArgument with what is wrong.
absl::Status CheckDnsName(absl::string_view name);

}  // namespace certcast

#endif  // CERTCAST_COMMON_X509_NAMES_H_
