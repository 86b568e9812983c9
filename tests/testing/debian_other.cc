// prosody, vsftpd, unbound.
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "tests/testing/debian_server.h"

namespace certcast::testing {
namespace {

constexpr absl::string_view kProsody = R"(pidfile = "$0/run/prosody.pid"
data_path = "$0/run"
log = { info = "$0/run/prosody.log" }
interfaces = { "127.0.0.1" }
c2s_ports = { $1 }
s2s_ports = {}
modules_enabled = { $2"saslauth", "disco", "ping" }
modules_disabled = { "s2s" }
authentication = "anonymous"
VirtualHost "www.example.com"
$3)";

DaemonPlan PlanProsody(const ServerPlace& place) {
  const std::string config = place.home + "/prosody.cfg.lua";
  const std::string tls = place.with_tls ? absl::Substitute("ssl = { certificate = \"$0\", key = \"$1\" }\n",
                                                            place.fullchain(), place.key())
                                         : "";
  return {
      .folders = {{place.home + "/run", "prosody"}, {place.home + "/certs"}},
      .files = {{config, absl::Substitute(kProsody, place.home, place.port, place.with_tls ? "\"tls\", " : "", tls)}},
      .argv = {"setpriv", "--reuid=prosody", "--regid=prosody", "--init-groups", "prosody", "-F", "--config", config},
      .address = place.address()};
}

std::string ProsodyCommands(const ServerPlace& place) {
  return absl::Substitute("reload: {signal: HUP, pid_file: $0/run/prosody.pid}\n", place.home);
}

constexpr char kXmppHeader[] =
    "<?xml version='1.0'?><stream:stream to='www.example.com' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>";

constexpr absl::string_view kVsftpd = R"(listen=YES
listen_address=127.0.0.1
listen_port=$1
background=NO
anonymous_enable=YES
ssl_enable=$2
allow_anon_ssl=YES
rsa_cert_file=$3
rsa_private_key_file=$4
secure_chroot_dir=$0/empty
xferlog_enable=NO
)";

DaemonPlan PlanVsftpd(const ServerPlace& place) {
  const std::string config = place.home + "/vsftpd.conf";
  return {.folders = {{place.home + "/empty"}},
          .files = {{config, absl::Substitute(kVsftpd, place.home, place.port, place.with_tls ? "YES" : "NO",
                                              place.fullchain(), place.key())}},
          .argv = {"vsftpd", config},
          .address = place.address()};
}

// The restart is the unit's.
std::string VsftpdCommands(const ServerPlace&) {
  return "";
}

constexpr absl::string_view kUnbound = R"(server:
  directory: "$0"
  chroot: ""
  username: unbound
  pidfile: "$0/unbound.pid"
  use-syslog: no
  do-daemonize: no
  interface: 127.0.0.1@$1
  local-zone: "example.com." static
$2remote-control:
  control-enable: no
)";

DaemonPlan PlanUnbound(const ServerPlace& place) {
  const std::string config = place.home + "/unbound.conf";
  const std::string tls =
      place.with_tls ? absl::Substitute("  tls-port: $0\n  tls-service-pem: \"$1\"\n  tls-service-key: \"$2\"\n",
                                        place.port, place.fullchain(), place.key())
                     : "";
  return {.files = {{config, absl::Substitute(kUnbound, place.home, place.port, tls)}},
          .argv = {"unbound", "-d", "-p", "-c", config},
          .address = place.address(),
          // It listens before it reads its key.
          .says = "start of service"};
}

std::string UnboundCommands(const ServerPlace& place) {
  return absl::Substitute("check: [unbound-checkconf, $0/unbound.conf]\n", place.home);
}

}  // namespace

std::vector<DebianServer> OtherServers() {
  return {{.name = "prosody",
           .plan = PlanProsody,
           .commands = ProsodyCommands,
           .starttls = StartTlsProtocol::kXmpp,
           .key_owner = "prosody",
           .conversation = {.before_reload = kXmppHeader,
                            .answer_before = "</stream:features>",
                            .after_reload = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>",
                            .answer_after = "<success"},
           .without_tls = "No stream features to proceed with"},
          {.name = "vsftpd",
           .plan = PlanVsftpd,
           .commands = VsftpdCommands,
           .starttls = StartTlsProtocol::kFtp,
           .without_tls = "ftp AUTH TLS: the server does not offer AUTH TLS"},
          {.name = "unbound",
           .plan = PlanUnbound,
           .commands = UnboundCommands,
           .unit_notifies = true,
           .refusal = Refusal::kReloadFails}};
}

}  // namespace certcast::testing
