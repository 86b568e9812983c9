// postfix, dovecot.
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "tests/testing/debian_server.h"

namespace certcast::testing {
namespace {

constexpr absl::string_view kPostfixMain = R"(compatibility_level = 3.6
queue_directory = $0/spool
data_directory = $0/lib
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = www.example.com
mydestination =
alias_maps =
alias_database =
smtpd_tls_cert_file = $1
smtpd_tls_key_file = $2
smtpd_tls_security_level = $3
maillog_file = $0/postfix.log
maillog_file_prefixes = $0
)";

constexpr absl::string_view kPostfixMaster = R"($0 inet n - n - - smtpd
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
)";

DaemonPlan PlanPostfix(const ServerPlace& place) {
  const std::string config = place.home + "/etc";
  return {.folders = {{config}, {place.home + "/spool"}, {place.home + "/lib", "postfix"}},
          .files = {{config + "/main.cf", absl::Substitute(kPostfixMain, place.home, place.fullchain(), place.key(),
                                                           place.with_tls ? "may" : "none")},
                    {config + "/master.cf", absl::Substitute(kPostfixMaster, place.address())},
                    {config + "/dynamicmaps.cf", ""}},
          // Makes what belongs into the queue's folder.
          .prepare = {{"postfix", "-c", config, "check"}},
          // With -s it wants a session of its own.
          .argv = {"/usr/lib/postfix/sbin/master", "-d", "-c", config},
          .address = place.address()};
}

std::string PostfixCommands(const ServerPlace& place) {
  return absl::Substitute("check: [postfix, -c, $0/etc, check]\nreload: [postfix, -c, $0/etc, reload]\n", place.home);
}

// shutdown_clients: by default dovecot ends all sessions six seconds after a reload.
constexpr absl::string_view kDovecot = R"(base_dir = $0/run
state_dir = $0/state
log_path = $0/dovecot.log
protocols = imap
listen = 127.0.0.1
$1mail_location = maildir:$0/mail
first_valid_uid = 1
shutdown_clients = no
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=mail gid=mail home=$0/mail
}
service imap-login {
  inet_listener imap {
    port = $2
  }
  inet_listener imaps {
    port = 0
  }
}
)";

DaemonPlan PlanDovecot(const ServerPlace& place) {
  const std::string config = place.home + "/dovecot.conf";
  const std::string tls =
      place.with_tls ? absl::Substitute("ssl = yes\nssl_cert = <$0\nssl_key = <$1\n", place.fullchain(), place.key())
                     : "ssl = no\n";
  return {.folders = {{place.home + "/run"}, {place.home + "/state"}, {place.home + "/mail", "mail"}},
          .files = {{config, absl::Substitute(kDovecot, place.home, tls, place.port)}},
          .argv = {"dovecot", "-F", "-c", config},
          .address = place.address()};
}

std::string DovecotCommands(const ServerPlace& place) {
  return absl::Substitute(
      "check: [doveconf, -n, -c, $0/dovecot.conf]\nreload: [doveadm, -c, $0/dovecot.conf, reload]\n", place.home);
}

}  // namespace

std::vector<DebianServer> MailServers() {
  return {{.name = "postfix",
           .plan = PlanPostfix,
           .commands = PostfixCommands,
           .starttls = StartTlsProtocol::kSmtp,
           .conversation = {.before_reload = "EHLO client.example.com\r\n",
                            .answer_before = "250 ",
                            .after_reload = "NOOP\r\n",
                            .answer_after = "250 "},
           .without_tls = "smtp EHLO: the server does not offer STARTTLS"},
          {.name = "dovecot",
           .plan = PlanDovecot,
           .commands = DovecotCommands,
           .starttls = StartTlsProtocol::kImap,
           .conversation = {.before_reload = "a LOGIN somebody password\r\n",
                            .answer_before = "a OK",
                            .after_reload = "b NOOP\r\n",
                            .answer_after = "b OK"},
           .without_tls = "imap CAPABILITY: the server does not offer STARTTLS"}};
}

}  // namespace certcast::testing
