#include "tests/bench/memory_node.h"

#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/clock/clock.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "node/engine/engine.h"
#include "node/frontend/grpc_server.h"
#include "tests/testing/memory_file_system.h"

namespace certcast::bench {
namespace {

constexpr char kFullchain[] = "/etc/web/fullchain.pem";
constexpr char kKey[] = "/etc/web/privkey.pem";

// A node has its engine to itself.
class NoLocker final : public node::StateLocker {
 public:
  absl::StatusOr<std::unique_ptr<node::StateLock>> Lock(const std::string&) override {
    return std::make_unique<node::StateLock>();
  }
};

// `web -t` and `web reload`, as programs, and what a handshake with it would see from the node itself.
class WebServer final : public ProcessRunner, public Prober {
 public:
  WebServer(testing::MemoryFileSystem& files, WebPort& port, std::string address)
      : files_(files), port_(port), address_(std::move(address)) {}

  absl::StatusOr<ProcessResult> Run(const ProcessRequest& request) override {
    ProcessResult result;
    const std::optional<std::string> fullchain = files_.GetFile(kFullchain);
    const std::optional<std::string> key = files_.GetFile(kKey);
    result.exit_code = fullchain.has_value() && key.has_value() ? 0 : 1;
    if (result.exit_code != 0 || request.argv.back() == "-t") return result;
    absl::StatusOr<std::string> leaf = port_.Serve(address_, *fullchain, *key);
    if (!leaf.ok()) {
      result.exit_code = 1;
      result.error = std::string(leaf.status().message());
      return result;
    }
    absl::MutexLock lock(&mutex_);
    served_ = *std::move(leaf);
    return result;
  }

  Observation Look(const ProbeSpec&, absl::Duration) override {
    absl::MutexLock lock(&mutex_);
    if (served_.empty()) return {.detail = "it has no certificate yet"};
    return {.served_sha256 = served_, .chain_sha256 = {}, .ok = true};
  }

 private:
  testing::MemoryFileSystem& files_;
  WebPort& port_;
  const std::string address_;
  absl::Mutex mutex_;
  std::string served_ ABSL_GUARDED_BY(mutex_);
};

class MemoryNode final : public RunningNode {
 public:
  explicit MemoryNode(const MemoryNodeOptions& options)
      : address_(LoopbackOf(options.index)),
        web_port_(options.web->port()),
        web_(files_, *options.web, LoopbackOf(options.index)) {
    files_.PutDirectory("/etc/web", {0755, geteuid(), getegid()});
  }

  std::string Describe() const override { return absl::StrCat(server_->address(), " ", address_, ":", web_port_); }

  absl::Status Serve(const MemoryNodeOptions& options) {
    static auto* const locker = new NoLocker;
    ASSIGN_OR_RETURN(
        engine_,
        node::Engine::Start(
            ConfigOf(options),
            {.files = &files_, .processes = &web_, .prober = &web_, .clock = &Clock::Real(), .locker = locker}));
    const node::GrpcServerOptions listening{.listen = absl::StrCat(address_, ":0"),
                                            .version = kVersion,
                                            .on_refused = [](absl::string_view) {},
                                            .on_handled = [] {}};
    ASSIGN_OR_RETURN(server_, node::GrpcServer::Start(listening, options.identity, *engine_));
    return absl::OkStatus();
  }

 private:
  static node::EngineConfig ConfigOf(const MemoryNodeOptions& options) {
    Service service;
    service.name = "web";
    service.certificate = options.certificate;
    service.files = {{.path = kFullchain, .content = FileContent::kFullchain, .mode = 0644},
                     {.path = kKey, .content = FileContent::kPrivateKey, .mode = 0600}};
    service.check.argv = {"web", "-t"};
    service.reload.how = CommandReload{.argv = {"web", "reload"}};
    service.probes = {{.what = TlsProbe{"127.0.0.1:443", "www.bench.test"}}};
    node::EngineConfig config;
    config.node = NameOf(options.index);
    config.state = "/var/lib/certcast-node";
    config.allow_names = {"*.bench.test", "bench.test"};
    config.services = {std::move(service)};
    config.fleet = node::EngineConfig::Fleet{options.identity.file.fleet_id, options.identity.file.manifest_key};
    config.version = kVersion;
    return config;
  }

  const std::string address_;
  const int web_port_;
  testing::MemoryFileSystem files_;
  WebServer web_;
  std::unique_ptr<node::Engine> engine_;
  std::unique_ptr<node::GrpcServer> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RunningNode>> MakeMemoryNode(MemoryNodeOptions options) {
  auto node = std::make_unique<MemoryNode>(options);
  RETURN_IF_ERROR(node->Serve(options));
  return node;
}

}  // namespace certcast::bench
