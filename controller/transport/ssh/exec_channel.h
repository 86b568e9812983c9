// A command on the host at the other end of a session.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_EXEC_CHANNEL_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_EXEC_CHANNEL_H_

#include <libssh/libssh.h>

#include <memory>
#include <optional>
#include <string>

#include "controller/transport/ssh/byte_channel.h"
#include "controller/transport/ssh/session.h"

namespace certcast::controller {

class ExecChannel final : public ByteChannel {
 public:
  // Starts it: the session is logged in. `command` goes to the login's shell. The session is the channel's from now on.
  static absl::StatusOr<std::unique_ptr<ExecChannel>> Start(std::unique_ptr<SshSession> session, const char* command,
                                                            Deadline deadline);
  // Ends the session, too. The command goes on if it wants to.
  ~ExecChannel() override;

  absl::Status Write(absl::string_view bytes, Deadline deadline) override;
  absl::StatusOr<std::string> Read(Deadline deadline) override;
  std::optional<int> AwaitExit(Deadline deadline) override;
  const std::string& error_output() const override { return error_output_; }
  const std::string& peer() const override { return session_->peer(); }

 private:
  ExecChannel(std::unique_ptr<SshSession> session, ssh_channel channel)
      : session_(std::move(session)), channel_(channel) {}

  // Standard error must be read, or its share of the window fills and all stands still.
  void DrainErrorOutput();

  const std::unique_ptr<SshSession> session_;
  const ssh_channel channel_;
  std::string error_output_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_EXEC_CHANNEL_H_
