// Runs a real program under ptrace, lists the system calls by which it changes files, looks at the files after each of
// them, and kills it (as `kill -9` does) right before or right after one of them. Linux on x86-64; needs the right to
// trace its own children, nothing more.
#ifndef CERTCAST_TESTS_TESTING_SYSCALL_KILLER_H_
#define CERTCAST_TESTS_TESTING_SYSCALL_KILLER_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace certcast::testing {

struct KillPoint {
  enum class Moment {
    kBefore,  // the call has no effect
    kAfter,   // it is done, and the program never learns of it
  };
  // From 1, in the order in which the program's threads enter them.
  size_t operation = 1;
  Moment moment = Moment::kBefore;
};

struct TracedProgram {
  // argv[0] with its path.
  std::vector<std::string> argv;
  // Where its standard streams lead; output and error are replaced.
  std::string input;
  std::string output;
  std::string error;
  // Fills in TracedRun::calls.
  bool record = false;
};

// One call and the file that it was about.
struct RecordedCall {
  // As in TracedRun::operations.
  std::string operation;
  bool succeeded = false;
  // Of calls that open or make something: open's flags, and the mode that was asked for.
  uint64_t flags = 0;
  mode_t mode_asked = 0;
  // Of calls that write: the bytes.
  std::string written;
  // The file as it is right after a call that succeeded; of a rename, under its new name. Zero where it is gone.
  dev_t device = 0;
  ino_t inode = 0;
  // Kind and permissions.
  mode_t mode = 0;
  uid_t owner = 0;
  gid_t group = 0;
};

struct TracedRun {
  // "renameat /etc/tls/.new -> /etc/tls/key.pem": what the program did, without what its children did.
  // Up to the one it was killed at, with it.
  std::vector<std::string> operations;
  // The same calls, when they were to be recorded.
  std::vector<RecordedCall> calls;
  // False when the program ended by itself, before it came to the point.
  bool killed = false;
  // 128 and the number of the signal that ended it, when one did.
  int exit_code = 0;
};

// Counted are calls that make, open for writing, write, flush, rename, link, remove, or change mode, owner or size of
// what is in a file system; not what goes to standard output and error, nor what is below /dev and /proc. All threads
// of the program are traced; programs that it starts are not, and live on when it is killed. The program is killed when
// the test ends. DEADLINE_EXCEEDED, with the last operation, for one that has not ended after 20 s. To be called by one
// thread of the test at a time; children of other threads are left alone.
absl::StatusOr<TracedRun> RunTraced(const TracedProgram& program, const std::optional<KillPoint>& kill_at);

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SYSCALL_KILLER_H_
