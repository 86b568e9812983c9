// GET over HTTP/1.1 (RFC 9112), as far as a probe needs it: what status is answered?
//
// Written here because the agent is one static binary: libcurl would bring its resolver (NSS), and more code than the
// rest of the probe together. It reads the status line and drops the connection; no redirects, no bodies, no chunks.
#ifndef CERTCAST_COMMON_PROBE_HTTP_GET_H_
#define CERTCAST_COMMON_PROBE_HTTP_GET_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/probe/stream.h"

namespace certcast {

// The final status of GET `path` with this Host header; interim ones (1xx) are passed over. PROTOCOL when what comes is
// not HTTP/1, or no status has come within 16 KiB. `path` and `host` must be free of white space and control
// characters.
absl::StatusOr<int> HttpGetStatus(Stream& stream, absl::string_view host, absl::string_view path);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROBE_HTTP_GET_H_
