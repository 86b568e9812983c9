// Both ends of the wire, over loopback: the controller's gRPC transport and the agent's gRPC server, with an engine
// that does what the test says.
#ifndef CERTCAST_TESTS_TESTING_LINK_FIXTURE_H_
#define CERTCAST_TESTS_TESTING_LINK_FIXTURE_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/identity/names.h"
#include "controller/transport/grpc_transport.h"
#include "gtest/gtest.h"
#include "node/frontend/grpc_log.h"
#include "node/frontend/grpc_server.h"
#include "node/identity/identity.h"
#include "tests/testing/fake_engine.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::testing {

inline constexpr char kFleet[] = "0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11";
inline constexpr char kNode[] = "web-02";
// What works takes milliseconds; this is for a machine that is very busy.
inline constexpr absl::Duration kPlenty = absl::Seconds(30);

// Lines that the agent writes for an operator; gRPC's log is the process's, so it is collected once for all tests.
class AgentLog {
 public:
  void Add(absl::string_view line) {
    absl::MutexLock lock(&mutex_);
    lines_.emplace_back(line);
  }
  void Clear() {
    absl::MutexLock lock(&mutex_);
    lines_.clear();
  }
  // Waits for a line with `text` (the other side may know of a refusal first), then gives all of them.
  std::vector<std::string> Await(absl::string_view text) {
    absl::MutexLock lock(&mutex_);
    auto there = [this, text]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return std::any_of(lines_.begin(), lines_.end(),
                         [text](const std::string& line) { return absl::StrContains(line, text); });
    };
    mutex_.AwaitWithTimeout(absl::Condition(&there), kPlenty);
    return lines_;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

inline AgentLog& Log() {
  static AgentLog& log = *new AgentLog;
  return log;
}

inline CertificateSpec NodeSpec(const std::string& name) {
  return {.dns_names = {NodeDnsName(name)}, .uris = {NodeUri(kFleet, name)}};
}

inline CertificateSpec ControllerSpec() {
  return {.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(kFleet)}};
}

inline CertificateSpec Expired(CertificateSpec spec) {
  spec.not_after = absl::FromCivil(absl::CivilDay(2026, 1, 2), absl::UTCTimeZone());
  return spec;
}

class LinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    node::CaptureGrpcLog([](absl::string_view line) { Log().Add(line); });
    Log().Clear();
  }

  node::Identity NodeIdentity(const TestCa& ca, const CertificateSpec& spec, const std::string& name = kNode) {
    IssuedCertificate issued = ca.Issue(spec);
    return {.file = {issued.certificate, ca.certificate(), kFleet, name, fleet_.key()},
            .private_key_pem = std::move(issued.key_pem)};
  }

  controller::LinkIdentity IdentityOf(const TestCa& ca, const CertificateSpec& spec) {
    IssuedCertificate issued = ca.Issue(spec);
    return {.fleet_id = kFleet,
            .chain_pem = issued.fullchain_pem,
            .private_key_pem = std::move(issued.key_pem),
            .fleet_ca_pem = ca_.root_pem()};
  }
  controller::LinkIdentity RightController() { return IdentityOf(ca_, ControllerSpec()); }

  // Starts the agent, by default as it should be. It ends before the engine, and what the engine uses, go: so keep it.
  [[nodiscard]] std::unique_ptr<node::GrpcServer> Serve(FakeEngine& engine) {
    return Serve(engine, NodeIdentity(ca_, NodeSpec(kNode)));
  }
  [[nodiscard]] std::unique_ptr<node::GrpcServer> Serve(FakeEngine& engine, const node::Identity& identity,
                                                        node::GrpcServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    options.version = "1.2.3";
    options.on_refused = [](absl::string_view line) { Log().Add(line); };
    options.on_handled = [] {};
    auto server = node::GrpcServer::Start(options, identity, engine);
    EXPECT_THAT(server, IsOk());
    if (!server.ok()) return nullptr;
    address_ = (*server)->address();
    return *std::move(server);
  }

  controller::NodeConfig At(const std::string& address) { return {.name = kNode, .address = address}; }

  absl::StatusOr<std::unique_ptr<controller::Link>> Open(controller::LinkIdentity identity) {
    return controller::GrpcTransport(std::move(identity)).Open(At(address_), kPlenty);
  }
  std::unique_ptr<controller::Link> OpenRightly() {
    auto link = Open(RightController());
    EXPECT_THAT(link, IsOk());
    return link.ok() ? *std::move(link) : nullptr;
  }

  const TestFleet fleet_{kFleet};
  const TestCa ca_ = TestCa::Root("certcast fleet");
  const TestCa other_ca_ = TestCa::Root("another fleet");
  // Of the agent that was started last.
  std::string address_;
};

inline v1::Command DescribeCommand(const std::string& id) {
  v1::Command command;
  command.set_id(id);
  command.mutable_describe();
  return command;
}

inline const controller::Link::OnProgress kNoProgress = [](const v1::Progress&) {};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_LINK_FIXTURE_H_
