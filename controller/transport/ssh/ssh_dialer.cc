#include "controller/transport/ssh/ssh_dialer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/probe/deadline.h"
#include "common/status/status.h"
#include "controller/transport/ssh/bootstrap.h"
#include "controller/transport/ssh/channel_reader.h"
#include "controller/transport/ssh/exec_channel.h"
#include "controller/transport/ssh/ssh_link.h"

namespace certcast::controller {
namespace {

// For the Hello of an agent that was just put there.
constexpr absl::Duration kHelloAfterUpload = absl::Seconds(30);

}  // namespace

absl::StatusOr<std::unique_ptr<Link>> SshDialer::Open(const SshTarget& target, absl::Duration timeout) {
  const Deadline deadline = Deadline::In(timeout);
  ASSIGN_OR_RETURN(RoutedSession routed, routes_->Open(target.definition.node(), target.jumps, target.host, deadline));
  ASSIGN_OR_RETURN(std::unique_ptr<ExecChannel> channel,
                   ExecChannel::Start(std::move(routed.session), kBootstrapCommand, deadline));
  auto reader = std::make_unique<ChannelReader>(*channel);
  const BootstrapOptions options = {
      .directory = target.binary_directory, .sudo = target.sudo, .user = target.host.user, .binary = [&] {
        return BinaryAt(target.agent_binary);
      }};
  ASSIGN_OR_RETURN(const bool uploaded, Bootstrap(*channel, *reader, options, deadline));
  auto link =
      std::make_unique<SshLink>(std::move(channel), std::move(reader), std::move(routed.through), target.definition);
  RETURN_IF_ERROR(link->AwaitHello(uploaded ? Deadline::In(kHelloAfterUpload) : deadline));
  return link;
}

absl::StatusOr<std::shared_ptr<const AgentBinary>> SshDialer::BinaryAt(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<const AgentBinary>& binary = binaries_[path];
  if (binary == nullptr) {
    ASSIGN_OR_RETURN(binary, AgentBinary::Read(path));
  }
  return binary;
}

}  // namespace certcast::controller
