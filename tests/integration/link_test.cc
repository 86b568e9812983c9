// Both ends of the wire, over loopback: the controller's gRPC transport and the agent's gRPC server, with an engine
// that does what the test says.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "certcast/v1/link.grpc.pb.h"
#include "common/identity/names.h"
#include "common/link/bounds.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/probe.h"
#include "common/probe/tls_client.h"
#include "controller/transport/grpc_transport.h"
#include "node/frontend/grpc_log.h"
#include "node/frontend/grpc_server.h"
#include "node/frontend/link_service.h"
#include "node/identity/identity.h"
#include "tests/testing/fake_engine.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/tcp_relay.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast {
namespace {

using ::testing::AllOf;
using testing::CertificateSpec;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeEngine;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::TestCa;

constexpr char kFleet[] = "0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11";
constexpr char kNode[] = "web-02";
// What works takes milliseconds; this is for a machine that is very busy.
constexpr absl::Duration kPlenty = absl::Seconds(30);

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

AgentLog& Log() {
  static AgentLog& log = *new AgentLog;
  return log;
}

CertificateSpec NodeSpec(const std::string& name) {
  return {.dns_names = {NodeDnsName(name)}, .uris = {NodeUri(kFleet, name)}};
}

CertificateSpec ControllerSpec() {
  return {.dns_names = {ControllerDnsName()}, .uris = {ControllerUri(kFleet)}};
}

CertificateSpec Expired(CertificateSpec spec) {
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
    testing::IssuedCertificate issued = ca.Issue(spec);
    return {.file = {issued.certificate, ca.certificate(), kFleet, name, fleet_.key()},
            .private_key_pem = std::move(issued.key_pem)};
  }

  controller::LinkIdentity IdentityOf(const TestCa& ca, const CertificateSpec& spec) {
    testing::IssuedCertificate issued = ca.Issue(spec);
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
  [[nodiscard]] std::unique_ptr<node::GrpcServer> Serve(FakeEngine& engine, const node::Identity& identity) {
    node::GrpcServerOptions options;
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

  const testing::TestFleet fleet_{kFleet};
  const TestCa ca_ = TestCa::Root("certcast fleet");
  const TestCa other_ca_ = TestCa::Root("another fleet");
  // Of the agent that was started last.
  std::string address_;
};

v1::Command Describe(const std::string& id) {
  v1::Command command;
  command.set_id(id);
  command.mutable_describe();
  return command;
}

const controller::Link::OnProgress kNoProgress = [](const v1::Progress&) {};

TEST_F(LinkTest, CarriesACommandItsProgressAndItsResult) {
  FakeEngine engine([](const v1::Command& command, const node::OnProgress& on_progress) {
    for (const char* step : {"verify", "stage", "activate"}) {
      v1::Progress progress;
      progress.set_step(step);
      on_progress(progress);
    }
    v1::Report report;
    report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
    report.mutable_install_result()->set_certificate(command.install().bundle().fullchain_pem());
    return report;
  });
  const auto agent = Serve(engine);
  auto link = OpenRightly();
  ASSERT_NE(link, nullptr);
  EXPECT_EQ(link->hello().node(), kNode);
  EXPECT_EQ(link->hello().version(), "1.2.3");
  EXPECT_EQ(link->hello().fleet_id(), kFleet);

  v1::Command install;
  install.set_id("c-1");
  install.mutable_install()->mutable_bundle()->set_fullchain_pem("what was sent");
  std::vector<std::string> steps;
  auto report = link->Call(install, kPlenty, [&](const v1::Progress& progress) { steps.push_back(progress.step()); });
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(report->install_result().outcome(), v1::Outcome::INSTALLED);
  EXPECT_EQ(report->install_result().certificate(), "what was sent");
  EXPECT_THAT(steps, ElementsAre("verify", "stage", "activate"));
}

TEST_F(LinkTest, GivesTheEngineARepeatedIdAgain) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  auto link = OpenRightly();
  ASSERT_NE(link, nullptr);
  EXPECT_THAT(link->Call(Describe("same"), kPlenty, kNoProgress), IsOk());
  EXPECT_THAT(link->Call(Describe("same"), kPlenty, nullptr), IsOk());
  EXPECT_THAT(engine.commands(), ElementsAre("same", "same"));
}

TEST_F(LinkTest, ARefusalIsAnErrorWithItsReason) {
  FakeEngine engine([](const v1::Command&, const node::OnProgress&) {
    v1::Report report;
    report.mutable_refusal()->mutable_failure()->set_reason(v1::Reason::STALE_EPOCH);
    report.mutable_refusal()->mutable_failure()->set_detail("epoch 3 is below 4");
    return report;
  });
  const auto agent = Serve(engine);
  auto link = OpenRightly();
  ASSERT_NE(link, nullptr);
  EXPECT_THAT(link->Call(Describe("c"), kPlenty, kNoProgress), HasReason(Reason::STALE_EPOCH, "epoch 3 is below 4"));
}

TEST_F(LinkTest, RefusesAControllerOfAnotherCa) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  EXPECT_THAT(Open(IdentityOf(other_ca_, ControllerSpec())),
              HasReason(Reason::AUTH_FAILED,
                        AllOf(HasSubstr("web-02 at 127.0.0.1:"), HasSubstr("refused the controller's certificate"),
                              HasSubstr("another fleet"))));
  EXPECT_THAT(
      Log().Await("refused a connection"),
      Contains("refused a connection: peer did not present a certificate of this fleet: unable to get local issuer "
               "certificate"));
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, RefusesAControllerWhoseCertificateHasExpired) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  EXPECT_THAT(Open(IdentityOf(ca_, Expired(ControllerSpec()))),
              HasReason(Reason::AUTH_FAILED, HasSubstr("refused the controller's certificate: it expired 2026-01-02")));
  EXPECT_THAT(
      Log().Await("refused a connection"),
      Contains("refused a connection: peer did not present a certificate of this fleet: certificate has expired"));
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, RefusesAPeerWithoutACertificate) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  TlsOptions options;
  options.alpn = {"h2"};
  auto stream = TlsStream::Connect(*ParseHostPort(address_), NodeDnsName(kNode), options, Deadline::In(kPlenty));
  // In TLS 1.3 the client is done first, and hears of the refusal when it reads.
  if (stream.ok()) {
    EXPECT_THAT((*stream)->Read(), ::testing::AnyOf(::testing::Not(IsOk()), IsOkAndHolds("")));
  }
  EXPECT_THAT(Log().Await("refused a connection"), Contains("refused a connection: peer presented no certificate"));
}

TEST_F(LinkTest, SaysWhoDoesNotSpeakTls) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  EXPECT_FALSE(Prober::Real().Look({HttpProbe{.url = "http://" + address_ + "/"}}, kPlenty).ok);
  EXPECT_THAT(Log().Await("refused a connection"), Contains("refused a connection: peer does not speak TLS"));
}

TEST_F(LinkTest, RefusesAnotherNodeOfTheFleetAsController) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  EXPECT_THAT(
      Open(IdentityOf(ca_, NodeSpec("web-03"))),
      HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("refused the controller"), HasSubstr("web-03.node.certcast"),
                                           HasSubstr("not the controller of fleet"))));
  EXPECT_THAT(Log().Await("web-03"), Contains(AllOf(HasSubstr("127.0.0.1"), HasSubstr("web-03.node.certcast"))));
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, RefusesTheControllerOfAnotherFleetEvenOfTheSameCa) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  EXPECT_THAT(Open(IdentityOf(ca_, {.dns_names = {ControllerDnsName()}, .uris = {ControllerUri("other")}})),
              HasReason(Reason::AUTH_FAILED, HasSubstr("refused the controller")));
}

TEST_F(LinkTest, RefusesAnotherNodeAtTheAddress) {
  FakeEngine engine;
  const auto agent = Serve(engine, NodeIdentity(ca_, NodeSpec("web-03"), "web-03"));
  EXPECT_THAT(Open(RightController()),
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("web-02 at 127.0.0.1:"), HasSubstr("node web-03's"))));
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, RefusesANodeOfAnotherFleetWithTheSameName) {
  FakeEngine engine;
  const auto agent =
      Serve(engine, NodeIdentity(ca_, {.dns_names = {NodeDnsName(kNode)}, .uris = {NodeUri("other", kNode)}}));
  EXPECT_THAT(Open(RightController()), HasReason(Reason::AUTH_FAILED, HasSubstr("of fleet 0b9f8a52")));
}

TEST_F(LinkTest, RefusesANodeWhoseCertificateHasExpired) {
  FakeEngine engine;
  const auto agent = Serve(engine, NodeIdentity(ca_, Expired(NodeSpec(kNode))));
  EXPECT_THAT(Open(RightController()),
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("web-02 at 127.0.0.1:"),
                                                   HasSubstr("showed a certificate that expired 2026-01-02"))));
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, RefusesANodeOfAnotherCa) {
  FakeEngine engine;
  node::Identity identity = NodeIdentity(other_ca_, NodeSpec(kNode));
  identity.file.fleet_ca = ca_.certificate();  // so that it takes the controller
  const auto agent = Serve(engine, identity);
  EXPECT_THAT(Open(RightController()),
              HasReason(Reason::AUTH_FAILED, AllOf(HasSubstr("not of this fleet"), HasSubstr("another fleet"))));
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, TakesUpARenewedIdentity) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  controller::GrpcTransport transport(IdentityOf(ca_, Expired(ControllerSpec())));
  EXPECT_THAT(transport.Open(At(address_), kPlenty), HasReason(Reason::AUTH_FAILED));
  transport.SetIdentity(RightController());
  EXPECT_THAT(transport.Open(At(address_), kPlenty), IsOk());
}

TEST_F(LinkTest, SaysThatNobodyListens) {
  testing::RefusingPort closed;
  EXPECT_THAT(controller::GrpcTransport(RightController()).Open(At(closed.address()), kPlenty),
              HasReason(Reason::NO_ROUTE, AllOf(HasSubstr(kNode), HasSubstr(closed.address()), HasSubstr("refused"))));
}

TEST_F(LinkTest, SaysThatAPeerIsSilent) {
  testing::SilentServer silent;
  const absl::Time start = absl::Now();
  EXPECT_THAT(controller::GrpcTransport(RightController()).Open(At(silent.address()), absl::Milliseconds(100)),
              HasReason(Reason::TIMED_OUT, HasSubstr(kNode)));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(LinkTest, SaysThatAnotherServiceHasThePort) {
  testing::TalkingServer plain("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_THAT(controller::GrpcTransport(RightController()).Open(At(plain.address()), kPlenty),
              HasReason(Reason::PROTOCOL, AllOf(HasSubstr(kNode), HasSubstr("not TLS"))));
  testing::TalkingServer hangs_up("");
  EXPECT_THAT(controller::GrpcTransport(RightController()).Open(At(hangs_up.address()), kPlenty),
              HasReason(Reason::PROTOCOL, AllOf(HasSubstr(kNode), HasSubstr("closed the connection"))));
}

TEST_F(LinkTest, SaysThatAHostIsUnknown) {
  EXPECT_THAT(controller::GrpcTransport(RightController()).Open(At("web-02.invalid:7444"), kPlenty),
              HasReason(Reason::NO_ROUTE, AllOf(HasSubstr(kNode), HasSubstr("web-02.invalid"))));
}

TEST_F(LinkTest, RefusesAMessageThatIsTooLargeBeforeSendingIt) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  auto link = OpenRightly();
  ASSERT_NE(link, nullptr);
  v1::Command command = Describe("big");
  command.mutable_install()->mutable_bundle()->set_fullchain_pem(std::string(kMaxLinkMessage, 'x'));
  EXPECT_THAT(link->Call(command, kPlenty, kNoProgress), HasReason(Reason::MALFORMED, HasSubstr("1048576")));
  EXPECT_THAT(link->Call(Describe("small"), kPlenty, kNoProgress), IsOk());
  EXPECT_THAT(engine.commands(), ElementsAre("small"));
}

// As a controller that keeps no bounds.
class UnboundedClient {
 public:
  UnboundedClient(const controller::LinkIdentity& identity, const std::string& address) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = identity.fleet_ca_pem;
    options.pem_cert_chain = identity.chain_pem;
    options.pem_private_key = std::string(identity.private_key_pem.ExposeSecret());
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride(NodeDnsName(kNode));
    arguments.SetMaxSendMessageSize(-1);
    stub_ =
        v1::NodeLink::NewStub(grpc::CreateCustomChannel("ipv4:" + address, grpc::SslCredentials(options), arguments));
  }

  // The stream's end, after this command.
  grpc::Status Send(const v1::Command& command, const std::string& metadata = "") {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPlenty));
    if (!metadata.empty()) context.AddMetadata("x", metadata);
    auto stream = stub_->Link(&context);
    stream->Write(command);
    stream->WritesDone();
    v1::Report report;
    while (stream->Read(&report)) {
    }
    return stream->Finish();
  }

 private:
  std::unique_ptr<v1::NodeLink::Stub> stub_;
};

TEST_F(LinkTest, TheNodeRefusesAMessageThatIsTooLarge) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  v1::Command command = Describe("big");
  command.mutable_install()->mutable_bundle()->set_fullchain_pem(std::string(kMaxLinkMessage, 'x'));
  EXPECT_EQ(UnboundedClient(RightController(), address_).Send(command).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, TheNodeRefusesMetadataThatIsTooLarge) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  EXPECT_EQ(UnboundedClient(RightController(), address_).Send(Describe("c"), std::string(64 * 1024, 'x')).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, ALinkThatIsCutInTheMiddleIsLost) {
  absl::Notification begun;
  absl::Notification go_on;
  FakeEngine engine([&](const v1::Command&, const node::OnProgress&) {
    begun.Notify();
    go_on.WaitForNotification();
    v1::Report report;
    report.mutable_inventory();
    return report;
  });
  const auto agent = Serve(engine);
  testing::TcpRelay relay(address_);
  auto link = controller::GrpcTransport(RightController()).Open(At(relay.address()), kPlenty);
  ASSERT_THAT(link, IsOk());
  std::thread cutter([&] {
    begun.WaitForNotification();
    relay.Cut();
  });
  EXPECT_THAT((*link)->Call(Describe("c"), kPlenty, kNoProgress), HasReason(Reason::LINK_LOST, HasSubstr(kNode)));
  EXPECT_THAT((*link)->Call(Describe("d"), kPlenty, kNoProgress), HasReason(Reason::LINK_LOST));
  cutter.join();
  go_on.Notify();
}

TEST_F(LinkTest, ANodeThatHangsIsTimedOutAndItsLateAnswerDropped) {
  absl::Notification go_on;
  FakeEngine engine([&](const v1::Command& command, const node::OnProgress&) {
    if (command.id() == "slow") go_on.WaitForNotification();
    v1::Report report;
    report.mutable_inventory()->set_node("answer to " + command.id());
    return report;
  });
  const auto agent = Serve(engine);
  auto link = OpenRightly();
  ASSERT_NE(link, nullptr);
  EXPECT_THAT(link->Call(Describe("slow"), absl::Milliseconds(50), kNoProgress),
              HasReason(Reason::TIMED_OUT, AllOf(HasSubstr(kNode), HasSubstr("50ms"))));
  go_on.Notify();
  auto report = link->Call(Describe("next"), kPlenty, kNoProgress);
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(report->inventory().node(), "answer to next");
}

TEST_F(LinkTest, AnswersOnOneLinkWhileAnotherIsBusy) {
  absl::Notification begun;
  absl::Notification go_on;
  FakeEngine engine([&](const v1::Command& command, const node::OnProgress&) {
    if (command.id() == "slow") {
      begun.Notify();
      go_on.WaitForNotification();
    }
    v1::Report report;
    report.mutable_inventory();
    return report;
  });
  const auto agent = Serve(engine);
  auto busy = OpenRightly();
  auto other = OpenRightly();
  ASSERT_NE(busy, nullptr);
  ASSERT_NE(other, nullptr);
  std::thread caller([&] { EXPECT_THAT(busy->Call(Describe("slow"), kPlenty, kNoProgress), IsOk()); });
  begun.WaitForNotification();
  EXPECT_THAT(other->Call(Describe("quick"), kPlenty, kNoProgress), IsOk());
  go_on.Notify();
  caller.join();
}

TEST_F(LinkTest, StoppingFinishesTheCommandUnderWayAndAnswersIt) {
  absl::Notification begun;
  absl::Notification go_on;
  FakeEngine engine([&](const v1::Command& command, const node::OnProgress&) {
    if (command.id() == "busy") {
      begun.Notify();
      go_on.WaitForNotification();
    }
    v1::Report report;
    report.mutable_inventory()->set_node("finished");
    return report;
  });
  const auto agent = Serve(engine);
  auto busy = OpenRightly();
  auto idle = OpenRightly();
  ASSERT_NE(busy, nullptr);
  ASSERT_NE(idle, nullptr);
  absl::StatusOr<v1::Report> report = absl::UnknownError("not called");
  std::thread caller([&] { report = busy->Call(Describe("busy"), kPlenty, kNoProgress); });
  begun.WaitForNotification();
  std::thread stopper([&] { agent->Stop(); });
  // The idle link ends at once, the busy one is waited for.
  absl::Status ended;
  for (int i = 0; ended.ok(); ++i)
    ended = idle->Call(Describe(absl::StrCat("idle-", i)), kPlenty, kNoProgress).status();
  EXPECT_THAT(ended, HasReason(Reason::LINK_LOST, HasSubstr("is ending")));
  go_on.Notify();
  caller.join();
  stopper.join();
  ASSERT_THAT(report, IsOk());
  EXPECT_EQ(report->inventory().node(), "finished");
}

TEST_F(LinkTest, FiftyLinksAtOnce) {
  FakeEngine engine([](const v1::Command& command, const node::OnProgress&) {
    v1::Report report;
    report.mutable_inventory()->set_node(command.id());
    return report;
  });
  const auto agent = Serve(engine);
  controller::GrpcTransport transport(RightController());
  absl::Mutex mutex;
  std::vector<std::unique_ptr<controller::Link>> links;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) {
    threads.emplace_back([&, i] {
      auto link = transport.Open(At(address_), kPlenty);
      ASSERT_THAT(link, IsOk());
      for (int round = 0; round < 3; ++round) {
        const std::string id = absl::StrCat("c-", i, "-", round);
        auto report = (*link)->Call(Describe(id), kPlenty, kNoProgress);
        ASSERT_THAT(report, IsOk());
        EXPECT_EQ(report->inventory().node(), id);
      }
      absl::MutexLock lock(&mutex);
      links.push_back(*std::move(link));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(links.size(), 50);
  EXPECT_EQ(engine.commands().size(), 150);
}

TEST_F(LinkTest, RefusesMoreLinksThanANodeHolds) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  controller::GrpcTransport transport(RightController());
  std::vector<std::unique_ptr<controller::Link>> links;
  for (size_t i = 0; i < node::kMaxLinks; ++i) {
    auto link = transport.Open(At(address_), kPlenty);
    ASSERT_THAT(link, IsOk());
    links.push_back(*std::move(link));
  }
  EXPECT_THAT(transport.Open(At(address_), kPlenty), HasReason(Reason::PROTOCOL, HasSubstr("64 links")));
}

TEST_F(LinkTest, SaysWhyItCannotListen) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  const node::Identity identity = NodeIdentity(ca_, NodeSpec(kNode));
  node::GrpcServerOptions options{.listen = address_};
  EXPECT_THAT(node::GrpcServer::Start(options, identity, engine),
              HasReason(Reason::NO_ROUTE, AllOf(HasSubstr(address_), HasSubstr("in use"))));
  for (const char* wrong : {"localhost:7444", "7444", "127.0.0.1", "127.0.0.1:99999", "[::1:7444", ""}) {
    options.listen = wrong;
    EXPECT_THAT(node::GrpcServer::Start(options, identity, engine),
                testing::HasCode(absl::StatusCode::kInvalidArgument))
        << wrong;
  }
}

}  // namespace
}  // namespace certcast
