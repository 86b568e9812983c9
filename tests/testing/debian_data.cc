// PostgreSQL, MariaDB, slapd.
#include <csignal>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/substitute.h"
#include "tests/testing/debian_server.h"

namespace certcast::testing {
namespace {

std::string Bytes(absl::string_view text, size_t size) {
  return std::string(text.data(), size);
}
#define CERTCAST_BYTES(text) Bytes(text, sizeof(text) - 1)

constexpr absl::string_view kPostgresql = R"(data_directory = '$0/data'
hba_file = '$0/data/pg_hba.conf'
ident_file = '$0/data/pg_ident.conf'
listen_addresses = '127.0.0.1'
port = $1
unix_socket_directories = ''
fsync = off
ssl = $2
ssl_cert_file = '$3'
ssl_key_file = '$4'
)";

DaemonPlan PlanPostgresql(const ServerPlace& place) {
  const std::string programs = "/usr/lib/postgresql/15/bin/";
  const std::string config = place.home + "/etc/15/main";
  const std::vector<std::string> as_postgres = {"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"};
  std::vector<std::string> init = as_postgres;
  for (const std::string& word :
       {programs + "initdb", std::string("-D"), place.home + "/data", std::string("--no-sync"),
        std::string("--no-locale"), std::string("-E"), std::string("UTF8"), std::string("-A"), std::string("trust")}) {
    init.push_back(word);
  }
  std::vector<std::string> argv = as_postgres;
  argv.insert(argv.end(), {programs + "postgres", "-c", absl::StrCat("config_file=", config, "/postgresql.conf")});
  return {.folders = {{place.home + "/data", "postgres"}, {config, "postgres"}},
          .files = {{config + "/postgresql.conf",
                     absl::Substitute(kPostgresql, place.home, place.port, place.with_tls ? "on" : "off",
                                      place.fullchain(), place.key()),
                     "postgres"}},
          .prepare = {init},
          .argv = argv,
          .address = place.address(),
          .stop = SIGINT};
}

std::string PostgresqlCommands(const ServerPlace& place) {
  return absl::Substitute("reload: [env, \"PG_CLUSTER_CONF_ROOT=$0/etc\", pg_ctlcluster, \"15\", main, reload]\n",
                          place.home);
}

// StartupMessage; then Query. Each answer ends with ReadyForQuery.
Conversation PostgresqlConversation() {
  return {.before_reload = CERTCAST_BYTES("\0\0\0\x29\0\3\0\0user\0postgres\0database\0postgres\0\0"),
          .answer_before = CERTCAST_BYTES("Z\0\0\0\5I"),
          .after_reload = CERTCAST_BYTES("Q\0\0\0\x0eSELECT 42\0"),
          .answer_after = CERTCAST_BYTES("Z\0\0\0\5I")};
}

constexpr absl::string_view kMariadb = R"([mariadbd]
user = mysql
datadir = $0/data
tmpdir = $0/tmp
socket = $0/run/socket
pid-file = $0/run/pid
bind-address = 127.0.0.1
port = $1
innodb-buffer-pool-size = 8M
innodb-log-file-size = 4M
innodb-flush-log-at-trx-commit = 0
innodb-use-native-aio = 0
skip-log-bin
skip-name-resolve
init-file = $0/visitor.sql
$2
[client]
socket = $0/run/socket
)";

// Each has a tmpdir of its own: one that begins removes the temporary tables of the others in /tmp.
DaemonPlan PlanMariadb(const ServerPlace& place) {
  const std::string config = place.home + "/my.cnf";
  const std::string tls = place.with_tls
                              ? absl::Substitute("ssl-cert = $0\nssl-key = $1", place.fullchain(), place.key())
                              : std::string("skip-ssl");
  return {.folders = {{place.home + "/run", "mysql"}, {place.home + "/tmp", "mysql"}},
          .files = {{config, absl::Substitute(kMariadb, place.home, place.port, tls)},
                    {place.home + "/visitor.sql", "CREATE USER IF NOT EXISTS visitor@'%';\n"}},
          .prepare = {{"mariadb-install-db", "--no-defaults", "--user=mysql", "--datadir=" + place.home + "/data",
                       "--tmpdir=" + place.home + "/tmp", "--skip-test-db", "--innodb-log-file-size=4M",
                       "--innodb-use-native-aio=0"}},
          .argv = {"mariadbd", "--defaults-file=" + config},
          .address = place.address()};
}

std::string MariadbCommands(const ServerPlace& place) {
  return absl::Substitute("reload: [mariadb, \"--defaults-file=$0/my.cnf\", --execute, FLUSH SSL]\n", place.home);
}

// HandshakeResponse41 of a user without a password, after the SSLRequest and so number 2; then COM_PING. The answers
// are OK packets.
Conversation MariadbConversation() {
  const std::string capabilities = CERTCAST_BYTES("\x00\x8a\x08\x00");
  const std::string response = absl::StrCat(capabilities, CERTCAST_BYTES("\0\0\0\1\x21"), std::string(23, '\0'),
                                            CERTCAST_BYTES("visitor\0\0"), CERTCAST_BYTES("mysql_native_password\0"));
  const std::string header = {static_cast<char>(response.size()), 0, 0, 2};
  return {.before_reload = absl::StrCat(header, response),
          .answer_before = CERTCAST_BYTES("\0\0\3\0"),
          .after_reload = CERTCAST_BYTES("\1\0\0\0\x0e"),
          .answer_after = CERTCAST_BYTES("\0\0\1\0")};
}

constexpr absl::string_view kSlapd = R"(dn: cn=config
objectClass: olcGlobal
cn: config
$0
dn: olcDatabase={0}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {0}config
olcAccess: {0}to * by dn.exact=gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth manage by * break
)";

// As docs/operations.md has it.
constexpr absl::string_view kSlapdReload = R"(dn: cn=config
changetype: modify
replace: olcTLSCertificateFile
olcTLSCertificateFile: $0
-
replace: olcTLSCertificateKeyFile
olcTLSCertificateKeyFile: $1
)";

std::string SlapdSocket(const ServerPlace& place) {
  return absl::StrCat("ldapi://", absl::StrReplaceAll(place.home + "/run/socket", {{"/", "%2f"}}));
}

DaemonPlan PlanSlapd(const ServerPlace& place) {
  const std::string config = place.home + "/slapd.d";
  const std::string tls = place.with_tls ? absl::Substitute("olcTLSCertificateFile: $0\nolcTLSCertificateKeyFile: $1\n",
                                                            place.fullchain(), place.key())
                                         : std::string();
  return {.folders = {{config, "openldap"}, {place.home + "/run", "openldap"}},
          .files = {{place.home + "/first.ldif", absl::Substitute(kSlapd, tls)},
                    {place.home + "/certcast.ldif", absl::Substitute(kSlapdReload, place.fullchain(), place.key())}},
          .prepare = {{"setpriv", "--reuid=openldap", "--regid=openldap", "--init-groups", "slapadd", "-n", "0", "-F",
                       config, "-l", place.home + "/first.ldif"}},
          .argv = {"slapd", "-d", "0", "-u", "openldap", "-g", "openldap", "-F", config, "-h",
                   absl::StrCat("ldap://", place.address(), "/ ", SlapdSocket(place))},
          .address = place.address()};
}

std::string SlapdCommands(const ServerPlace& place) {
  return absl::Substitute(
      "check: [slaptest, -u, -F, $0/slapd.d]\n"
      "reload: [ldapmodify, -Q, -Y, EXTERNAL, -H, \"$1\", -f, $0/certcast.ldif]\n",
      place.home, SlapdSocket(place));
}

// Two anonymous binds (RFC 4511 section 4.2).
Conversation SlapdConversation() {
  return {.before_reload = CERTCAST_BYTES("\x30\x0c\x02\x01\x02\x60\x07\x02\x01\x03\x04\x00\x80\x00"),
          .answer_before = CERTCAST_BYTES("\x02\x01\x02\x61\x07\x0a\x01\x00"),
          .after_reload = CERTCAST_BYTES("\x30\x0c\x02\x01\x03\x60\x07\x02\x01\x03\x04\x00\x80\x00"),
          .answer_after = CERTCAST_BYTES("\x02\x01\x03\x61\x07\x0a\x01\x00")};
}

}  // namespace

std::vector<DebianServer> DataServers() {
  return {{.name = "postgresql",
           .plan = PlanPostgresql,
           .commands = PostgresqlCommands,
           .starttls = StartTlsProtocol::kPostgres,
           .key_owner = "postgres",
           .conversation = PostgresqlConversation(),
           .without_tls = "postgres SSLRequest: the server does not offer TLS"},
          {.name = "mariadb",
           .plan = PlanMariadb,
           .commands = MariadbCommands,
           .starttls = StartTlsProtocol::kMysql,
           .key_owner = "mysql",
           .refusal = Refusal::kReloadFails,
           .conversation = MariadbConversation(),
           .without_tls = "mysql greeting: the server does not offer TLS"},
          {.name = "slapd",
           .plan = PlanSlapd,
           .commands = SlapdCommands,
           .starttls = StartTlsProtocol::kLdap,
           .key_owner = "openldap",
           .refusal = Refusal::kReloadFails,
           .conversation = SlapdConversation(),
           .without_tls = "ldap StartTLS: the server does not offer StartTLS"}};
}

}  // namespace certcast::testing
