// Starts one program with pipes to it. Only for process.cc.
#ifndef CERTCAST_COMMON_PROCESS_SPAWN_H_
#define CERTCAST_COMMON_PROCESS_SPAWN_H_

#include <sys/types.h>

#include "absl/status/statusor.h"
#include "common/file/descriptor.h"
#include "common/process/process.h"

namespace certcast {

// A child that has begun to run the program, as leader of a process group of its own. This process's ends of its pipes
// don't block. Whoever holds it must wait for `pid`.
struct Child {
  pid_t pid = -1;
  // Invalid when the request has no input: the child reads /dev/null.
  Descriptor input;
  Descriptor output;
  Descriptor error;
};

// Fails when the program is missing, can't be executed, or its directory can't be entered. Thread-safe, also while
// other threads run: the child makes only async-signal-safe calls before exec.
absl::StatusOr<Child> Spawn(const ProcessRequest& request);

}  // namespace certcast

#endif  // CERTCAST_COMMON_PROCESS_SPAWN_H_
