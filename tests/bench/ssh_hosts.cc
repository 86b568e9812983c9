#include "tests/bench/ssh_hosts.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/probe/tls_client.h"
#include "common/status/status.h"
#include "tests/bench/process_tree.h"
#include "tests/testing/program.h"

namespace certcast::bench {
namespace {

constexpr uid_t kDeploy = 2001;  // as sshd.cc's
constexpr absl::Duration kPlenty = absl::Seconds(10);

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 || chown(path.c_str(), kDeploy, kDeploy) != 0) {
    return FailErrno(errno, absl::StrCat("making ", path));
  }
  return absl::OkStatus();
}

absl::Status WriteOwned(const std::string& path, absl::string_view text, int mode) {
  RETURN_IF_ERROR(testing::WriteFile(path, text, mode));
  if (chown(path.c_str(), kDeploy, kDeploy) != 0) return FailErrno(errno, absl::StrCat("chown ", path));
  return absl::OkStatus();
}

}  // namespace

std::string SshHost::Served() const {
  const auto peer = TlsHandshake(service->address(), "www.example.com", {}, kPlenty);
  return peer.ok() ? peer->leaf_sha256 : std::string(peer.status().message());
}

absl::StatusOr<std::unique_ptr<SshHosts>> SshHosts::Start(int count, const std::string& folder) {
  if (geteuid() != 0) {
    return FailInput("simulated hosts are mount and PID namespaces, which root makes", "run this as root");
  }
  if (chmod(folder.c_str(), 0755) != 0) return FailErrno(errno, absl::StrCat("chmod ", folder));
  std::unique_ptr<SshHosts> hosts(new SshHosts(folder));
  RETURN_IF_ERROR(testing::MakeSshKey(hosts->key_file()));
  std::string known_hosts;
  for (int i = 1; i <= count; ++i) {
    RETURN_IF_ERROR(CheckInterrupted());
    RETURN_IF_ERROR(hosts->StartHost(i));
    absl::StrAppend(&known_hosts, hosts->hosts_.back().sshd->KnownHostsLine());
  }
  RETURN_IF_ERROR(testing::WriteFile(hosts->known_hosts_file(), known_hosts));
  // Each has threads: after the programs, which are forked.
  for (SshHost& host : hosts->hosts_) RETURN_IF_ERROR(hosts->StartService(host));
  return hosts;
}

absl::Status SshHosts::StartHost(int number) {
  SshHost host;
  host.name = absl::StrFormat("host-%03d", number);
  host.folder = absl::StrCat(folder_, "/", host.name);
  RETURN_IF_ERROR(MakeFolder(host.folder));
  testing::SshdOptions options;
  options.authorized_keys = testing::ReadFile(key_file() + ".pub");
  options.setup = {absl::StrCat("ln -s ", host.folder, " /home/deploy/machine")};
  ASSIGN_OR_RETURN(host.sshd, testing::Sshd::Start(options));
  hosts_.push_back(std::move(host));
  return absl::OkStatus();
}

absl::Status SshHosts::StartService(SshHost& host) {
  const std::string fullchain = host.folder + "/fullchain.pem";
  const std::string key = host.folder + "/privkey.pem";
  RETURN_IF_ERROR(WriteOwned(fullchain, old_.fullchain_pem, 0644));
  RETURN_IF_ERROR(WriteOwned(key, old_.key_pem.ExposeSecret(), 0600));
  host.service =
      std::make_unique<testing::ReloadingTlsServer>(fullchain, key, old_.fullchain_pem, old_.key_pem.ExposeSecret());
  return WriteOwned(host.folder + "/reload", host.service->reload_line() + "\n", 0644);
}

int SshHosts::Logins() const {
  int logins = 0;
  for (const SshHost& host : hosts_) {
    const std::vector<std::string> pieces = absl::StrSplit(host.sshd->log(), "Accepted publickey");
    logins += static_cast<int>(pieces.size()) - 1;
  }
  return logins;
}

absl::Status SshHosts::ShareAgents() const {
  const auto folder_of = [](const SshHost& host) { return std::filesystem::path(host.folder) / "state" / "bin"; };
  std::error_code error;
  for (const auto& agent : std::filesystem::directory_iterator(folder_of(hosts_.front()), error)) {
    if (!agent.is_regular_file()) continue;
    for (const SshHost& host : hosts_) {
      const std::filesystem::path own = folder_of(host) / agent.path().filename();
      if (own == agent.path()) continue;
      const std::filesystem::path shared = folder_of(host) / "shared";
      if (!error) std::filesystem::create_hard_link(agent.path(), shared, error);
      if (!error) std::filesystem::rename(shared, own, error);
    }
  }
  return error ? absl::InternalError(absl::StrCat("sharing the hosts' agents: ", error.message())) : absl::OkStatus();
}

testing::IssuedCertificate SshHosts::Issue() const {
  return ca_.Issue({.dns_names = {"*.example.com"}});
}

}  // namespace certcast::bench
