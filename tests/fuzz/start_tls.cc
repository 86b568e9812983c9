// What a server, or somebody in between, says before TLS begins.
#include "common/probe/start_tls.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "tests/fuzz/target.h"
#include "tests/testing/scripted_stream.h"
#include "tests/testing/start_tls_scripts.h"

namespace certcast::fuzz {
namespace {

constexpr char kPeer[] = "10.0.0.1:25";
constexpr size_t kMaxPiece = size_t{16} * 1024;  // of Stream::Read
constexpr size_t kMaxRead = size_t{64} * 1024;
constexpr size_t kMaxAsked = 1024;

absl::Status Talk(StartTlsProtocol protocol, absl::string_view says, size_t piece) {
  testing::ScriptedStream stream(InPieces(says, piece));
  absl::Status status = StartTls(stream, protocol, "example.com", kPeer);
  RequireOrderly(status);
  Require(stream.written().size() <= kMaxAsked, "no more is asked than the protocol has");
  if (status.ok()) return status;
  Require(absl::StartsWith(status.message(), absl::StrCat(kPeer, ": ", NameOf(protocol), " ")),
          "an error names peer and protocol");
  const Reason::Code reason = ReasonOf(status);
  Require(reason == Reason::PROTOCOL || reason == Reason::LINK_LOST, "an answer is wrong, or it ended");
  return status;
}

StartTlsProtocol ProtocolOf(unsigned byte) {
  return StartTlsNames()[byte % StartTlsNames().size()].protocol;
}

bool CameTooEarly(const absl::Status& status) {
  return absl::StrContains(status.message(), "sent more in the clear");
}

}  // namespace

// Protocol, size of the pieces in which the rest comes.
std::vector<Seed> Seeds() {
  std::vector<Seed> seeds;
  for (size_t i = 0; i < StartTlsNames().size(); ++i) {
    std::string says;
    for (const testing::Exchange& exchange : testing::StartTlsScript(StartTlsNames()[i].protocol)) {
      absl::StrAppend(&says, exchange.says);
    }
    seeds.push_back({.name = std::string(StartTlsNames()[i].name),
                     .bytes = absl::StrCat(std::string{static_cast<char>(i), '\x07'}, says)});
  }
  return seeds;
}

void TryInput(absl::string_view input) {
  InputReader reader(input);
  const StartTlsProtocol protocol = ProtocolOf(reader.Byte());
  const size_t piece = reader.Byte() + 1;
  // Beyond what is read at all it matters where a piece ends.
  if (reader.Rest().size() > kMaxRead) return;
  const absl::Status at_once = Talk(protocol, reader.Rest(), kMaxPiece);
  const absl::Status in_pieces = Talk(protocol, reader.Rest(), piece);
  // Nothing depends on how the network cut it, but what came too early: that shows only where it is there already.
  if (at_once.ok()) Require(in_pieces.ok(), "what is right at once is right in pieces");
  if (in_pieces.ok()) Require(at_once.ok() || CameTooEarly(at_once), "what is right in pieces is right at once");
  if (!at_once.ok() && !CameTooEarly(at_once)) {
    Require(ReasonOf(in_pieces) == ReasonOf(at_once), "pieces do not change what is wrong");
  }
}

}  // namespace certcast::fuzz
