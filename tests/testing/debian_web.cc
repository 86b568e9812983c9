// nginx, apache, haproxy: by its file and over its runtime API.
#include <csignal>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "tests/testing/debian_server.h"

namespace certcast::testing {
namespace {

// A request that is under way during the reload; idle connections are closed by it.
const Conversation kRequest = {.before_reload = "GET / HTTP/1.1\r\nHost: www.example.com\r\n",
                               .answer_before = "",
                               .after_reload = "\r\n",
                               .answer_after = "HTTP/1.1 200 OK"};

constexpr absl::string_view kNginx = R"(user www-data;
pid $0/nginx.pid;
error_log $0/nginx.log;
worker_processes 1;
daemon off;
events {}
http {
  access_log off;
  client_body_temp_path $0/tmp; proxy_temp_path $0/tmp; fastcgi_temp_path $0/tmp;
  uwsgi_temp_path $0/tmp; scgi_temp_path $0/tmp;
  server {
    listen $1 $2;
    ssl_certificate $3;
    ssl_certificate_key $4;
    return 200 "served";
  }
}
)";

DaemonPlan PlanNginx(const ServerPlace& place) {
  const std::string config = place.home + "/nginx.conf";
  return {.folders = {{place.home + "/tmp", "www-data"}},
          .files = {{config, absl::Substitute(kNginx, place.home, place.address(), place.with_tls ? "ssl" : "",
                                              place.fullchain(), place.key())}},
          .argv = {"nginx", "-e", place.home + "/nginx.log", "-c", config},
          .address = place.address()};
}

std::string NginxCommands(const ServerPlace& place) {
  return absl::Substitute("check: [nginx, -c, $0/nginx.conf, -t]\nreload: [nginx, -c, $0/nginx.conf, -s, reload]\n",
                          place.home);
}

constexpr absl::string_view kApache = R"(ServerRoot $0
DefaultRuntimeDir $0
PidFile $0/apache.pid
ErrorLog $0/apache.log
ServerName www.example.com
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule ssl_module /usr/lib/apache2/modules/mod_ssl.so
StartServers 1
ServerLimit 16
DocumentRoot $0/www
Listen $1
SSLEngine $2
SSLSessionCache none
SSLCertificateFile $3
SSLCertificateKeyFile $4
)";

DaemonPlan PlanApache(const ServerPlace& place) {
  const std::string config = place.home + "/apache.conf";
  return {.folders = {{place.home + "/www", "www-data"}},
          .files = {{config, absl::Substitute(kApache, place.home, place.address(), place.with_tls ? "on" : "off",
                                              place.fullchain(), place.key())},
                    {place.home + "/www/index.html", "served"}},
          .argv = {"apache2", "-f", config, "-D", "FOREGROUND"},
          .address = place.address()};
}

std::string ApacheCommands(const ServerPlace& place) {
  return absl::Substitute(
      "check: [apachectl, -f, $0/apache.conf, -t]\nreload: [apachectl, -f, $0/apache.conf, -k, graceful]\n",
      place.home);
}

constexpr absl::string_view kHaproxy = R"(global
  user haproxy
  group haproxy
  stats socket $2/admin.sock mode 600 level admin
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 30s
frontend test
  bind $0 $1
  http-request return status 200 content-type text/plain string "served"
)";

DaemonPlan PlanHaproxy(const ServerPlace& place) {
  const std::string config = place.home + "/haproxy.cfg";
  const std::string tls = place.with_tls ? absl::StrCat("ssl crt ", place.combined()) : "";
  return {.files = {{config, absl::Substitute(kHaproxy, place.address(), tls, place.home)}},
          .argv = {"haproxy", "-W", "-f", config},
          .address = place.address()};
}

// The reload is the unit's own.
std::string HaproxyCommands(const ServerPlace& place) {
  return absl::Substitute("check: [haproxy, -c, -f, $0/haproxy.cfg]\n", place.home);
}

std::string HaproxyRuntimeCommands(const ServerPlace& place) {
  return absl::StrCat(
      HaproxyCommands(place),
      absl::Substitute("reload: {haproxy: {socket: $0/admin.sock, certificate: $1}}\n", place.home, place.combined()));
}

}  // namespace

std::vector<DebianServer> WebServers() {
  return {{.name = "nginx",
           .plan = PlanNginx,
           .commands = NginxCommands,
           .refusal = Refusal::kCheckFails,
           .conversation = kRequest},
          // `apachectl -t` does not read certificates, and a reload with one that is wrong ends the server.
          {.name = "apache", .plan = PlanApache, .commands = ApacheCommands, .conversation = kRequest},
          {.name = "haproxy",
           .plan = PlanHaproxy,
           .commands = HaproxyCommands,
           .reads_combined = true,
           .unit_reload_signal = SIGUSR2,
           .refusal = Refusal::kCheckFails,
           .conversation = kRequest},
          // No process is replaced, so connections stay as they are.
          {.name = "haproxy-runtime-api",
           .plan = PlanHaproxy,
           .commands = HaproxyRuntimeCommands,
           .preset = "haproxy",
           .reads_combined = true,
           .refusal = Refusal::kNodeYamlFails,
           .conversation = kRequestAfterRequest}};
}

}  // namespace certcast::testing
