// One SSH connection, by libssh, in which nothing can wait for ever.
//
// libssh runs non-blocking throughout, on a socket that was connected elsewhere (TCP, or the end of a tunnel); every
// wait is a poll of this side's with a deadline. libssh's own connecting, proxy commands, configuration files,
// known_hosts and passwords are not used.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_SESSION_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_SESSION_H_

#include <libssh/libssh.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/descriptor.h"
#include "common/probe/deadline.h"
#include "controller/transport/ssh/public_key.h"

namespace certcast::controller {

// Thread-compatible: one thread at a time, whichever.
class SshSession {
 public:
  // Exchanges versions and keys over `socket`. The server then has proven to hold host_key(), and nothing more: judge
  // it before anything else is said. `peer` names the server in messages. Host keys of `key_types` are preferred, in
  // this order; with `only_those` no others are taken. Errors: TIMED_OUT, PROTOCOL.
  static absl::StatusOr<std::unique_ptr<SshSession>> Connect(Descriptor socket, const std::string& peer,
                                                             const std::string& user,
                                                             const std::vector<std::string>& key_types, bool only_those,
                                                             Deadline deadline);
  // Ends the connection at once.
  ~SshSession();
  SshSession(const SshSession&) = delete;
  SshSession& operator=(const SshSession&) = delete;

  const SshPublicKey& host_key() const { return host_key_; }
  const std::string& peer() const { return peer_; }
  ssh_session get() const { return session_; }

  // Calls `step`, a call into libssh, until it gives something else than SSH_AGAIN, and gives that. TIMED_OUT, saying
  // what was `awaited`, when the deadline comes first.
  absl::StatusOr<int> Drive(absl::string_view awaited, Deadline deadline, const std::function<int()>& step);
  // Until there is something to read, or to write where libssh has something to write. TIMED_OUT as Drive.
  absl::Status Wait(absl::string_view awaited, Deadline deadline);

  // Takes in what has come, without waiting. The calls of channels do so as well, each for all channels of the session:
  // so before waiting for more, look at every channel again unless received() is what it was before they were looked
  // at. After the login alone. False: the connection is gone.
  bool Pump();
  uint64_t received() const { return counter_.in_bytes; }

  // For poll: what libssh waits for on its socket.
  int fd() const { return ssh_get_fd(session_); }
  short PollEvents() const;
  bool alive() const { return ssh_is_connected(session_) != 0; }
  // What libssh says was wrong; may hold what the server said.
  std::string Error() const { return ssh_get_error(session_); }
  // LINK_LOST with Error().
  absl::Status Lost() const;

 private:
  SshSession(ssh_session session, std::string peer);

  // Has the socket, and closes it: as soon as the peer hangs up or says goodbye, else when it is freed. So nobody else
  // may close it, whose number may be another connection's by then.
  const ssh_session session_;
  const std::string peer_;
  // Of the socket.
  ssh_counter_struct counter_ = {};
  // Never opened. libssh makes channels only after the login.
  ssh_channel pump_ = nullptr;
  SshPublicKey host_key_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_SESSION_H_
