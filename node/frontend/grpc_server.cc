#include "node/frontend/grpc_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/link/bounds.h"
#include "common/listen/listen_address.h"
#include "common/probe/address.h"
#include "common/status/status.h"
#include "node/frontend/gate.h"
#include "node/frontend/link_service.h"
#include "node/frontend/server_credentials.h"
#include "node/frontend/workers.h"

namespace certcast::node {
namespace {

constexpr size_t kWorkers = 4;
constexpr size_t kProbing = 2;
// For everything that gRPC buffers, over all connections.
constexpr size_t kMemory = size_t{64} * 1024 * 1024;
constexpr int kMaxReadChunk = 16 * 1024;
// For the answers to the commands under way; a peer that doesn't read its own is not waited for.
constexpr absl::Duration kLastAnswer = absl::Minutes(5);

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

void SetBounds(grpc::ServerBuilder& builder, const GrpcServerOptions& options) {
  builder.SetMaxReceiveMessageSize(kMaxLinkMessage);
  builder.SetMaxSendMessageSize(kMaxLinkMessage);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  builder.SetResourceQuota(grpc::ResourceQuota("certcast-node").Resize(kMemory));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxLinkMetadata);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsPerConnection);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Milliseconds(kHandshakeTimeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Milliseconds(kKeepaliveTime / 3));
  // A window that doesn't grow, and reads that don't either: what a peer sends unasked waits at the peer.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kMaxReadChunk);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
}

class Server final : public GrpcServer {
 public:
  Server(Engine& engine, LinkService::Options options)
      : engine_(engine), options_(std::move(options)), workers_(kWorkers), probing_(kProbing) {}
  ~Server() override { Stop(); }

  absl::Status Listen(const GrpcServerOptions& options, const Identity& identity) {
    ASSIGN_OR_RETURN(HostPort address, ParseListenAddress(options.listen));
    ASSIGN_OR_RETURN(gate_, Gate::Listen(address));
    address.port = gate_->port();
    address_ = address.ToString();
    auto credentials = ForControllerOnly(identity, options_.on_refused);
    service_.emplace(engine_, workers_, probing_, *gate_, std::move(options_));
    grpc::ServerBuilder builder;
    SetBounds(builder, options);
    acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, std::move(credentials));
    builder.RegisterService(&*service_);
    queue_ = builder.AddCompletionQueue();
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) return Fail(Reason::NO_ROUTE, absl::StrCat("gRPC can't serve on ", options.listen));
    service_->Open(*queue_);
    thread_ = std::thread([this] { LinkService::Serve(*queue_); });
    gate_->Open([this](int fd) {
      grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
      connection.fd = fd;
      acceptor_->HandleNewConnection(&connection);
    });
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  void Stop() override {
    if (server_ == nullptr) return;
    // Before gRPC, which would close nothing that comes after its end.
    gate_->Close();
    service_->Drain();
    server_->Shutdown(absl::ToChronoTime(absl::Now() + kLastAnswer));
    service_->AwaitEnd();
    queue_->Shutdown();
    thread_.join();
    server_ = nullptr;
  }

 private:
  Engine& engine_;
  LinkService::Options options_;
  Workers workers_;
  Workers probing_;
  // These from Listen on.
  std::unique_ptr<Gate> gate_;
  std::optional<LinkService> service_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  // All of gRPC's work, handshakes as well: whoever floods the agent gets one of the machine's processors, not all.
  std::thread thread_;
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
  RETURN_IF_ERROR(server->Listen(options, identity));
  return server;
}

}  // namespace certcast::node
