#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/http_get.h"
#include "common/probe/probe.h"
#include "common/probe/resolver.h"
#include "common/probe/stream.h"
#include "common/probe/tls_client.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace certcast {
namespace {

std::string TextOf(const absl::Status& status) {
  const v1::Failure failure = FailureOf(status);
  return failure.hint().empty() ? failure.detail() : absl::StrCat(failure.detail(), " (", failure.hint(), ")");
}

// The last line of a program's error output that has anything on it.
std::string LastLine(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  return std::string(text.substr(text.rfind('\n') + 1));
}

// The host of a Host header: without its port.
std::string NameIn(absl::string_view host) {
  const absl::StatusOr<HostPort> with_port = ParseHostPort(host);
  return with_port.ok() ? with_port->host : std::string(host);
}

// One look; what it returns without error is ok but for the fingerprint.
class Look {
 public:
  Look(Resolver& resolver, ProcessRunner& processes, absl::Duration timeout)
      : resolver_(resolver), processes_(processes), timeout_(timeout), deadline_(Deadline::In(timeout)) {}

  absl::Status operator()(const TlsProbe& probe) {
    ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(probe.address));
    return OpenTls(to, probe.server_name).status();
  }

  absl::Status operator()(const HttpProbe& probe) {
    ASSIGN_OR_RETURN(const Url url, ParseUrl(probe.url));
    const std::string host = probe.host.empty() ? url.authority : probe.host;
    std::unique_ptr<Stream> stream;
    if (url.is_https) {
      ASSIGN_OR_RETURN(stream, OpenTls(url.to, NameIn(probe.host.empty() ? url.to.host : probe.host)));
    } else {
      ASSIGN_OR_RETURN(stream, TcpStream::Connect(url.to, resolver_, deadline_));
    }
    const absl::StatusOr<int> status = HttpGetStatus(*stream, host, url.path);
    if (!status.ok()) return Annotate(status.status(), absl::StrCat("GET ", probe.url));
    if (*status == probe.status) return absl::OkStatus();
    return Fail(Reason::PROBE_FAILED,
                absl::StrCat("GET ", probe.url, " was answered with status ", *status, ", not ", probe.status));
  }

  absl::Status operator()(const TcpProbe& probe) {
    ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(probe.address));
    return TcpStream::Connect(to, resolver_, deadline_).status();
  }

  absl::Status operator()(const CommandProbe& probe) {
    ProcessRequest request;
    request.argv = probe.argv;
    request.timeout = timeout_;
    ASSIGN_OR_RETURN(const ProcessResult result, processes_.Run(request));
    if (result.ok()) return absl::OkStatus();
    const std::string said = LastLine(result.error.empty() ? result.output : result.error);
    return Fail(Reason::PROBE_FAILED,
                absl::StrCat(probe.argv[0], " ", result.Describe(), said.empty() ? "" : ": ", said));
  }

  const std::string& served_sha256() const { return served_sha256_; }

 private:
  absl::StatusOr<std::unique_ptr<Stream>> OpenTls(const HostPort& to, absl::string_view server_name) {
    TlsOptions options;
    options.resolver = &resolver_;
    ASSIGN_OR_RETURN(std::unique_ptr<TlsStream> stream, TlsStream::Connect(to, server_name, options, deadline_));
    served_sha256_ = stream->peer().leaf_sha256;
    return stream;
  }

  Resolver& resolver_;
  ProcessRunner& processes_;
  const absl::Duration timeout_;
  const Deadline deadline_;
  std::string served_sha256_;
};

class RealProber final : public Prober {
 public:
  RealProber(Resolver& resolver, ProcessRunner& processes) : resolver_(resolver), processes_(processes) {}

  Observation Look(const ProbeSpec& spec, absl::Duration timeout) override {
    certcast::Look look(resolver_, processes_, timeout);
    const absl::Status seen = std::visit(look, spec.what);
    return {.served_sha256 = look.served_sha256(), .ok = seen.ok(), .detail = seen.ok() ? "" : TextOf(seen)};
  }

 private:
  Resolver& resolver_;
  ProcessRunner& processes_;
};

}  // namespace

std::unique_ptr<Prober> Prober::Over(Resolver& resolver, ProcessRunner& processes) {
  return std::make_unique<RealProber>(resolver, processes);
}

Prober& Prober::Real() {
  static auto* const prober = Over(Resolver::Local(), ProcessRunner::Real()).release();
  return *prober;
}

}  // namespace certcast
