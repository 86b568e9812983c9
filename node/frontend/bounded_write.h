// Writing to a peer that may have stopped reading.
#ifndef CERTCAST_NODE_FRONTEND_BOUNDED_WRITE_H_
#define CERTCAST_NODE_FRONTEND_BOUNDED_WRITE_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::node {

struct WriteBounds {
  // Without a byte taken.
  absl::Duration stall = absl::Seconds(10);
  absl::Duration all = absl::Seconds(60);
};

// Writes all of it to a pipe or socket, which may be in blocking mode and stays so. False when the other end is gone or
// a bound was reached; some of it may have been written then. Ignore SIGPIPE before calling.
bool WriteWithin(int fd, absl::string_view bytes, const WriteBounds& bounds);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_BOUNDED_WRITE_H_
