#include "tests/testing/nginx.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/substitute.h"
#include "common/probe/tls_client.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(10);
constexpr absl::Duration kSettleTimeout = absl::Seconds(10);
constexpr absl::Duration kHandshakeTimeout = absl::Seconds(5);
constexpr absl::string_view kServerName = "www.demo.test";

constexpr absl::string_view kConfiguration = R"(pid $0/nginx.pid;
error_log $0/nginx.log;
worker_processes 1;
daemon off;
events {}
http {
  access_log off;
  client_body_temp_path $0/tmp; proxy_temp_path $0/tmp; fastcgi_temp_path $0/tmp;
  uwsgi_temp_path $0/tmp; scgi_temp_path $0/tmp;
  server {
    listen $1 ssl;
    ssl_certificate $0/tls/fullchain.pem;
    ssl_certificate_key $0/tls/privkey.pem;
    return 200 "served\n";
  }
}
)";

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Parent of a process, from /proc/PID/stat: what follows the name, which is in parentheses, is state and parent.
pid_t ParentOf(const std::string& pid) {
  const std::string stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return -1;
  const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
  return fields.size() < 2 ? -1 : std::atoi(fields[1].c_str());
}

// nginx names its processes; a worker that takes no more connections says so.
bool TakesConnections(const std::string& pid) {
  const std::string title = ReadFile(absl::StrCat("/proc/", pid, "/cmdline"));
  return absl::StartsWith(title, "nginx: worker process") && !absl::StrContains(title, "shutting down");
}

std::vector<pid_t> WorkersOf(pid_t master) {
  std::vector<pid_t> workers;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string pid = entry.path().filename();
    if (IsNumber(pid) && ParentOf(pid) == master && TakesConnections(pid)) workers.push_back(std::atoi(pid.c_str()));
  }
  return workers;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Nginx>> Nginx::Start(const std::string& home, const std::string& address) {
  std::unique_ptr<Nginx> nginx(new Nginx(home, address));
  if (mkdir((home + "/tmp").c_str(), 0755) != 0) return FailErrno(errno, absl::StrCat("making ", home, "/tmp"));
  RETURN_IF_ERROR(nginx->MendConfiguration());
  const std::string log = home + "/nginx.log";
  // SIGTERM, so that the workers end as well.
  ASSIGN_OR_RETURN(nginx->master_, Program::Start({.argv = {"nginx", "-e", log, "-c", nginx->config_path()},
                                                   .output = log,
                                                   .error = log,
                                                   .on_death = SIGTERM}));
  const absl::Status started = WaitUntil(absl::StrCat("nginx listens on ", address), kStartTimeout, [&] {
    return TlsHandshake(address, kServerName, {}, kHandshakeTimeout).ok();
  });
  if (!started.ok()) return Annotate(started, ReadFile(log));
  return nginx;
}

std::string Nginx::Served() const {
  const auto worker = [this] { return master_ == nullptr ? 0 : Worker(); };
  for (pid_t before = worker();;) {
    if (before < 0) return "nginx has not exactly one worker";
    const auto peer = TlsHandshake(address_, kServerName, {}, kHandshakeTimeout);
    // A new one may have answered before it was seen to be one, while the old one takes connections still.
    const pid_t after = worker();
    if (after == before) return peer.ok() ? peer->leaf_sha256 : std::string(peer.status().message());
    before = after;
  }
}

pid_t Nginx::Worker() const {
  std::vector<pid_t> workers;
  const absl::Status settled = WaitUntil("nginx has one worker", kSettleTimeout, [&] {
    workers = WorkersOf(master_->pid());
    return workers.size() == 1;
  });
  return settled.ok() ? workers.front() : -1;
}

absl::Status Nginx::BreakConfiguration() const {
  return WriteFile(config_path(), absl::StrCat(Configuration(), "nonsense on;\n"), 0644);
}

absl::Status Nginx::MendConfiguration() const {
  return WriteFile(config_path(), Configuration(), 0644);
}

std::string Nginx::Configuration() const {
  return absl::Substitute(kConfiguration, home_, address_);
}

}  // namespace certcast::testing
