// The link over a pipe: Commands on one descriptor, Reports on the other, each message with its length before it as a
// varint (protobuf's delimited form). What `certcast-node stdio` speaks at the end of an SSH session.
#ifndef CERTCAST_NODE_FRONTEND_STDIO_H_
#define CERTCAST_NODE_FRONTEND_STDIO_H_

#include "absl/status/status.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "node/engine/engine.h"

namespace certcast::node {

// Says Hello, then handles one command after the other until `in` ends. An install that then still waits for Confirm is
// waited for: this returns when it was taken back, since nobody can confirm it any more. MALFORMED for a message that
// does not parse or is larger than 1 MiB (nothing is allocated for it), STORAGE_FAILED when reading fails; that the
// other side stopped to read is no error, `in` counts as ended then. Ignore SIGPIPE before calling.
absl::Status ServeStdio(int in, int out, Engine& engine, Clock& clock, const v1::Hello& hello);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_STDIO_H_
