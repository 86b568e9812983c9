// A Link over the standard input and output of a certcast-node that was started by SSH.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_LINK_H_
#define CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_LINK_H_

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/probe/deadline.h"
#include "controller/transport/link.h"
#include "controller/transport/ssh/byte_channel.h"
#include "controller/transport/ssh/channel_reader.h"

namespace certcast::controller {

// Thread-safe. Has no thread: the calls themselves wait for what comes.
class SshLink final : public Link {
 public:
  // `channel`'s program has said that it is an agent; `reader` reads from it. `keep_alive` is held as long as the link
  // lives. `definition` is what a host without a configuration of its own is told to be.
  SshLink(std::unique_ptr<ByteChannel> channel, std::unique_ptr<ChannelReader> reader,
          std::shared_ptr<const void> keep_alive, v1::NodeDefinition definition);
  ~SshLink() override;

  // Once, before any Call. An agent that has its own configuration must be the node and of the fleet that the
  // definition names: AUTH_FAILED otherwise. TIMED_OUT, LINK_LOST, PROTOCOL.
  absl::Status AwaitHello(Deadline deadline);

  absl::StatusOr<v1::Report> Call(const v1::Command& command, absl::Duration timeout,
                                  const OnProgress& on_progress) override;
  const v1::Hello& hello() const override { return hello_; }

 private:
  absl::Status CheckHello() const;
  absl::Status Send(const v1::Command& command, Deadline deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The command's report is dropped should it come after all.
  absl::Status GiveUp(const v1::Command& command, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<v1::Report> CheckAnswer(v1::Report report) const;
  absl::StatusOr<v1::Report> Receive(Deadline deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<const void> keep_alive_;
  v1::Hello hello_;

  // Held for a whole Call.
  absl::Mutex mutex_;
  const std::unique_ptr<ByteChannel> channel_ ABSL_PT_GUARDED_BY(mutex_);
  const std::unique_ptr<ChannelReader> reader_ ABSL_PT_GUARDED_BY(mutex_);
  // Until it was told.
  std::optional<v1::NodeDefinition> definition_ ABSL_GUARDED_BY(mutex_);
  const std::string name_;
  const std::string fleet_id_;
  const std::string peer_;
  // After the first error that leaves the stream in the middle of something.
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  // Commands that nobody waits for any more: their reports are dropped.
  std::set<std::string> given_up_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_SSH_SSH_LINK_H_
