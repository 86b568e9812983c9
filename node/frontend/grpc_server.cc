#include "node/frontend/grpc_server.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/file/descriptor.h"
#include "common/link/bounds.h"
#include "common/probe/address.h"
#include "common/status/status.h"
#include "node/config/listen_address.h"
#include "node/frontend/link_service.h"
#include "node/frontend/workers.h"

namespace certcast::node {
namespace {

constexpr size_t kWorkers = 4;
// For everything that gRPC buffers, over all connections.
constexpr size_t kMemory = size_t{64} * 1024 * 1024;
// An install with its way back takes no longer; a peer that doesn't read its answer is not waited for.
constexpr absl::Duration kLastAnswer = absl::Minutes(5);

// What bind(2) takes; the host is digits.
socklen_t ToSocketAddress(const HostPort& address, sockaddr_storage& storage) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  if (inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    return sizeof(*v4);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(address.port);
  inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr);
  return sizeof(*v6);
}

// gRPC says only that it could not listen; the operating system says why.
absl::Status TryToBind(const HostPort& address) {
  sockaddr_storage storage{};
  const socklen_t size = ToSocketAddress(address, storage);
  const Descriptor fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd.valid() && setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) == 0 && listen(fd.get(), 1) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  return Fail(Reason::NO_ROUTE, absl::StrCat("can't listen on ", address.ToString(), ": ", strerror(error)),
              error == EADDRINUSE      ? "is another certcast-node running? `ss -ltnp` shows who has the port"
              : error == EADDRNOTAVAIL ? "no interface of this machine has that address"
                                       : "");
}

std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const Identity& identity) {
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = identity.file.fleet_ca.ToPem();
  options.pem_key_cert_pairs.push_back(
      {std::string(identity.private_key_pem.ExposeSecret()), identity.file.certificate.ToPem()});
  auto credentials = grpc::SslServerCredentials(options);
  std::string& copy = options.pem_key_cert_pairs[0].private_key;
  Wipe(copy.data(), copy.size());
  return credentials;
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

void SetBounds(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxLinkMessage);
  builder.SetMaxSendMessageSize(kMaxLinkMessage);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  builder.SetResourceQuota(grpc::ResourceQuota("certcast-node").Resize(kMemory));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxLinkMetadata);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(kKeepaliveTime));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(kKeepaliveTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Milliseconds(kKeepaliveTime / 3));
  // Two agents on one port would each get half of the links.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
}

class Server final : public GrpcServer {
 public:
  Server(Engine& engine, LinkService::Options options)
      : workers_(kWorkers), service_(engine, workers_, std::move(options)) {}
  ~Server() override { Stop(); }

  absl::Status Listen(absl::string_view listen, const Identity& identity) {
    ASSIGN_OR_RETURN(HostPort address, ParseListenAddress(listen));
    RETURN_IF_ERROR(TryToBind(address));
    grpc::ServerBuilder builder;
    SetBounds(builder);
    int port = 0;
    builder.AddListeningPort(std::string(listen), MakeCredentials(identity), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) return Fail(Reason::NO_ROUTE, absl::StrCat("can't listen on ", listen));
    address.port = static_cast<uint16_t>(port);
    address_ = address.ToString();
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  void Stop() override {
    if (server_ == nullptr) return;
    service_.Drain();
    server_->Shutdown(absl::ToChronoTime(absl::Now() + kLastAnswer));
    server_->Wait();
  }

 private:
  Workers workers_;
  LinkService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              const Identity& identity, Engine& engine) {
  LinkService::Options service{.on_refused = options.on_refused, .on_handled = options.on_handled};
  service.hello.set_node(identity.file.node);
  service.hello.set_version(options.version);
  service.hello.set_fleet_id(identity.file.fleet_id);
  auto server = std::make_unique<Server>(engine, std::move(service));
  RETURN_IF_ERROR(server->Listen(options.listen, identity));
  return server;
}

}  // namespace certcast::node
