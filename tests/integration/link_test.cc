// What the link carries, its bounds, and what becomes of it when one side hangs or goes.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
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
#include "node/frontend/link_service.h"
#include "tests/testing/link_fixture.h"
#include "tests/testing/tcp_relay.h"
#include "tests/testing/wire_attacker.h"

namespace certcast {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using testing::DescribeCommand;
using ::testing::ElementsAre;
using testing::FakeEngine;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::kFleet;
using testing::kNode;
using testing::kNoProgress;
using testing::kPlenty;
using testing::LinkTest;
using testing::NodeSpec;

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
  EXPECT_THAT(link->Call(DescribeCommand("same"), kPlenty, kNoProgress), IsOk());
  EXPECT_THAT(link->Call(DescribeCommand("same"), kPlenty, nullptr), IsOk());
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
  EXPECT_THAT(link->Call(DescribeCommand("c"), kPlenty, kNoProgress),
              HasReason(Reason::STALE_EPOCH, "epoch 3 is below 4"));
}

TEST_F(LinkTest, RefusesAMessageThatIsTooLargeBeforeSendingIt) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  auto link = OpenRightly();
  ASSERT_NE(link, nullptr);
  v1::Command command = DescribeCommand("big");
  command.mutable_install()->mutable_bundle()->set_fullchain_pem(std::string(kMaxLinkMessage, 'x'));
  EXPECT_THAT(link->Call(command, kPlenty, kNoProgress), HasReason(Reason::MALFORMED, HasSubstr("1048576")));
  EXPECT_THAT(link->Call(DescribeCommand("small"), kPlenty, kNoProgress), IsOk());
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
    v1::Report report;
    stream->Read(&report);  // Hello
    stream->Write(command);
    stream->WritesDone();
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
  v1::Command command = DescribeCommand("big");
  command.mutable_install()->mutable_bundle()->set_fullchain_pem(std::string(kMaxLinkMessage, 'x'));
  EXPECT_EQ(UnboundedClient(RightController(), address_).Send(command).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(engine.commands(), IsEmpty());
}

TEST_F(LinkTest, TheNodeRefusesMetadataThatIsTooLarge) {
  FakeEngine engine;
  const auto agent = Serve(engine);
  // Headers that are far too large cost the peer its connection: it may see that before the refusal.
  EXPECT_THAT(
      UnboundedClient(RightController(), address_).Send(DescribeCommand("c"), std::string(65536, 'x')).error_code(),
      AnyOf(grpc::StatusCode::RESOURCE_EXHAUSTED, grpc::StatusCode::UNAVAILABLE));
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
  EXPECT_THAT((*link)->Call(DescribeCommand("c"), kPlenty, kNoProgress),
              HasReason(Reason::LINK_LOST, HasSubstr(kNode)));
  EXPECT_THAT((*link)->Call(DescribeCommand("d"), kPlenty, kNoProgress), HasReason(Reason::LINK_LOST));
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
  EXPECT_THAT(link->Call(DescribeCommand("slow"), absl::Milliseconds(50), kNoProgress),
              HasReason(Reason::TIMED_OUT, AllOf(HasSubstr(kNode), HasSubstr("50ms"))));
  go_on.Notify();
  auto report = link->Call(DescribeCommand("next"), kPlenty, kNoProgress);
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
  std::thread caller([&] { EXPECT_THAT(busy->Call(DescribeCommand("slow"), kPlenty, kNoProgress), IsOk()); });
  begun.WaitForNotification();
  EXPECT_THAT(other->Call(DescribeCommand("quick"), kPlenty, kNoProgress), IsOk());
  go_on.Notify();
  caller.join();
}

v1::Command ProbeCommand(const std::string& id) {
  v1::Command command;
  command.set_id(id);
  command.mutable_probe();
  return command;
}

v1::Report AnInventory() {
  v1::Report report;
  report.mutable_inventory();
  return report;
}

TEST_F(LinkTest, APeerThatVanishesLosesItsLink) {
  FakeEngine engine;
  const auto agent = Serve(engine, NodeIdentity(ca_, NodeSpec(kNode)),
                           {.keepalive_time = absl::Seconds(1), .keepalive_timeout = absl::Seconds(1)});
  const testing::IssuedCertificate identity = ca_.Issue(testing::ControllerSpec());
  testing::TlsConnection vanishing(address_, 1, &identity);
  ASSERT_TRUE(vanishing.Handshake(kPlenty));
  ASSERT_TRUE(vanishing.Send(testing::Hello() + testing::Frame(testing::FrameType::kHeaders, testing::kEndHeaders, 1,
                                                               testing::LinkHeaders())));
  // A link, so what follows is not the time for having none; then silence, also when asked.
  std::string heard;
  for (const absl::Time give_up = absl::Now() + kPlenty; !absl::StrContains(heard, "1.2.3") && absl::Now() < give_up;) {
    heard += vanishing.Receive(absl::Seconds(1));
  }
  ASSERT_THAT(heard, HasSubstr("1.2.3"));
  const absl::Time start = absl::Now();
  EXPECT_TRUE(vanishing.AwaitEnd(kPlenty));
  EXPECT_LT(absl::Now() - start, kHandshakeTimeout);
}

TEST_F(LinkTest, ConfirmDoesNotWaitForProbesThatHang) {
  absl::Notification go_on;
  FakeEngine engine([&](const v1::Command& command, const node::OnProgress&) {
    if (command.has_probe()) go_on.WaitForNotification();
    v1::Report report = AnInventory();
    if (command.has_confirm()) report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
    return report;
  });
  const auto agent = Serve(engine);
  std::vector<std::unique_ptr<controller::Link>> probing;
  std::vector<std::thread> callers;
  for (int i = 0; i < 20; ++i) {
    probing.push_back(OpenRightly());
    ASSERT_NE(probing.back(), nullptr);
    callers.emplace_back([link = probing.back().get(), i] {
      EXPECT_THAT(link->Call(ProbeCommand(absl::StrCat("probe-", i)), kPlenty, kNoProgress), IsOk());
    });
  }
  auto link = OpenRightly();
  ASSERT_NE(link, nullptr);
  v1::Command confirm;
  confirm.set_id("confirm");
  confirm.mutable_confirm()->set_generation(1);
  const auto report = link->Call(confirm, kPlenty, kNoProgress);
  EXPECT_THAT(report, IsOk());
  EXPECT_FALSE(go_on.HasBeenNotified());
  go_on.Notify();
  for (std::thread& caller : callers) caller.join();
}

TEST_F(LinkTest, StoppingDoesNotBeginWhatStillWaitsForAThread) {
  absl::Notification go_on;
  FakeEngine engine([&](const v1::Command& command, const node::OnProgress&) {
    if (command.has_probe()) go_on.WaitForNotification();
    return AnInventory();
  });
  const auto agent = Serve(engine);
  auto idle = OpenRightly();
  ASSERT_NE(idle, nullptr);
  std::vector<std::unique_ptr<controller::Link>> links;
  std::vector<std::thread> callers;
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 10; ++i) {
    links.push_back(OpenRightly());
    ASSERT_NE(links.back(), nullptr);
    callers.emplace_back([&, link = links.back().get(), i] {
      const auto report = link->Call(ProbeCommand(absl::StrCat("probe-", i)), kPlenty, kNoProgress);
      ++(report.ok() ? answered : refused);
      // LINK_LOST: it had not been read yet.
      if (!report.ok()) {
        EXPECT_THAT(report, AnyOf(HasReason(Reason::BUSY, HasSubstr("is ending")),
                                  HasReason(Reason::LINK_LOST, HasSubstr("is ending"))));
      }
    });
  }
  while (engine.commands().empty()) std::this_thread::yield();
  std::thread stopper([&] { agent->Stop(); });
  // It has begun to stop when a link that does nothing ends.
  for (int i = 0; idle->Call(DescribeCommand(absl::StrCat("idle-", i)), kPlenty, kNoProgress).ok(); ++i) {
  }
  go_on.Notify();
  for (std::thread& caller : callers) caller.join();
  stopper.join();
  EXPECT_GE(answered, 1);
  EXPECT_GE(refused, 1);
  const std::vector<std::string> begun = engine.commands();
  EXPECT_EQ(std::count_if(begun.begin(), begun.end(), [](const auto& id) { return absl::StartsWith(id, "probe"); }),
            answered);
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
  std::thread caller([&] { report = busy->Call(DescribeCommand("busy"), kPlenty, kNoProgress); });
  begun.WaitForNotification();
  std::thread stopper([&] { agent->Stop(); });
  // The idle link ends at once, the busy one is waited for.
  absl::Status ended;
  for (int i = 0; ended.ok(); ++i)
    ended = idle->Call(DescribeCommand(absl::StrCat("idle-", i)), kPlenty, kNoProgress).status();
  // BUSY: its command was read before the link ended.
  EXPECT_THAT(ended, AnyOf(HasReason(Reason::LINK_LOST, HasSubstr("is ending")),
                           HasReason(Reason::BUSY, HasSubstr("is ending"))));
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
        auto report = (*link)->Call(DescribeCommand(id), kPlenty, kNoProgress);
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

TEST_F(LinkTest, AnAgentMayEndAsSoonAsItBegins) {
  for (int i = 0; i < 50; ++i) {
    FakeEngine engine;
    const auto agent = Serve(engine);
    std::thread caller(
        [&] { (void)controller::GrpcTransport(RightController()).Open(At(address_), absl::Milliseconds(50)); });
    agent->Stop();
    agent->Stop();
    caller.join();
  }
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
