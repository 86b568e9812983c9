#include "common/probe/start_tls.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/probe/start_tls_dialogue.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxRead = size_t{64} * 1024;
constexpr size_t kShown = 120;

std::string Shown(absl::string_view text) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kShown)), text.size() > kShown ? "..." : "", "\"");
}

// What may stand in an XML attribute as it is.
bool IsHost(absl::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains(".-_:", c);
  });
}

}  // namespace

absl::Status StartTlsDialogue::More() {
  if (read_ > kMaxRead) return Refuse("the server talks on and on, and does not come to an end");
  absl::StatusOr<std::string> more = stream_.Read();
  if (!more.ok()) {
    absl::Status status = Annotate(more.status(), absl::StrCat(protocol_, " ", step_));
    // What a server does that waits for a TLS handshake.
    if (read_ > 0 || ReasonOf(status) != Reason::TIMED_OUT) return status;
    return WithHint(std::move(status), "does it hang, or does TLS begin at once on this port? Then leave starttls out");
  }
  if (more->empty()) {
    return Fail(Reason::LINK_LOST,
                absl::StrCat(peer_, ": ", protocol_, " ", step_, ": the server closed the connection"),
                bytes_.empty() ? "" : absl::StrCat("before that it said ", Shown(bytes_)));
  }
  read_ += more->size();
  bytes_ += *more;
  return absl::OkStatus();
}

absl::Status StartTlsDialogue::Send(absl::string_view bytes) {
  return Annotate(stream_.Write(bytes), absl::StrCat(protocol_, " ", step_));
}

absl::StatusOr<std::string> StartTlsDialogue::Line() {
  size_t end;
  while ((end = bytes_.find('\n')) == std::string::npos) RETURN_IF_ERROR(More());
  std::string line = bytes_.substr(0, end);
  bytes_.erase(0, end + 1);
  if (absl::EndsWith(line, "\r")) line.pop_back();
  return line;
}

absl::StatusOr<std::string> StartTlsDialogue::Bytes(size_t size) {
  while (bytes_.size() < size) RETURN_IF_ERROR(More());
  std::string taken = bytes_.substr(0, size);
  bytes_.erase(0, size);
  return taken;
}

std::string StartTlsDialogue::Available() {
  std::string taken;
  taken.swap(bytes_);
  return taken;
}

absl::Status StartTlsDialogue::Finish() const {
  if (bytes_.empty()) return absl::OkStatus();
  return Refuse(absl::StrCat("the server sent more in the clear after it agreed to TLS: ", Shown(bytes_)),
                "is there something between here and the server?");
}

absl::Status StartTlsDialogue::Refuse(absl::string_view what, absl::string_view hint) const {
  return Fail(Reason::PROTOCOL, absl::StrCat(peer_, ": ", protocol_, " ", step_, ": ", what), hint);
}

absl::Status StartTlsDialogue::NotOffered(absl::string_view what, absl::string_view said) const {
  return Refuse(absl::StrCat("the server does not offer ", what, said.empty() ? "" : ": ",
                             said.empty() ? std::string() : Shown(said)),
                "is TLS switched on in its configuration, and does it find its certificate and key?");
}

absl::Status StartTlsDialogue::Refused(absl::string_view what, absl::string_view said) const {
  return Refuse(absl::StrCat("the server refused ", what, ": ", Shown(said)), "its own log says why");
}

absl::Status StartTlsDialogue::NotTheProtocol(absl::string_view got) const {
  return Refuse(absl::StrCat("the server answered with something that is not ", protocol_, ": ", Shown(got)),
                "does another protocol use this port? Where TLS begins at once, leave starttls out");
}

absl::Status StartTls(Stream& stream, StartTlsProtocol protocol, absl::string_view host, absl::string_view peer) {
  StartTlsDialogue dialogue(stream, NameOf(protocol), peer);
  switch (protocol) {
    case StartTlsProtocol::kNone:
      return absl::OkStatus();
    case StartTlsProtocol::kSmtp:
      return StartTlsOverSmtp(dialogue, /*is_lmtp=*/false);
    case StartTlsProtocol::kLmtp:
      return StartTlsOverSmtp(dialogue, /*is_lmtp=*/true);
    case StartTlsProtocol::kImap:
      return StartTlsOverImap(dialogue);
    case StartTlsProtocol::kPop3:
      return StartTlsOverPop3(dialogue);
    case StartTlsProtocol::kFtp:
      return StartTlsOverFtp(dialogue);
    case StartTlsProtocol::kLdap:
      return StartTlsOverLdap(dialogue);
    case StartTlsProtocol::kPostgres:
      return StartTlsOverPostgres(dialogue);
    case StartTlsProtocol::kMysql:
      return StartTlsOverMysql(dialogue);
    case StartTlsProtocol::kXmpp:
      if (!IsHost(host)) return FailInput(absl::StrCat("xmpp asks for a host name, and ", Shown(host), " is none"));
      return StartTlsOverXmpp(dialogue, host);
  }
  return absl::OkStatus();
}

}  // namespace certcast
