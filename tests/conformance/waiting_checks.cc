#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/link/bounds.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/stream.h"
#include "common/probe/system_resolver.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"
#include "tests/testing/tcp_relay.h"
#include "tests/testing/wire_attacker.h"

namespace certcast::conformance {
namespace {

// How much later than promised is not too late.
constexpr absl::Duration kMargin = absl::Seconds(5);
// Unless it is told to stand them, a server of gRPC ends the link at the third one, in Go at the fourth.
constexpr int kPingsToStand = 4;

absl::StatusOr<std::unique_ptr<Connection>> OpenServed(Transport& transport, const Approach& approach,
                                                       absl::Duration patience) {
  ASSIGN_OR_RETURN(std::unique_ptr<Connection> link, transport.OpenAs(approach));
  RETURN_IF_ERROR(Annotate(link->Next(patience).status(), "no Hello"));
  return link;
}

absl::Status ExpectEnd(TcpStream& stream, absl::string_view said) {
  absl::StatusOr<std::string> bytes = stream.Read();
  while (bytes.ok() && !bytes->empty()) bytes = stream.Read();
  return Expect(!stream.deadline().IsOver(), absl::StrCat("a connection that says ", said, " is still there after ",
                                                          absl::FormatDuration(kHandshakeTimeout)));
}

struct Stranger {
  std::string said;
  std::string bytes;
  std::unique_ptr<TcpStream> stream = nullptr;
};

absl::Status BoundsHandshakes(Transport& transport, absl::Duration patience) {
  ASSIGN_OR_RETURN(const std::string address, transport.address());
  ASSIGN_OR_RETURN(const HostPort node, ParseHostPort(address));
  const std::string hello = testing::ClientHello();
  Stranger strangers[] = {
      {"nothing", ""}, {"the beginning of a TLS record", hello.substr(0, 3)}, {"a ClientHello and no more", hello}};
  const Deadline deadline = Deadline::In(kHandshakeTimeout + kMargin);
  for (Stranger& stranger : strangers) {
    ASSIGN_OR_RETURN(stranger.stream, TcpStream::Connect(node, SystemResolver(), deadline));
    RETURN_IF_ERROR(stranger.stream->Write(stranger.bytes));
  }
  RETURN_IF_ERROR(Annotate(OpenServed(transport, {.caller = transport.controller()}, patience).status(),
                           "the controller meanwhile"));
  for (const Stranger& stranger : strangers) RETURN_IF_ERROR(ExpectEnd(*stranger.stream, stranger.said));
  return absl::OkStatus();
}

absl::Status NoticesWhoIsGone(Transport& transport, absl::Duration patience) {
  ASSIGN_OR_RETURN(const std::string address, transport.address());
  testing::TcpRelay wire(address);
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link,
                   OpenServed(transport, {.caller = transport.controller(), .by = wire.address()}, patience));
  wire.Freeze();
  const absl::Duration longest = kKeepaliveTime + kKeepaliveTimeout;
  const absl::StatusOr<v1::Report> report = link->Next(longest + kMargin);
  return Expect(absl::IsUnavailable(report.status()),
                absl::StrCat("a controller that is gone still has its link after ", absl::FormatDuration(longest)));
}

absl::Status StandsPings(Transport& transport, absl::Duration patience) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> link,
                   OpenServed(transport, {.caller = transport.controller(), .keepalive = kKeepaliveTime}, patience));
  const absl::StatusOr<v1::Report> report = link->Next(kPingsToStand * kKeepaliveTime + kMargin);
  RETURN_IF_ERROR(Expect(!report.ok(), "an idle link gets a report that nobody asked for"));
  return Expect(absl::IsDeadlineExceeded(report.status()),
                absl::StrCat("an idle link ends: ", report.status().message()));
}

}  // namespace

std::vector<Check> WaitingChecks() {
  constexpr char kBounds[] = "design 2.9, 4; link.proto";
  return {
      {.name = "wire.handshake",
       .promise = "A connection whose handshake takes more than 10 s is cut; the controller is served meanwhile.",
       .source = kBounds,
       .run_beside = BoundsHandshakes},
      {.name = "wire.keepalive",
       .promise = "The link of a controller that is gone without a word is ended after at most 40 s.",
       .source = kBounds,
       .run_beside = NoticesWhoIsGone},
      {.name = "wire.pings",
       .promise = "An idle link stays, and its controller may ping every 30 s.",
       .source = kBounds,
       .run_beside = StandsPings},
  };
}

}  // namespace certcast::conformance
