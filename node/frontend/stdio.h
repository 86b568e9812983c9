// The link over a pipe: Commands on one descriptor, Reports on the other, each message with its length before it as a
// varint (protobuf's delimited form). What `certcast-node stdio` speaks at the end of an SSH session.
#ifndef CERTCAST_NODE_FRONTEND_STDIO_H_
#define CERTCAST_NODE_FRONTEND_STDIO_H_

#include "absl/status/status.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "node/engine/engine.h"

namespace certcast::node {

// Writes the line `certcast-link 1`, says Hello, then handles one command after the other until `in` ends. MALFORMED
// for a message that does not parse or is larger than 1 MiB (nothing is allocated for it), STORAGE_FAILED when reading
// fails; that the other side stopped to read is no error, `in` counts as ended then. A side that is there but takes
// nothing holds up no command for longer than WriteBounds says, once. Ignore SIGPIPE before calling.
absl::Status ServeStdio(int in, int out, Engine& engine, Clock& clock, const v1::Hello& hello);

// Returns when nothing waits for Confirm any more: whoever could send one over this link is gone. A way back that fails
// is tried again, less and less often, for a quarter of an hour; then what kept it from going back is returned.
absl::Status AwaitNothingToConfirm(Engine& engine, Clock& clock);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_STDIO_H_
