#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "certcast/v1/link.grpc.pb.h"
#include "common/identity/names.h"
#include "common/link/bounds.h"
#include "tests/conformance/connection.h"

namespace certcast::conformance {
namespace {

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address, const std::string& node,
                                           const std::string& fleet_ca_pem, const Approach& approach) {
  const Caller& caller = approach.caller;
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = fleet_ca_pem;
  options.pem_cert_chain = caller.chain_pem;
  options.pem_private_key = caller.key_pem;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(NodeDnsName(node));
  // What is too large is the node's to refuse.
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (approach.keepalive != absl::InfiniteDuration()) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(absl::ToInt64Milliseconds(approach.keepalive)));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(absl::ToInt64Milliseconds(kKeepaliveTimeout)));
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  }
  return grpc::CreateCustomChannel(
      approach.by.empty() ? address : approach.by,
      approach.plaintext ? grpc::InsecureChannelCredentials() : grpc::SslCredentials(options), arguments);
}

class GrpcConnection : public Connection {
 public:
  GrpcConnection(const std::shared_ptr<grpc::Channel>& channel, size_t metadata,
                 absl::Time until = absl::InfiniteFuture())
      : stub_(v1::NodeLink::NewStub(channel)),
        stream_(stub_->Link(Prepare(metadata, until))),
        reader_([this] { Read(); }) {}
  ~GrpcConnection() override {
    context_.TryCancel();
    reader_.join();
  }

  absl::Status Send(const v1::Command& command) override {
    return stream_->Write(command) ? absl::OkStatus() : absl::UnavailableError("the link has ended");
  }
  absl::Status SendBytes(absl::string_view) override { return absl::UnimplementedError("gRPC carries messages only"); }

 private:
  grpc::ClientContext* Prepare(size_t metadata, absl::Time until) {
    if (metadata > 0) context_.AddMetadata("x-conformance", std::string(metadata, 'x'));
    if (until != absl::InfiniteFuture()) context_.set_deadline(absl::ToChronoTime(until));
    return &context_;
  }

  void Read() {
    for (v1::Report report; stream_->Read(&report);) inbox_.Add(std::move(report));
    const grpc::Status status = stream_->Finish();
    inbox_.End(
        absl::UnavailableError(absl::StrCat("the node ended the link: ", status.ok() ? "OK" : status.error_message())));
  }

  grpc::ClientContext context_;
  const std::unique_ptr<v1::NodeLink::Stub> stub_;
  const std::unique_ptr<grpc::ClientReaderWriter<v1::Command, v1::Report>> stream_;
  std::thread reader_;
};

class GrpcTransport : public Transport {
 public:
  GrpcTransport(std::string address, std::string node, std::string fleet_ca_pem, Caller controller)
      : address_(std::move(address)),
        node_(std::move(node)),
        fleet_ca_pem_(std::move(fleet_ca_pem)),
        controller_(std::move(controller)) {}

  absl::StatusOr<std::unique_ptr<Connection>> Open() override { return OpenAs({.caller = controller_}); }
  absl::StatusOr<std::unique_ptr<Connection>> OpenAs(const Approach& approach) override {
    return std::make_unique<GrpcConnection>(MakeChannel(address_, node_, fleet_ca_pem_, approach), approach.metadata);
  }
  absl::StatusOr<std::vector<std::unique_ptr<Connection>>> OpenTogether(int count, absl::Time until) override {
    const std::shared_ptr<grpc::Channel> channel = MakeChannel(address_, node_, fleet_ca_pem_, {.caller = controller_});
    std::vector<std::unique_ptr<Connection>> links;
    links.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) links.push_back(std::make_unique<GrpcConnection>(channel, 0, until));
    return links;
  }
  absl::StatusOr<std::string> address() const override { return address_; }
  Caller controller() const override { return controller_; }
  bool carries_several() const override { return true; }

 private:
  const std::string address_;
  const std::string node_;
  const std::string fleet_ca_pem_;
  const Caller controller_;
};

}  // namespace

std::unique_ptr<Transport> MakeGrpcTransport(const std::string& address, const std::string& node,
                                             const std::string& fleet_ca_pem, const Caller& controller) {
  gpr_set_log_function([](gpr_log_func_args*) {});
  return std::make_unique<GrpcTransport>(address, node, fleet_ca_pem, controller);
}

}  // namespace certcast::conformance
