#include "node/engine/haproxy.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "node/engine/local_socket.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

// For taking back what failed, when the time for doing it is over.
constexpr absl::Duration kAbortTimeout = absl::Seconds(2);

// `head`, then the lines of `pem` that are not blank, then a blank one: that is where haproxy's payload ends.
Secret Request(absl::string_view head, absl::string_view pem) {
  std::vector<absl::string_view> lines;
  size_t size = head.size() + 1;
  for (const absl::string_view line : absl::StrSplit(pem, '\n')) {
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    lines.push_back(line);
    size += line.size() + 1;
  }
  Secret request = Secret::OfSize(size);
  char* end = request.MutableBytes();
  const auto append = [&end](absl::string_view bytes) {
    std::memcpy(end, bytes.data(), bytes.size());
    end += bytes.size();
  };
  append(head);
  for (const absl::string_view line : lines) {
    append(line);
    append("\n");
  }
  append("\n");
  return request;
}

// What to do about an answer that is not the expected one.
absl::string_view HintFor(absl::string_view answer) {
  if (absl::StrContains(answer, "Permission denied")) return "haproxy.cfg must give the socket `level admin`";
  if (absl::StrContains(answer, "not referenced by the configuration")) {
    return "haproxy.cfg must name the certificate by this very path: `show ssl cert` lists what it has";
  }
  if (absl::StrContains(answer, "Unknown command")) return "is this the stats socket of a haproxy 2.2 or later?";
  return "";
}

// Of "The ongoing transaction is about 'PATH' but you are trying to ...".
std::optional<std::string> OtherTransaction(absl::string_view answer) {
  constexpr absl::string_view kAbout = "ongoing transaction is about '";
  const size_t about = answer.find(kAbout);
  if (about == absl::string_view::npos) return std::nullopt;
  const absl::string_view path = answer.substr(about + kAbout.size());
  return std::string(path.substr(0, path.find('\'')));
}

// One exchange after the other; haproxy takes one command a connection.
class RuntimeApi {
 public:
  RuntimeApi(const EngineContext& engine, const HaproxyReload& reload, absl::Duration timeout)
      : engine_(engine), reload_(reload), until_(engine.clock().Monotonic() + timeout) {}

  // There is one transaction in all of haproxy. While it is about another certificate, haproxy 2.6 puts what `set ssl
  // cert` brings into that one, which would be served in the other's place. One of our own was left behind by an agent
  // that was ended: installs are made one at a time.
  absl::Status GiveUpWhatWasBegun() const {
    ASSIGN_OR_RETURN(const std::string answer, Ask("before set ssl cert", Abortion(reload_.certificate)));
    const std::optional<std::string> other = OtherTransaction(answer);
    if (!other.has_value()) return absl::OkStatus();
    if (IsOurs(*other)) return Ask("before set ssl cert", Abortion(*other)).status();
    return Fail(Reason::RELOAD_FAILED, absl::StrCat("haproxy is in the middle of a change of ", *other),
                absl::StrCat("try again; where nobody is at it any more, `abort ssl cert ", *other,
                             "` on the socket gives it up"));
  }

  absl::Status Set(absl::string_view pem) const {
    const Secret request = Request(absl::StrCat("set ssl cert ", reload_.certificate, " <<\n"), pem);
    // "Transaction created for certificate PATH!", or "updated" where one was left behind.
    const absl::string_view bytes = request.ExposeSecret();
    absl::Status set = Expect("set ssl cert", bytes, absl::StrCat(" for certificate ", reload_.certificate, "!"));
    // haproxy ends the connection without a word.
    if (FailureOf(set).reason() != Reason::LINK_LOST) return set;
    return WithHint(std::move(set),
                    absl::StrCat("haproxy reads at most tune.bufsize bytes at once, 16384 where its global section "
                                 "does not set it, and this takes ",
                                 bytes.size()));
  }

  absl::Status Commit() const {
    return Expect("commit ssl cert", absl::StrCat("commit ssl cert ", reload_.certificate, "\n"), "Success!");
  }

  // Of a transaction about this certificate alone; it refuses otherwise. Where there is none, there is nothing to say.
  absl::Status Abort() const {
    const absl::StatusOr<std::string> answer =
        engine_.environment.sockets->Ask(reload_.socket, Abortion(reload_.certificate), kAbortTimeout);
    return Annotate(answer.status(), "abort ssl cert");
  }

 private:
  static std::string Abortion(absl::string_view certificate) {
    return absl::StrCat("abort ssl cert ", certificate, "\n");
  }

  bool IsOurs(absl::string_view certificate) const {
    return std::any_of(engine_.config.services.begin(), engine_.config.services.end(), [&](const Service& service) {
      const auto* haproxy = std::get_if<HaproxyReload>(&service.reload.how);
      return haproxy != nullptr && haproxy->socket == reload_.socket && haproxy->certificate == certificate;
    });
  }

  absl::StatusOr<std::string> Ask(absl::string_view command, absl::string_view request) const {
    const absl::Duration remaining = until_ - engine_.clock().Monotonic();
    if (remaining <= absl::ZeroDuration()) {
      return Fail(Reason::TIMED_OUT, absl::StrCat(command, ": its time was over before it was sent"));
    }
    absl::StatusOr<std::string> answer = engine_.environment.sockets->Ask(reload_.socket, request, remaining);
    if (!answer.ok()) return Annotate(answer.status(), command);
    if (answer->empty()) return Fail(Reason::LINK_LOST, absl::StrCat(command, ": there was no answer"));
    return answer;
  }

  absl::Status Expect(absl::string_view command, absl::string_view request, absl::string_view expected) const {
    ASSIGN_OR_RETURN(const std::string answer, Ask(command, request));
    if (absl::StrContains(answer, expected)) return absl::OkStatus();
    return WithStderr(Fail(Reason::RELOAD_FAILED, absl::StrCat(command, " was refused"), HintFor(answer)), answer);
  }

  const EngineContext& engine_;
  const HaproxyReload& reload_;
  const absl::Duration until_;
};

absl::Status Update(const EngineContext& engine, const HaproxyReload& reload, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const std::optional<FoundFile> found, ReadVisible(engine.files(), reload.certificate));
  if (!found.has_value()) return Fail(Reason::RELOAD_FAILED, absl::StrCat(reload.certificate, " is not there"));
  const RuntimeApi haproxy(engine, reload, timeout);
  RETURN_IF_ERROR(haproxy.GiveUpWhatWasBegun());
  absl::Status updated = haproxy.Set(found->bytes.ExposeSecret());
  if (updated.ok()) updated = haproxy.Commit();
  return updated.ok() ? updated : KeepFirst(std::move(updated), haproxy.Abort());
}

}  // namespace

absl::Status UpdateHaproxy(const EngineContext& engine, const Service& service, const HaproxyReload& reload) {
  absl::Status updated = Update(engine, reload, service.reload.timeout);
  const std::string whose = absl::StrCat("the reload of service ", service.name, " (haproxy at ", reload.socket, ")");
  return WithReason(Annotate(std::move(updated), whose), Reason::RELOAD_FAILED);
}

}  // namespace certcast::node
