#include "controller/transport/grpc_transport.h"

#include <arpa/inet.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/identity/names.h"
#include "common/link/bounds.h"
#include "common/status/status.h"
#include "controller/transport/diagnose.h"
#include "controller/transport/grpc_link.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kLongestDiagnosis = absl::Seconds(5);
constexpr absl::Duration kDiagnosisBeyondTimeout = absl::Seconds(1);
// A node with too many visitors cuts some of them, us among them. Tried again so often, after twice the pause each
// time.
constexpr int kMaxTries = 6;
constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
// Messages are small and rare: a big buffer a link would be memory for nothing.
constexpr int kReadChunk = 1024;

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// gRPC's name for host:port, so that a number is never looked up.
std::string Target(const std::string& address) {
  const std::string host = address.substr(0, address.rfind(':'));
  in_addr v4;
  if (absl::StartsWith(host, "[")) return absl::StrCat("ipv6:", address);
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return absl::StrCat("ipv4:", address);
  return absl::StrCat("dns:///", address);
}

grpc::ChannelArguments Arguments(const std::string& node) {
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(NodeDnsName(node));
  arguments.SetMaxReceiveMessageSize(kMaxLinkMessage);
  arguments.SetMaxSendMessageSize(kMaxLinkMessage);
  arguments.SetCompressionAlgorithm(GRPC_COMPRESS_NONE);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, kMaxLinkMetadata);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveTime));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_TCP_READ_CHUNK_SIZE, kReadChunk);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  // The environment's proxy is for the web, not for nodes.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const LinkIdentity& identity) {
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = identity.fleet_ca_pem;
  options.pem_cert_chain = identity.chain_pem;
  options.pem_private_key = std::string(identity.private_key_pem.ExposeSecret());
  auto credentials = grpc::SslCredentials(options);
  Wipe(options.pem_private_key.data(), options.pem_private_key.size());
  return credentials;
}

// A stream that ended before Hello, once a look at the connection found nothing wrong with it.
absl::Status Explain(const grpc::Status& status, const std::string& peer) {
  switch (status.error_code()) {
    case grpc::StatusCode::PERMISSION_DENIED:
      return Fail(Reason::AUTH_FAILED, absl::StrCat(peer, " refused the controller: ", status.error_message()),
                  "the node belongs to another controller: have it accept an identity of this fleet");
    case grpc::StatusCode::UNIMPLEMENTED:
      return Fail(Reason::PROTOCOL, absl::StrCat(peer, " does not speak certcast's link"),
                  "is it another service on that port, or a certcast-node of another version?");
    case grpc::StatusCode::UNAVAILABLE:
      return Fail(Reason::NO_ROUTE, absl::StrCat(peer, ": ", status.error_message()));
    default:
      return Fail(Reason::PROTOCOL, absl::StrCat(peer, " did not open the link: ", status.error_message()));
  }
}

}  // namespace

GrpcTransport::GrpcTransport(LinkIdentity identity) {
  SetIdentity(std::move(identity));
}

GrpcTransport::~GrpcTransport() = default;

void GrpcTransport::SetIdentity(LinkIdentity identity) {
  auto credentials = MakeCredentials(identity);
  absl::MutexLock lock(&mutex_);
  identity_ = std::make_shared<LinkIdentity>(std::move(identity));
  credentials_ = std::move(credentials);
}

absl::StatusOr<std::unique_ptr<Link>> GrpcTransport::Open(const NodeConfig& node, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Duration pause = kFirstPause;
  for (int tries = 1;; ++tries) {
    bool try_again = false;
    absl::StatusOr<std::unique_ptr<Link>> link = Try(node, timeout, deadline, try_again);
    if (!try_again || tries == kMaxTries || absl::Now() + pause >= deadline) return link;
    absl::SleepFor(pause);
    pause *= 2;
  }
}

absl::StatusOr<std::unique_ptr<Link>> GrpcTransport::Try(const NodeConfig& node, absl::Duration timeout,
                                                         absl::Time deadline, bool& try_again) {
  std::shared_ptr<const LinkIdentity> identity;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  {
    absl::MutexLock lock(&mutex_);
    identity = identity_;
    credentials = credentials_;
  }
  const std::string peer = absl::StrCat(node.name, " at ", node.address);
  auto channel = grpc::CreateCustomChannel(Target(node.address), credentials, Arguments(node.name));
  auto link = std::make_unique<GrpcLink>(channel, peer);
  std::vector<std::string> names;
  const grpc::Status status = link->AwaitHello(deadline, names);
  if (status.ok()) {
    if (PeerNode(identity->fleet_id, names) == node.name) return link;
    return Fail(Reason::AUTH_FAILED, absl::StrCat(peer, " is ", absl::StrJoin(names, ", "), ", not ", node.name,
                                                  " of fleet ", identity->fleet_id));
  }
  // All of its links are taken: one may come free.
  try_again = status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
  const bool connected = channel->GetState(false) == GRPC_CHANNEL_READY;
  link.reset();
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && connected) {
    return Fail(Reason::TIMED_OUT,
                absl::StrCat(peer, " connected, but said nothing within ", absl::FormatDuration(timeout)),
                "is certcast-node stuck there?");
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
      status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    const absl::Duration left = std::max(deadline - absl::Now(), kDiagnosisBeyondTimeout);
    RETURN_IF_ERROR(Diagnose(node, *identity, std::min(left, kLongestDiagnosis), try_again));
    try_again = status.error_code() == grpc::StatusCode::UNAVAILABLE;
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return Fail(Reason::TIMED_OUT, absl::StrCat(peer, " opened no link within ", absl::FormatDuration(timeout)));
  }
  return Explain(status, peer);
}

void SilenceGrpcLog() {
  gpr_set_log_function([](gpr_log_func_args*) {});
}

}  // namespace certcast::controller
