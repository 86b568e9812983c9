#include "tests/testing/sshd.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/process/process.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr absl::Duration kStart = absl::Seconds(20);

constexpr absl::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n"
    "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
    "other:x:2002:2002::/home/other:/bin/sh\n";

// The first two fields of a public key file.
std::string PublicKeyOf(const std::string& path) {
  const std::vector<std::string> fields = absl::StrSplit(ReadFile(path), ' ');
  return fields.size() < 2 ? "" : absl::StrCat(fields[0], " ", std::string(absl::StripSuffix(fields[1], "\n")));
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::istringstream text(ReadFile(absl::StrCat("/proc/", pid, "/task/", pid, "/children")));
  pid_t child = 0;
  while (text >> child) children.push_back(child);
  return children;
}

}  // namespace

absl::Status RunSshKeygen(const std::vector<std::string>& arguments) {
  ProcessRequest request;
  request.argv = {"ssh-keygen", "-q"};
  request.argv.insert(request.argv.end(), arguments.begin(), arguments.end());
  ASSIGN_OR_RETURN(const ProcessResult result, ProcessRunner::Real().Run(request));
  if (result.ok()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("ssh-keygen ", absl::StrJoin(arguments, " "), ": ", result.error));
}

absl::Status MakeSshKey(const std::string& path, const std::string& type, const std::string& passphrase) {
  const std::vector<std::string> parts = absl::StrSplit(type, ':');
  std::vector<std::string> arguments = {"-t", parts[0], "-f", path, "-N", passphrase, "-C", ""};
  if (parts.size() > 1) arguments.insert(arguments.end(), {"-b", parts[1]});
  return RunSshKeygen(arguments);
}

absl::StatusOr<std::unique_ptr<Sshd>> Sshd::Start(const SshdOptions& options) {
  std::unique_ptr<Sshd> sshd(new Sshd(options));
  ASSIGN_OR_RETURN(sshd->port_, FreePort(options.address));
  RETURN_IF_ERROR(sshd->MakeHostKeys());
  RETURN_IF_ERROR(sshd->WriteFiles());
  RETURN_IF_ERROR(sshd->StartServer());
  return sshd;
}

Sshd::~Sshd() {
  // unshare(1) does not listen to anything else; with it goes the first process of the namespace, and then all.
  if (program_ != nullptr) program_->Kill();
}

absl::Status Sshd::MakeHostKeys() {
  for (size_t i = 0; i < options_.host_key_types.size(); ++i) {
    const std::string path = absl::StrCat(directory_.path(), "/host_key_", i);
    RETURN_IF_ERROR(MakeSshKey(path, options_.host_key_types[i]));
    if (options_.host_ca.empty()) continue;
    std::vector<std::string> arguments = {"-s", options_.host_ca, "-I", "host", "-h", "-n", options_.host_principals};
    if (options_.host_principals.empty()) arguments.resize(5);
    arguments.insert(arguments.end(), options_.host_certificate_arguments.begin(),
                     options_.host_certificate_arguments.end());
    arguments.push_back(absl::StrCat(path, ".pub"));
    RETURN_IF_ERROR(RunSshKeygen(arguments));
  }
  return absl::OkStatus();
}

absl::Status Sshd::WriteFiles() {
  const std::string& at = directory_.path();
  chmod(at.c_str(), 0755);
  std::string config = absl::StrJoin(options_.config, "\n");
  absl::StrAppend(
      &config, "\nListenAddress ", options_.address, "\nPort ", port_,
      "\nMaxStartups 100\nUsePAM no\nPidFile none\nLogLevel VERBOSE\nAuthorizedKeysFile .ssh/authorized_keys\n",
      "Subsystem sftp internal-sftp\n");
  for (size_t i = 0; i < options_.host_key_types.size(); ++i) {
    absl::StrAppend(&config, "HostKey /run/host/host_key_", i, "\n");
    if (!options_.host_ca.empty()) absl::StrAppend(&config, "HostCertificate /run/host/host_key_", i, "-cert.pub\n");
  }
  RETURN_IF_ERROR(WriteFile(absl::StrCat(at, "/sshd_config"), config));
  RETURN_IF_ERROR(WriteFile(absl::StrCat(at, "/passwd"),
                            absl::StrCat(kPasswd, "deploy:x:2001:2001::/home/deploy:", options_.shell, "\n"), 0644));
  RETURN_IF_ERROR(
      WriteFile(absl::StrCat(at, "/group"), "root:x:0:\nnogroup:x:65534:\ndeploy:x:2001:\nother:x:2002:\n", 0644));
  RETURN_IF_ERROR(
      WriteFile(absl::StrCat(at, "/shadow"), "root:*:19000::::::\ndeploy:*:19000::::::\nother:*:19000::::::\n"));
  RETURN_IF_ERROR(WriteFile(absl::StrCat(at, "/sudoers"), absl::StrCat(options_.sudoers, "\n"), 0440));
  return WriteFile(absl::StrCat(at, "/authorized_keys"), options_.authorized_keys);
}

absl::Status Sshd::StartServer() {
  const std::string& at = directory_.path();
  std::vector<std::string> lines = {
      "set -e",
      absl::StrCat("cd ", at),
      "for f in passwd group shadow sudoers; do mount --bind $f /etc/$f; done",
      "mount -t tmpfs -o mode=755 host /run",
      "mkdir /run/sshd /run/host",
      "mount --bind . /run/host",
      "cd /",
      "mount -t tmpfs -o mode=755,size=128m host /home",
      "mount -t tmpfs -o mode=755,size=128m host /var/lib",
      "mkdir -p /home/deploy/.ssh",
      "cp /run/host/authorized_keys /home/deploy/.ssh/",
      "chown -R 2001:2001 /home/deploy",
  };
  lines.insert(lines.end(), options_.setup.begin(), options_.setup.end());
  lines.emplace_back("exec /usr/sbin/sshd -D -f /run/host/sshd_config -E /run/host/log");
  ProgramOptions program;
  program.argv = {"unshare", "--mount",      "--pid",
                  "--fork",  "--kill-child", "--mount-proc",
                  "/bin/sh", "-c",           absl::StrJoin(lines, "\n")};
  program.error = absl::StrCat(at, "/start_log");
  ASSIGN_OR_RETURN(program_, Program::Start(program));
  const absl::Status listening = WaitUntil(
      "sshd listens", kStart, [this] { return absl::StrContains(log(), "Server listening") || !program_->Running(); });
  const std::vector<pid_t> children = ChildrenOf(program_->pid());
  if (!listening.ok() || !program_->Running() || children.size() != 1) {
    return absl::UnavailableError(absl::StrCat("sshd did not start: ", ReadFile(program.error), log()));
  }
  server_ = children.front();
  return absl::OkStatus();
}

std::string Sshd::endpoint() const {
  return absl::StrCat(options_.address, ":", port_);
}

std::string Sshd::HostKey(size_t index) const {
  return PublicKeyOf(absl::StrCat(directory_.path(), "/host_key_", index, ".pub"));
}

std::string Sshd::KnownHostsLine(size_t index) const {
  return absl::StrCat("[", options_.address, "]:", port_, " ", HostKey(index), "\n");
}

std::string Sshd::ReadHostFile(const std::string& path) const {
  return ReadFile(absl::StrCat("/proc/", server_, "/root", path));
}

absl::StatusOr<std::string> Sshd::Run(const std::string& line) const {
  ProcessRequest request;
  request.argv = {"nsenter", "--mount", "--pid", "--target", absl::StrCat(server_), "/bin/sh", "-c", line};
  ASSIGN_OR_RETURN(ProcessResult result, ProcessRunner::Real().Run(request));
  if (!result.ok()) return absl::InternalError(absl::StrCat(line, ": ", result.Describe(), ": ", result.error));
  return std::move(result.output);
}

std::vector<pid_t> Sshd::ConnectionProcesses() const {
  std::vector<pid_t> all = ChildrenOf(server_);
  for (size_t i = 0; i < all.size(); ++i) {
    const std::vector<pid_t> children = ChildrenOf(all[i]);
    all.insert(all.end(), children.begin(), children.end());
  }
  return all;
}

std::string Sshd::log() const {
  return ReadFile(absl::StrCat(directory_.path(), "/log"));
}

}  // namespace certcast::testing
