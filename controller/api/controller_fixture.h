// A controller on a machine without network, whose nodes are fakes, for tests of this folder.
#ifndef CERTCAST_CONTROLLER_API_CONTROLLER_FIXTURE_H_
#define CERTCAST_CONTROLLER_API_CONTROLLER_FIXTURE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/probe/address.h"
#include "common/probe/resolver.h"
#include "controller/api/controller.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/store_view.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"

namespace certcast::controller {

inline constexpr char kName[] = "ev";

// Opened anew by each call, as the real one is.
class TransportView : public Transport {
 public:
  explicit TransportView(testing::FakeTransport& transport) : transport_(transport) {}
  absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) override {
    return transport_.Open(node, timeout);
  }

 private:
  testing::FakeTransport& transport_;
};

// Nobody is there.
class DeadNetwork : public HttpClient, public DnsClient {
 public:
  absl::StatusOr<HttpResponse> Perform(const HttpRequest& request) override {
    ++requests;
    return Fail(Reason::NO_ROUTE, absl::StrCat(request.url, ": connection refused"));
  }
  absl::StatusOr<DnsReply> Ask(const std::string& server, const DnsQuestion&, absl::Duration) override {
    return Fail(Reason::NO_ROUTE, absl::StrCat(server, ": connection refused"));
  }
  absl::Status Update(const std::string& server, const TxtUpdate&, const TsigKey*, absl::Duration) override {
    return Fail(Reason::NO_ROUTE, absl::StrCat(server, ": connection refused"));
  }
  absl::StatusOr<std::vector<std::string>> SystemResolvers() override { return std::vector<std::string>(); }

  int requests = 0;
};

// web-N is at 192.0.2.N.
inline constexpr char kWebs[] = "192.0.2.";
class WebNames final : public Resolver {
 public:
  absl::StatusOr<std::vector<SocketAddress>> Resolve(const HostPort& host, absl::Duration timeout) override {
    return Resolver::Local().Resolve({kWebs + host.host.substr(host.host.find('-') + 1), host.port}, timeout);
  }
};

class ControllerTest : public ::testing::Test {
 protected:
  ControllerTest() {
    machine_.files = &FileSystem::Real();
    machine_.processes = &processes_;
    machine_.prober = &prober_;
    machine_.resolver = &names_;
    machine_.clock = &clock_;
    machine_.http = &network_;
    machine_.dns = &network_;
    machine_.open_store = [this](const std::string&, bool) { return std::make_unique<testing::StoreView>(store_); };
    machine_.make_transport = [this](const std::string&, ControllerIdentity) {
      return std::make_unique<TransportView>(transport_);
    };
    // The controller's own handshakes see what the node serves.
    prober_.Otherwise([this](const ProbeSpec& spec) {
      const std::string& address = std::get<TlsProbe>(spec.what).address;
      std::string node = address.substr(0, address.find(':'));
      if (node.rfind(kWebs, 0) == 0) node.replace(0, sizeof kWebs - 1, "web-");
      return testing::FakeProber::Serves(transport_.Node(node).served_to_controller_sha256(kName));
    });
  }

  // Nodes web-1 to web-`count` with certificate `ev`, which is imported.
  void Configure(int count, const std::string& more = "", const std::string& nodes = "all") {
    std::string text = absl::StrCat("state: state\nmaster_key: {file: master.key}\n", more,
                                    "certificates:\n"
                                    "  - name: ev\n"
                                    "    domains: [www.example.com]\n"
                                    "    nodes: ",
                                    nodes,
                                    "\n"
                                    "    rollout: {waves: [\"1\", \"100%\"]",
                                    rollout_,
                                    "}\n"
                                    "nodes:\n");
    for (int i = 1; i <= count; ++i) {
      absl::StrAppend(&text, "  - {name: web-", i, ", address: \"grpc://127.0.0.1:", 7000 + i, "\", verify: [\"web-", i,
                      ":443\"]}\n");
      transport_.Node(absl::StrCat("web-", i));
    }
    ConfigureText(text);
  }

  void ConfigureText(const std::string& text) {
    absl::StatusOr<Config> config = ParseConfig(text, directory_.path() + "/certcast.yaml");
    ASSERT_THAT(config, testing::IsOk());
    controller_ = std::make_unique<Controller>(*std::move(config), machine_);
    ASSERT_THAT(controller_->Init(), testing::IsOk());
  }

  testing::IssuedCertificate Make(const std::string& name = "www.example.com") {
    return ca_.Issue({.dns_names = {name}});
  }

  absl::StatusOr<v1::ImportResponse> Import(const testing::IssuedCertificate& issued) {
    v1::ImportRequest request;
    request.set_certificate(kName);
    request.set_fullchain_pem(issued.fullchain_pem);
    request.set_private_key_pem(std::string(issued.key_pem.ExposeSecret()));
    return controller_->Import(request);
  }

  absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request = {}) {
    return controller_->Apply(
        request, [this](const v1::ApplyEvent::Progress& progress) { texts_.push_back(progress.text()); }, stop_);
  }

  // The first node that is asked to install, whichever that is.
  void FlapOnce() {
    transport_.SetOnCommand([this](const std::string& node, const v1::Command& command) {
      if (testing::KindOf(command) != testing::CommandKind::kInstall || has_flapped_) return;
      has_flapped_ = true;
      transport_.Node(node).Inject(
          testing::CommandKind::kInstall,
          testing::Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_INCONCLUSIVE, "5 of 9 passed"));
    });
  }

  // As with Ctrl-C while the first node is at work.
  void StopAtTheFirstInstall() {
    transport_.SetOnCommand([this](const std::string&, const v1::Command& command) {
      if (testing::KindOf(command) == testing::CommandKind::kInstall) stop_ = true;
    });
    EXPECT_THAT(Apply(), testing::HasCode(absl::StatusCode::kCancelled));
    transport_.SetOnCommand(nullptr);
    stop_ = false;
  }

  v1::StatusResponse Status() {
    absl::StatusOr<v1::StatusResponse> status = controller_->GetStatus({});
    EXPECT_THAT(status, testing::IsOk());
    return status.ok() ? *status : v1::StatusResponse();
  }

  // More of the certificate's rollout settings, as `, soak: 1s`.
  std::string rollout_;
  const testing::TestCa ca_ = testing::TestCa::Root().Intermediate();
  testing::TemporaryDirectory directory_;
  testing::FakeClock clock_;
  testing::MemoryStore store_;
  testing::FakeTransport transport_{clock_};
  testing::FakeProber prober_;
  testing::FakeProcessRunner processes_;
  DeadNetwork network_;
  WebNames names_;
  Machine machine_;
  std::unique_ptr<Controller> controller_;
  std::vector<std::string> texts_;
  bool has_flapped_ = false;
  std::atomic<bool> stop_ = false;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_CONTROLLER_FIXTURE_H_
