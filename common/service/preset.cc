#include "common/service/preset.h"

#include <signal.h>

#include <utility>

namespace certcast {
namespace {

CommandReload Run(std::vector<std::string> argv) {
  return {.argv = std::move(argv)};
}

// The server has no way to take a new certificate while it runs.
CommandReload Restart(const std::string& unit) {
  return {.argv = {"systemctl", "restart", unit}, .disruptive = true};
}

std::vector<Preset> MakePresets() {
  return {
      {.name = "nginx",
       .check = {"nginx", "-t"},
       .reload = Run({"nginx", "-s", "reload"}),
       .endpoint = {"127.0.0.1:443"}},
      {.name = "apache",
       .check = {"apachectl", "-t"},
       .reload = Run({"apachectl", "graceful"}),
       .endpoint = {"127.0.0.1:443"}},
      // haproxy can't reload itself: its master process does on SIGUSR2, which systemd knows how to send.
      {.name = "haproxy",
       .check = {"haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"},
       .reload = Run({"systemctl", "reload", "haproxy"}),
       .endpoint = {"127.0.0.1:443"}},
      {.name = "postfix",
       .check = {"postfix", "check"},
       .reload = Run({"postfix", "reload"}),
       .endpoint = {"127.0.0.1:25", StartTlsProtocol::kSmtp}},
      {.name = "dovecot",
       .check = {"doveconf", "-n"},
       .reload = Run({"doveadm", "reload"}),
       .endpoint = {"127.0.0.1:143", StartTlsProtocol::kImap}},
      {.name = "postgresql",
       .check = {},
       .reload = Run({"pg_ctlcluster", "15", "main", "reload"}),
       .endpoint = {"127.0.0.1:5432", StartTlsProtocol::kPostgres}},
      {.name = "mariadb",
       .check = {},
       .reload = Run({"mariadb", "--execute", "FLUSH SSL"}),
       .endpoint = {"127.0.0.1:3306", StartTlsProtocol::kMysql}},
      // SIGHUP ends slapd. It reads the files when it is told their names, which is what the LDIF does.
      {.name = "slapd",
       .check = {"slaptest", "-u"},
       .reload = Run({"ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", "ldapi:///", "-f", "/etc/ldap/certcast.ldif"}),
       .endpoint = {"127.0.0.1:389", StartTlsProtocol::kLdap}},
      {.name = "prosody",
       .check = {},
       .reload = SignalReload{.signal = SIGHUP, .pid_file = "/run/prosody/prosody.pid"},
       .endpoint = {"127.0.0.1:5222", StartTlsProtocol::kXmpp}},
      {.name = "vsftpd",
       .check = {},
       .reload = Restart("vsftpd"),
       .endpoint = {"127.0.0.1:21", StartTlsProtocol::kFtp}},
      {.name = "unbound", .check = {"unbound-checkconf"}, .reload = Restart("unbound"), .endpoint = {"127.0.0.1:853"}},
  };
}

}  // namespace

const std::vector<Preset>& Presets() {
  static const auto& presets = *new std::vector<Preset>(MakePresets());
  return presets;
}

}  // namespace certcast
