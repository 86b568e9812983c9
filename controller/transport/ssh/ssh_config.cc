#include "controller/transport/ssh/ssh_config.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(10);
constexpr size_t kMaxOutput = size_t{256} * 1024;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string Path(absl::string_view text) {
  return absl::ConsumePrefix(&text, "~/") ? absl::StrCat(Variable("HOME"), "/", text) : std::string(text);
}

std::vector<std::string> Paths(absl::string_view value) {
  std::vector<std::string> paths;
  for (const absl::string_view path : absl::StrSplit(value, ' ', absl::SkipEmpty())) {
    if (path != "none") paths.push_back(Path(path));
  }
  return paths;
}

std::string AgentSocket(absl::string_view value) {
  if (value == "none") return {};
  if (value == "SSH_AUTH_SOCK") return Variable("SSH_AUTH_SOCK");
  if (absl::ConsumePrefix(&value, "$")) return Variable(std::string(value).c_str());
  return Path(value);
}

absl::Status Add(absl::string_view key, absl::string_view value, SshConfigEntry& entry) {
  if (key == "user") {
    entry.user = std::string(value);
  } else if (key == "hostname") {
    entry.to.host = std::string(value);
  } else if (key == "port") {
    uint32_t port = 0;
    if (!absl::SimpleAtoi(value, &port) || port == 0 || port > 65535) {
      return FailInput(absl::StrCat("ssh -G gives the port ", value));
    }
    entry.to.port = static_cast<uint16_t>(port);
  } else if (key == "hostkeyalias") {
    entry.known_as = std::string(value);
  } else if (key == "identityfile") {
    entry.identity_files.push_back(Path(value));
  } else if (key == "certificatefile") {
    entry.certificate_files.push_back(Path(value));
  } else if (key == "identityagent") {
    entry.agent_socket = AgentSocket(value);
  } else if (key == "userknownhostsfile") {
    const std::vector<std::string> paths = Paths(value);
    entry.known_hosts.insert(entry.known_hosts.begin(), paths.begin(), paths.end());
  } else if (key == "globalknownhostsfile") {
    const std::vector<std::string> paths = Paths(value);
    entry.known_hosts.insert(entry.known_hosts.end(), paths.begin(), paths.end());
  } else if (key == "proxyjump" && value != "none") {
    entry.jumps = absl::StrSplit(value, ',');
  } else if (key == "proxycommand" && value != "none") {
    return FailInput(absl::StrCat("ssh_config has a ProxyCommand for it (", value, "), which certcast does not run"),
                     "use ProxyJump there, or `jump` in the node's entry");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SshConfigEntry> ParseSshConfig(absl::string_view text) {
  SshConfigEntry entry;
  entry.agent_socket = Variable("SSH_AUTH_SOCK");
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    RETURN_IF_ERROR(Add(parts.first, parts.second, entry));
  }
  if (entry.user.empty() || entry.to.host.empty() || entry.to.port == 0) {
    return FailInput("ssh -G did not say to whom and where ssh would connect");
  }
  return entry;
}

absl::StatusOr<SshConfigEntry> LookUpSshConfig(const std::string& host, const std::string& user, uint16_t port,
                                               const std::string& file, ProcessRunner& processes) {
  ProcessRequest request;
  request.argv = {"ssh", "-G"};
  if (!file.empty()) request.argv.insert(request.argv.end(), {"-F", file});
  if (!user.empty()) request.argv.insert(request.argv.end(), {"-l", user});
  if (port != 0) request.argv.insert(request.argv.end(), {"-p", absl::StrCat(port)});
  request.argv.insert(request.argv.end(), {"--", host});
  request.timeout = kTimeout;
  request.max_output = kMaxOutput;
  absl::StatusOr<ProcessResult> result = processes.Run(request);
  if (!result.ok()) return WithHint(result.status(), "use_ssh_config needs OpenSSH's client (openssh-client)");
  if (!result->ok()) {
    return WithStderr(FailInput(absl::StrCat("`ssh -G ", host, "` ", result->Describe()), "does ssh itself take it?"),
                      result->error);
  }
  return ParseSshConfig(result->output);
}

}  // namespace certcast::controller
