// Who gets a link: a wrong, missing or expired peer is refused, and both sides say why.
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "common/identity/names.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/probe.h"
#include "common/probe/tls_client.h"
#include "tests/testing/link_fixture.h"
#include "tests/testing/local_tcp_server.h"

namespace certcast {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::ControllerSpec;
using testing::Expired;
using testing::FakeEngine;
using testing::HasReason;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using testing::IsOkAndHolds;
using testing::kNode;
using testing::kPlenty;
using testing::LinkTest;
using testing::Log;
using testing::NodeSpec;

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
  EXPECT_THAT(Log().Await("web-03"),
              Contains(AllOf(HasSubstr("web-03.node.certcast"), HasSubstr("not the controller of fleet"))));
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

}  // namespace
}  // namespace certcast
