// What large files contained when they were last read, so that not every run reads 16 MB to name what all hosts have.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_DIGESTS_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_DIGESTS_H_

#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "common/file/file_system.h"

struct stat;

namespace certcast::controller {

// A file is taken for the same as long as device, inode, size, and the times of its contents and of its inode are: who
// writes to it changes the last one, which no call can set. Nothing here fails: what can't be read is not known, what
// can't be kept is read again next time. For several processes at once.
class AgentDigests {
 public:
  // Kept in `file`, absolute, which need not be there; empty: nothing is kept. `files` outlives it.
  AgentDigests(FileSystem& files, std::string file) : files_(files), file_(std::move(file)) {}

  // SHA-256 in lower-case hex; empty when it is not known.
  std::string Find(const struct stat& info) const;
  // Unless it was changed just now: within one tick of the clock it might change again, and look the same.
  void Keep(const struct stat& info, absl::string_view sha256) const;
  // Everything.
  void Forget() const;

 private:
  std::string Read() const;
  void Write(absl::string_view lines) const;

  FileSystem& files_;
  const std::string file_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_AGENT_DIGESTS_H_
