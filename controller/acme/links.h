// URLs in the headers of a CA's answers (RFC 8288).
#ifndef CERTCAST_CONTROLLER_ACME_LINKS_H_
#define CERTCAST_CONTROLLER_ACME_LINKS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controller/acme/http_client.h"

namespace certcast::controller {

// https, printable, at most 2048 characters.
bool IsPlainUrl(absl::string_view url);

// The targets of links with that relation type in one Link header's value, in order; what is no IsPlainUrl is left out.
// Anything that does not parse ends the reading.
std::vector<std::string> LinksIn(absl::string_view header, absl::string_view relation);

// Of `rel="alternate"` in all Link headers: other chains of a certificate (RFC 8555 section 7.4.2). At most 10.
std::vector<std::string> AlternatesOf(const HttpResponse& response);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_LINKS_H_
