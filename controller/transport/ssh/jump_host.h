// A host on the way to others: one login, any number of tunnels.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_JUMP_HOST_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_JUMP_HOST_H_

#include <libssh/libssh.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "common/file/descriptor.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "controller/transport/ssh/session.h"

namespace certcast::controller {

// Thread-safe. The session belongs to a thread of its own, which moves the tunnels' bytes; it waits only in poll.
class JumpHost {
 public:
  // `session` is logged in. `before`, if any, is the jump host that it goes through, and lives as long as this one.
  JumpHost(std::unique_ptr<SshSession> session, std::shared_ptr<JumpHost> before);
  // Ends every tunnel.
  ~JumpHost();
  JumpHost(const JumpHost&) = delete;
  JumpHost& operator=(const JumpHost&) = delete;

  // A connection that the jump host makes to `to` (direct-tcpip, RFC 4254 section 7.2): one end of a pair of sockets,
  // non-blocking. No shell and no command is in it. NO_ROUTE when the jump host can't or won't, TIMED_OUT, LINK_LOST.
  absl::StatusOr<Descriptor> Tunnel(const HostPort& to, Deadline deadline);

  // False once its connection is lost, and no tunnel can be had any more, or is in doubt: a tunnel was waited for in
  // vain. Log in anew for further ones.
  bool alive() const;

 private:
  // What one asks for and waits for.
  struct Request {
    HostPort to;
    // This side's end, which the thread takes.
    Descriptor far_end;
    bool done = false;
    // Nobody waits for it any more.
    bool given_up = false;
    absl::Status status;
  };
  class Pipe;

  void Run();
  void TakeRequests() ABSL_LOCKS_EXCLUDED(mutex_);
  void Answer(const std::shared_ptr<Request>& request, absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  // False when the session is gone.
  bool Step();
  void WaitForSomething();
  void WakeUp() const;

  const std::shared_ptr<JumpHost> before_;
  // Of the thread alone, as the pipes are.
  std::unique_ptr<SshSession> session_;
  std::vector<std::unique_ptr<Pipe>> pipes_;
  const std::string peer_;
  const Descriptor wake_;

  mutable absl::Mutex mutex_;
  std::vector<std::shared_ptr<Request>> requests_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool doubted_ ABSL_GUARDED_BY(mutex_) = false;
  // Once the session is gone.
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_JUMP_HOST_H_
