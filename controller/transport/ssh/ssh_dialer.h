// Reaches hosts where no agent listens: logs in by SSH, runs certcast-node there, and uploads it first where it is
// missing.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_DIALER_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_DIALER_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file/file_system.h"
#include "common/probe/deadline.h"
#include "common/probe/resolver.h"
#include "controller/transport/agent_on_host.h"
#include "controller/transport/link.h"
#include "controller/transport/ssh/agent_binary.h"
#include "controller/transport/ssh/agent_digests.h"
#include "controller/transport/ssh/hop.h"
#include "controller/transport/ssh/route.h"

namespace certcast::controller {

// How one host is reached, and what it is told to be.
struct SshTarget {
  // In the order in which they are passed.
  std::vector<SshHop> jumps;
  SshHop host;
  bool sudo = false;
  // Where its binaries are: absolute, or relative to the login's home.
  std::string binary_directory;
  // The static binary on this side.
  std::string agent_binary;
  v1::NodeDefinition definition;
};

// Thread-safe. Links keep what they need of it alive.
class SshDialer {
 public:
  // `resolver` outlives it.
  explicit SshDialer(Resolver& resolver, AgentDigests digests = AgentDigests(FileSystem::Real(), ""))
      : routes_(std::make_shared<SshRoutes>(resolver)), digests_(std::move(digests)) {}

  // As Transport::Open, with the errors of SshRoutes and Bootstrap as well. `timeout` is for all but the upload of a
  // missing agent, which may go on as long as it gets on. An agent there that does not come up is looked at byte by
  // byte, over another login, and replaced where it is damaged.
  absl::StatusOr<std::unique_ptr<Link>> Open(const SshTarget& target, absl::Duration timeout);
  // As AgentInstaller::PutAgent. The agent there is always looked at byte by byte.
  absl::StatusOr<AgentOnHost> PutAgent(const SshTarget& target, bool only_look, absl::Duration timeout);

 private:
  // What came of a contact: a link, unless the agent is kMissing.
  struct Contact {
    AgentOnHost agent;
    std::unique_ptr<Link> link;
  };

  // As in BootstrapOptions.
  struct Terms {
    bool may_upload = true;
    bool check_contents = false;
    bool* in_doubt = nullptr;
  };

  absl::StatusOr<Contact> Reach(const SshTarget& target, const Terms& terms, Deadline deadline);
  absl::StatusOr<std::shared_ptr<const AgentBinary>> BinaryAt(const std::string& path);
  // One for all that upload it at the same time.
  absl::StatusOr<std::shared_ptr<const std::string>> ContentsOf(const AgentBinary& binary);

  const std::shared_ptr<SshRoutes> routes_;
  const AgentDigests digests_;
  absl::Mutex mutex_;
  std::map<std::string, std::shared_ptr<const AgentBinary>> binaries_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::weak_ptr<const std::string>> contents_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_DIALER_H_
