// certcast-node, the agent: one static binary.
//
// The data flows one way: a front end (frontend/) takes a command from the controller, the engine (engine/) carries it
// out and reports. Which verb does what is in cli/.
#include <openssl/crypto.h>
#include <sys/stat.h>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "common/process/process.h"
#include "common/secret/secret.h"
#include "google/protobuf/stubs/logging.h"
#include "node/cli/command_line.h"
#include "node/cli/setup.h"

int main(int argc, char** argv) {
  // Private keys go through this process: no core dumps, nobody else's debugger, no file that others read by accident.
  if (absl::Status hardened = certcast::HardenProcess(); !hardened.ok()) return certcast::node::ReportError(hardened);
  certcast::SetUmaskOfPrograms(umask(077));
  // What OpenSSL would free at the end, the kernel frees in less time: over SSH this is started at every contact.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  // Debian's Abseil looks for cycles of locks each time one is taken, which is for tests.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // Protobuf's own lines: a peer could fill the log with texts that are not UTF-8. What does not parse is an error
  // anyway.
  google::protobuf::SetLogHandler(nullptr);
  return certcast::node::RunCommandLine(argc, argv);
}
