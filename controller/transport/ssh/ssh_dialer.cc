#include "controller/transport/ssh/ssh_dialer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
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
  bool in_doubt = false;
  absl::StatusOr<Contact> contact = Reach(target, {.in_doubt = &in_doubt}, deadline);
  if (in_doubt) contact = Reach(target, {.check_contents = true}, deadline);
  RETURN_IF_ERROR(contact.status());
  return std::move(contact->link);
}

absl::StatusOr<AgentOnHost> SshDialer::PutAgent(const SshTarget& target, bool only_look, absl::Duration timeout) {
  ASSIGN_OR_RETURN(Contact contact,
                   Reach(target, {.may_upload = !only_look, .check_contents = true}, Deadline::In(timeout)));
  if (contact.link != nullptr) contact.agent.version = contact.link->hello().version();
  return std::move(contact.agent);
}

absl::StatusOr<SshDialer::Contact> SshDialer::Reach(const SshTarget& target, const Terms& terms, Deadline deadline) {
  ASSIGN_OR_RETURN(RoutedSession routed, routes_->Open(target.definition.node(), target.jumps, target.host, deadline));
  ASSIGN_OR_RETURN(std::unique_ptr<ExecChannel> channel,
                   ExecChannel::Start(std::move(routed.session), kBootstrapCommand, deadline));
  auto reader = std::make_unique<ChannelReader>(*channel);
  const BootstrapOptions options = {.directory = target.binary_directory,
                                    .sudo = target.sudo,
                                    .user = target.host.user,
                                    .may_upload = terms.may_upload,
                                    .check_contents = terms.check_contents,
                                    .in_doubt = terms.in_doubt,
                                    .binary = [&] { return BinaryAt(target.agent_binary); },
                                    .contents = [&](const AgentBinary& binary) { return ContentsOf(binary); }};
  Contact contact;
  ASSIGN_OR_RETURN(contact.agent, Bootstrap(*channel, *reader, options, deadline));
  if (contact.agent.state == AgentOnHost::State::kMissing) return contact;
  const bool uploaded = contact.agent.state == AgentOnHost::State::kUploaded;
  auto link =
      std::make_unique<SshLink>(std::move(channel), std::move(reader), std::move(routed.through), target.definition);
  RETURN_IF_ERROR(link->AwaitHello(uploaded ? Deadline::In(kHelloAfterUpload) : deadline));
  contact.link = std::move(link);
  return contact;
}

absl::StatusOr<std::shared_ptr<const AgentBinary>> SshDialer::BinaryAt(const std::string& path) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<const AgentBinary>& binary = binaries_[path];
  if (binary == nullptr) {
    ASSIGN_OR_RETURN(binary, AgentBinary::Look(path, digests_));
  }
  return binary;
}

absl::StatusOr<std::shared_ptr<const std::string>> SshDialer::ContentsOf(const AgentBinary& binary) {
  absl::MutexLock lock(&mutex_);
  std::weak_ptr<const std::string>& kept = contents_[binary.path];
  std::shared_ptr<const std::string> contents = kept.lock();
  if (contents == nullptr) {
    absl::StatusOr<std::shared_ptr<const std::string>> read = binary.Read();
    if (!read.ok()) {
      digests_.Forget();
      return read.status();
    }
    contents = *std::move(read);
    kept = contents;
  }
  return contents;
}

}  // namespace certcast::controller
