#include "common/service/read_reload.h"

#include <signal.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/service/read.h"

namespace certcast {
namespace {

constexpr absl::string_view kReload = "none, or a list of words such as [nginx, -s, reload]";
constexpr absl::Duration kLeastTimeout = absl::Milliseconds(100);
constexpr absl::Duration kMostTimeout = absl::Hours(1);
// sockaddr_un::sun_path with its NUL.
constexpr size_t kMaxSocketPath = 107;

struct SignalName {
  absl::string_view name;
  int number;
};
// By which servers read their files again; others end or stop a process.
constexpr SignalName kSignals[] = {{"HUP", SIGHUP}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};

int ReadSignal(const yaml::Value& value) {
  std::vector<absl::string_view> words;
  for (const SignalName& known : kSignals) words.push_back(known.name);
  const std::string word = value.Word(words);
  for (const SignalName& known : kSignals) {
    if (known.name == word) return known.number;
  }
  return kSignals[0].number;
}

// haproxy's runtime API takes a line apart at these.
bool IsOneWordForHaproxy(const std::string& path) {
  return std::all_of(path.begin(), path.end(), [](char c) {
    return absl::ascii_isgraph(c) && absl::string_view("\\;<>\"'#$!").find(c) == absl::string_view::npos;
  });
}

HaproxyReload ReadHaproxy(const yaml::Value& value, const std::vector<ServiceFile>& files) {
  const yaml::Map map = value.ReadMap("a map with socket and certificate", {"socket", "certificate"});
  HaproxyReload reload;
  const yaml::Value socket = map.Require("socket", "haproxy.cfg names it: stats socket /run/haproxy/admin.sock");
  reload.socket = socket.AbsolutePath();
  if (reload.socket.size() > kMaxSocketPath) {
    socket.FailExpected(absl::StrCat("the path of a socket, which has at most ", kMaxSocketPath, " characters"));
  }
  const yaml::Value certificate = map.Require("certificate", "the crt file as haproxy.cfg names it");
  reload.certificate = certificate.AbsolutePath();
  const bool is_file = std::any_of(files.begin(), files.end(), [&](const ServiceFile& file) {
    return file.content == FileContent::kCombined && file.path == reload.certificate;
  });
  if (reload.certificate.empty()) return reload;
  if (!is_file) {
    certificate.FailExpected("the path of one of this service's files with content combined",
                             "what haproxy gets over its socket must be what it reads when it starts");
  } else if (!IsOneWordForHaproxy(reload.certificate)) {
    certificate.FailExpected(R"(a path without spaces, quotes and \ ; < > # $ !, which haproxy's runtime API reads)");
  }
  return reload;
}

void RefuseWithout(const yaml::Map& map, absl::string_view key, absl::string_view detail) {
  if (const yaml::Value value = map.Find(key)) value.Fail(detail);
}

ServiceReload ReadMap(const yaml::Value& value, const std::vector<ServiceFile>& files) {
  const std::vector<absl::string_view> kinds = {"run", "sh", "restart", "signal", "haproxy"};
  std::vector<absl::string_view> keys = kinds;
  keys.insert(keys.end(), {"pid_file", "timeout"});
  const yaml::Map map = value.ReadMap("a reload", keys);
  const yaml::Value what = map.RequireOneOf(kinds);
  ServiceReload reload;
  if (!what) return reload;
  if (what.key() == "signal") {
    const yaml::Value pid_file = map.Require("pid_file", "the file in which the server writes its process id");
    reload.how = SignalReload{.signal = ReadSignal(what), .pid_file = pid_file.AbsolutePath()};
    RefuseWithout(map, "timeout", "found timeout beside signal, after which nothing is awaited; probes have their own");
    return reload;
  }
  RefuseWithout(map, "pid_file", absl::StrCat("found pid_file beside ", what.key(), ", expected it beside signal"));
  if (what.key() == "haproxy") reload.how = ReadHaproxy(what, files);
  if (what.key() == "run") reload.how = CommandReload{.argv = ReadArgv(what)};
  if (what.key() == "sh") reload.how = CommandReload{.argv = ReadShellLine(what)};
  if (what.key() == "restart") reload.how = CommandReload{.argv = ReadArgv(what), .disruptive = true};
  reload.timeout = map.Find("timeout").Duration(kLeastTimeout, kMostTimeout, reload.timeout);
  return reload;
}

}  // namespace

ServiceReload ReadReload(const yaml::Value& value, const std::vector<ServiceFile>& files) {
  if (value.is_list()) return {.how = CommandReload{.argv = ReadArgv(value)}};
  if (value.is_map()) return ReadMap(value, files);
  if (!value.is_text() || value.Text() != "none") value.FailExpected(kReload, "for a shell line write {sh: \"...\"}");
  return {};
}

}  // namespace certcast
