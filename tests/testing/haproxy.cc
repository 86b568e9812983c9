#include "tests/testing/haproxy.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "common/probe/tls_client.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(10);
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(5);
constexpr absl::string_view kServerName = "www.example.com";

// One thread, so that the certificate is switched for all of it at once.
constexpr absl::string_view kConfiguration = R"(global
  nbthread 1
  stats socket $0/admin.sock level admin mode 600
  stats socket $0/operator.sock level operator mode 600
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 30s
frontend test
  bind $1 ssl crt $0/tls/combined.pem
$2  http-request return status 200 content-type text/plain string "served"
)";

}  // namespace

absl::StatusOr<std::unique_ptr<Haproxy>> Haproxy::Start(const std::string& home, const std::string& address,
                                                        const std::string& more) {
  std::unique_ptr<Haproxy> haproxy(new Haproxy(home, address));
  RETURN_IF_ERROR(WriteFile(haproxy->config_path(), absl::Substitute(kConfiguration, home, address, more), 0644));
  const std::string log = home + "/haproxy.log";
  ASSIGN_OR_RETURN(
      haproxy->program_,
      Program::Start({.argv = {"haproxy", "-db", "-f", haproxy->config_path()}, .output = log, .error = log}));
  const absl::Status started = WaitUntil(absl::StrCat("haproxy listens on ", address), kStartTimeout, [&] {
    return TlsHandshake(address, kServerName, {}, kHandshakeTimeout).ok();
  });
  if (!started.ok()) return Annotate(started, ReadFile(log));
  return haproxy;
}

std::string Haproxy::Served() const {
  const auto peer = TlsHandshake(address_, kServerName, {}, kHandshakeTimeout);
  return peer.ok() ? peer->leaf_sha256 : std::string(peer.status().message());
}

}  // namespace certcast::testing
