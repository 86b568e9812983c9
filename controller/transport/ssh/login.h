// How the controller logs in: public keys only.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_LOGIN_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_LOGIN_H_

#include <libssh/libssh.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/probe/deadline.h"
#include "common/secret/reference.h"
#include "controller/transport/ssh/session.h"

namespace certcast::controller {

struct SshLogin {
  // A private key: PEM or OpenSSH's own format.
  SecretReference key;
  // The agent does where the key can't be read: it may hold the same one, opened.
  bool agent_may_have_key = false;
  // Of the key, where it has one.
  SecretReference passphrase;
  // A user certificate for the key (`ssh-keygen -s`): path, or empty.
  std::string certificate_file;
  // The socket of an ssh-agent, whose keys are tried after the key; empty: none is asked.
  std::string agent_socket;

  // Equal for equal logins.
  std::string Identity() const;
};

struct SshKeyDeleter {
  void operator()(ssh_key key) const { ssh_key_free(key); }
};
using SshKeyPtr = std::unique_ptr<ssh_key_struct, SshKeyDeleter>;

// Keys that were read once, since decrypting one takes a good part of a second. Thread-safe.
class LoginKeys {
 public:
  // Errors: those of ReadSecret; AUTH_FAILED for a key that does not parse or whose passphrase is wrong or missing.
  // Where the agent may have the key, these are told when a server refuses the login.
  static absl::StatusOr<std::unique_ptr<LoginKeys>> Read(const SshLogin& login);

  // Tries the key, then the agent's. AUTH_FAILED with what was tried and what the server offers; TIMED_OUT; LINK_LOST.
  absl::Status Authenticate(SshSession& session, Deadline deadline) const;

 private:
  explicit LoginKeys(const SshLogin& login) : login_(login) {}

  absl::Status ReadOwn();
  absl::StatusOr<int> TryKey(SshSession& session, Deadline deadline) const;
  absl::StatusOr<int> TryAgent(SshSession& session, Deadline deadline) const;
  absl::Status Refused(const SshSession& session) const;

  const SshLogin login_;
  // nullptr when the login has none.
  SshKeyPtr key_;
  SshKeyPtr certificate_;
  // What was wrong with the certificate by itself, when it was read; empty when nothing.
  std::string certificate_note_;
  // For messages: "key SHA256:... (file /etc/...)".
  std::string key_text_;
  // Why there is none, where the agent may have it; empty otherwise.
  std::string key_note_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_LOGIN_H_
