// GET over HTTP/1.1 (RFC 9112), as far as a probe needs it: what status is answered, and with what?
//
// Written here because the agent is one static binary: libcurl would bring its resolver (NSS), and more code than the
// rest of the probe together. It reads what was asked for and drops the connection; no redirects, no compression.
#ifndef CERTCAST_COMMON_PROBE_HTTP_GET_H_
#define CERTCAST_COMMON_PROBE_HTTP_GET_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/stream.h"

namespace certcast {

struct HttpAnswer {
  int status = 0;
  // Its first 64 KiB, decoded where it came in chunks.
  std::string body;
  // Of a redirect (301, 302, 303, 307, 308): its first Location, as it came. Up to what a head may be, of any bytes but
  // line ends.
  std::string location = {};
};

// The final answer to GET `path` with this Host header; interim ones (1xx) are passed over. Without `wants_body`
// nothing is read after the status, no Location either. PROTOCOL when what comes is not HTTP/1, or its head and the
// lines between chunks come to more than 16 KiB; LINK_LOST when it ends too early. `path` and `host` must be free of
// white space and control characters.
absl::StatusOr<HttpAnswer> HttpGet(Stream& stream, absl::string_view host, absl::string_view path, bool wants_body);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_HTTP_GET_H_
