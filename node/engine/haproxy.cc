#include "node/engine/haproxy.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
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

// One exchange after the other; haproxy takes one command a connection.
class RuntimeApi {
 public:
  RuntimeApi(const EngineContext& engine, const HaproxyReload& reload, absl::Duration timeout)
      : engine_(engine), reload_(reload), until_(engine.clock().Monotonic() + timeout) {}

  absl::Status Set(absl::string_view pem) const {
    const Secret request = Request(absl::StrCat("set ssl cert ", reload_.certificate, " <<\n"), pem);
    // "Transaction created for certificate PATH!", or "updated" where one was left behind.
    return Expect("set ssl cert", request.ExposeSecret(), absl::StrCat(" for certificate ", reload_.certificate, "!"));
  }

  absl::Status Commit() const {
    return Expect("commit ssl cert", absl::StrCat("commit ssl cert ", reload_.certificate, "\n"), "Success!");
  }

  // Of a transaction about this certificate alone; it refuses otherwise. Where there is none, there is nothing to say.
  absl::Status Abort() const {
    const absl::StatusOr<std::string> answer = engine_.environment.sockets->Ask(
        reload_.socket, absl::StrCat("abort ssl cert ", reload_.certificate, "\n"), kAbortTimeout);
    return Annotate(answer.status(), "abort ssl cert");
  }

 private:
  absl::Status Expect(absl::string_view command, absl::string_view request, absl::string_view expected) const {
    const absl::Duration remaining = until_ - engine_.clock().Monotonic();
    if (remaining <= absl::ZeroDuration()) {
      return Fail(Reason::TIMED_OUT, absl::StrCat(command, ": its time was over before it was sent"));
    }
    const absl::StatusOr<std::string> answer = engine_.environment.sockets->Ask(reload_.socket, request, remaining);
    if (!answer.ok()) return Annotate(answer.status(), command);
    if (absl::StrContains(*answer, expected)) return absl::OkStatus();
    return WithStderr(
        Fail(Reason::RELOAD_FAILED, absl::StrCat(command, " was refused"),
             absl::StrContains(*answer, "Permission denied")
                 ? "haproxy.cfg must give the socket `level admin`"
                 : "haproxy.cfg must name the certificate by this very path: `show ssl cert` lists what it has"),
        *answer);
  }

  const EngineContext& engine_;
  const HaproxyReload& reload_;
  const absl::Duration until_;
};

absl::Status Update(const EngineContext& engine, const HaproxyReload& reload, absl::Duration timeout) {
  ASSIGN_OR_RETURN(const std::optional<FoundFile> found, ReadVisible(engine.files(), reload.certificate));
  if (!found.has_value()) return Fail(Reason::RELOAD_FAILED, absl::StrCat(reload.certificate, " is not there"));
  const RuntimeApi haproxy(engine, reload, timeout);
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
