// From here to a host, logged in: directly, or through jump hosts that connections share.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_ROUTE_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_ROUTE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/probe/deadline.h"
#include "common/probe/resolver.h"
#include "controller/transport/ssh/hop.h"
#include "controller/transport/ssh/jump_host.h"
#include "controller/transport/ssh/login.h"
#include "controller/transport/ssh/session.h"

namespace certcast::controller {

// A session, and what it goes through, which must live as long.
struct RoutedSession {
  std::shared_ptr<JumpHost> through;
  std::unique_ptr<SshSession> session;
};

// Thread-safe. Keys are read once for all; a jump host is logged in to once for all that go through it at the same
// time.
class SshRoutes {
 public:
  // `resolver` outlives it.
  explicit SshRoutes(Resolver& resolver) : resolver_(resolver) {}

  // Connects hop by hop: each host key is checked before anything is said to that hop. `node` is for messages. Errors:
  // NO_ROUTE, HOST_KEY_UNKNOWN, HOST_KEY_CHANGED, AUTH_FAILED, TIMED_OUT, LINK_LOST, PROTOCOL; they name node and hop.
  absl::StatusOr<RoutedSession> Open(const std::string& node, const std::vector<SshHop>& jumps, const SshHop& host,
                                     Deadline deadline);

 private:
  // One jump host, at work or being connected to.
  struct Jump {
    bool connecting = false;
    std::weak_ptr<JumpHost> host;
    // How connecting ended the last time, for those who waited for it.
    absl::Status status;
    uint64_t attempts = 0;
  };
  struct Keys {
    absl::Mutex mutex;
    std::shared_ptr<const LoginKeys> keys ABSL_GUARDED_BY(mutex);
  };

  absl::StatusOr<std::shared_ptr<JumpHost>> JumpTo(const std::vector<SshHop>& jumps, size_t index, Deadline deadline);
  absl::StatusOr<std::unique_ptr<SshSession>> OpenSession(const std::string& peer, JumpHost* through, const SshHop& hop,
                                                          Deadline deadline);
  absl::StatusOr<Descriptor> Connect(JumpHost* through, const SshHop& hop, Deadline deadline);
  absl::StatusOr<std::shared_ptr<const LoginKeys>> KeysFor(const SshLogin& login);

  Resolver& resolver_;
  absl::Mutex mutex_;
  std::map<std::string, Jump> jumps_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<Keys>> keys_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_ROUTE_H_
