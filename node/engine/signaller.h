// Sends signals to the processes that pid files name.
#ifndef CERTCAST_NODE_ENGINE_SIGNALLER_H_
#define CERTCAST_NODE_ENGINE_SIGNALLER_H_

#include <string>

#include "absl/status/status.h"

namespace certcast::node {

// Thread-safe.
class Signaller {
 public:
  virtual ~Signaller() = default;

  // Sends `signal` to the process whose id is on the first line of `pid_file`. Errors are RELOAD_FAILED, and then
  // nothing was sent: the file is missing, has no process id in it or one that is no server's (0, 1, this process); it
  // may be written by others; another user's file names a process that is not that user's; the process has ended; it is
  // younger than the file, so it came by the number later. Not idempotent.
  virtual absl::Status Signal(const std::string& pid_file, int signal) = 0;

  // The machine's; lives for ever. The process is held by a descriptor (pidfd_open) while it is looked at, so what gets
  // the signal is what was looked at; on Linux before 5.3, which has none, it could in that instant end and its number
  // be given to another.
  static Signaller& Real();
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_SIGNALLER_H_
