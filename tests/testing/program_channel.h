// A ByteChannel to a program of this machine: what an SSH server does with a command, without the server.
#ifndef CERTCAST_TESTS_TESTING_PROGRAM_CHANNEL_H_
#define CERTCAST_TESTS_TESTING_PROGRAM_CHANNEL_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/file/descriptor.h"
#include "controller/transport/ssh/byte_channel.h"

namespace certcast::testing {

class ProgramChannel final : public controller::ByteChannel {
 public:
  // argv[0] is looked up in PATH when it has no slash. `environment` stands beside the test's own. Ends the test
  // program when it can't be started.
  static std::unique_ptr<ProgramChannel> Start(
      const std::vector<std::string>& argv, const std::string& directory,
      const std::vector<std::pair<std::string, std::string>>& environment = {});
  // Closes its pipes, and waits for its end.
  ~ProgramChannel() override;

  absl::Status Write(absl::string_view bytes, Deadline deadline) override;
  absl::StatusOr<std::string> Read(Deadline deadline) override;
  std::optional<int> AwaitExit(Deadline deadline) override;
  const std::string& error_output() const override { return error_output_; }
  const std::string& peer() const override { return peer_; }

  // As a connection that is cut does.
  void CloseInput() { input_.Close(); }

 private:
  ProgramChannel() = default;
  void DrainErrorOutput();

  const std::string peer_ = "web-01";
  pid_t pid_ = 0;
  Descriptor input_;
  Descriptor output_;
  Descriptor error_;
  std::string error_output_;
  std::optional<int> status_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_PROGRAM_CHANNEL_H_
