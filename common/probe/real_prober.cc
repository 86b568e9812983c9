#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/http_get.h"
#include "common/probe/probe.h"
#include "common/probe/resolver.h"
#include "common/probe/stream.h"
#include "common/probe/tls_client.h"
#include "common/process/process.h"
#include "common/secret/reference.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

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

// A client certificate as it is in its files now; without key: none.
struct Client {
  std::vector<Certificate> chain;
  std::optional<PrivateKey> key;
};

absl::StatusOr<Client> ReadClient(const ClientCertificate& from) {
  constexpr size_t kMaxChainBytes = size_t{64} * 1024;
  Client client;
  if (from.empty()) return client;
  const auto read = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::string pem, ReadWholeFile(FileSystem::Real(), from.certificate_file, kMaxChainBytes));
    absl::StatusOr<std::vector<Certificate>> chain = ParseChainPem(pem);
    if (!chain.ok()) return Annotate(chain.status(), from.certificate_file);
    client.chain = *std::move(chain);
    ASSIGN_OR_RETURN(const Secret secret, ReadSecret(from.key));
    absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(secret.ExposeSecret());
    if (!key.ok()) return Annotate(key.status(), from.key.Describe());
    client.key = *std::move(key);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(Annotate(read(), "the probe's client certificate"));
  return client;
}

// One look; what it returns without error is ok but for the fingerprint.
class Look {
 public:
  Look(Resolver& resolver, ProcessRunner& processes, absl::Duration timeout)
      : resolver_(resolver), processes_(processes), timeout_(timeout), deadline_(Deadline::In(timeout)) {}

  absl::Status operator()(const TlsProbe& probe) {
    ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(probe.address));
    ASSIGN_OR_RETURN(const Client client, ReadClient(probe.client));
    TlsOptions options = OptionsFor(client);
    options.starttls = probe.starttls;
    if (IsNumericAddress(to.host)) return OpenTls(to, probe.server_name, options, deadline_).status();
    return LookAtEveryAddress(to, probe.server_name, options);
  }

  absl::Status operator()(const HttpProbe& probe) {
    ASSIGN_OR_RETURN(const Url url, ParseUrl(probe.url));
    const std::string host = probe.host.empty() ? url.authority : probe.host;
    std::unique_ptr<Stream> stream;
    if (url.is_https) {
      ASSIGN_OR_RETURN(const Client client, ReadClient(probe.client));
      ASSIGN_OR_RETURN(stream, OpenTls(url.to, NameIn(probe.host.empty() ? url.to.host : probe.host),
                                       OptionsFor(client), deadline_));
    } else {
      ASSIGN_OR_RETURN(stream, TcpStream::Connect(url.to, resolver_, deadline_));
    }
    const std::string doing = absl::StrCat("GET ", probe.url);
    const absl::StatusOr<HttpAnswer> answer =
        HttpGet(*stream, host, url.path, /*wants_body=*/probe.body.kind != BodyPattern::Kind::kNone);
    if (!answer.ok()) return Annotate(answer.status(), doing);
    location_ = answer->location;
    if (answer->status != probe.status) {
      return Fail(Reason::PROBE_FAILED,
                  absl::StrCat(doing, " was answered with status ", answer->status, ", not ", probe.status));
    }
    return Annotate(CheckBody(probe.body, answer->body), doing);
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

  // What was served at the (first) address.
  const std::vector<std::string>& chain_sha256() const { return chain_sha256_; }
  const std::string& served_sha256() const { return served_sha256_; }
  const std::string& location() const { return location_; }

 private:
  static TlsOptions OptionsFor(const Client& client) {
    TlsOptions options;
    if (client.key.has_value()) {
      options.chain = &client.chain;
      options.key = &*client.key;
    }
    return options;
  }

  absl::StatusOr<std::unique_ptr<Stream>> OpenTls(const HostPort& to, absl::string_view server_name, TlsOptions options,
                                                  Deadline deadline) {
    options.resolver = &resolver_;
    ASSIGN_OR_RETURN(std::unique_ptr<TlsStream> stream, TlsStream::Connect(to, server_name, options, deadline));
    chain_sha256_ = stream->peer().ChainSha256();
    served_sha256_ = stream->peer().leaf_sha256;
    return stream;
  }

  // Of a host name: one listener may have been forgotten where another has the new certificate already.
  absl::Status LookAtEveryAddress(const HostPort& to, absl::string_view server_name, const TlsOptions& options) {
    auto addresses = resolver_.Resolve(to, deadline_.Remaining());
    if (!addresses.ok()) return Annotate(addresses.status(), absl::StrCat("connecting to ", to.ToString()));
    absl::Status no_route;
    std::string first;
    std::vector<std::string> first_chain;
    for (size_t i = 0; i < addresses->size(); ++i) {
      const HostPort at = ToNumeric((*addresses)[i]);
      // None may use up the time of those after it.
      const auto rest = static_cast<int64_t>(addresses->size() - i);
      const absl::Status seen =
          OpenTls(at, server_name, options, deadline_.ButWithin(deadline_.Remaining() / rest)).status();
      if (ReasonOf(seen) == Reason::NO_ROUTE) {
        if (no_route.ok()) no_route = seen;
        continue;
      }
      if (!seen.ok()) return Annotate(seen, to.ToString());
      if (first.empty()) {
        first = at.ToString();
        first_chain = chain_sha256_;
      } else if (chain_sha256_ != first_chain) {
        return Fail(Reason::PROBE_FAILED,
                    absl::StrCat(to.ToString(), " has several addresses, which do not serve the same: ", at.ToString(),
                                 " serves ", served_sha256_, ", ", first, " another certificate or chain"));
      }
    }
    return first.empty() ? Annotate(no_route, to.ToString()) : absl::OkStatus();
  }

  Resolver& resolver_;
  ProcessRunner& processes_;
  const absl::Duration timeout_;
  const Deadline deadline_;
  std::string served_sha256_;
  std::vector<std::string> chain_sha256_;
  std::string location_;
};

class RealProber final : public Prober {
 public:
  RealProber(Resolver& resolver, ProcessRunner& processes) : resolver_(resolver), processes_(processes) {}

  Observation Look(const ProbeSpec& spec, absl::Duration timeout) override {
    certcast::Look look(resolver_, processes_, timeout);
    const absl::Status seen = std::visit(look, spec.what);
    return {.served_sha256 = look.served_sha256(),
            .chain_sha256 = look.chain_sha256(),
            .ok = seen.ok(),
            .detail = seen.ok() ? "" : TextOf(seen),
            .location = look.location()};
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
