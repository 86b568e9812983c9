#include "common/service/read.h"

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/service/preset.h"
#include "common/service/read_probe.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/grammar.h"

namespace certcast {
namespace {

constexpr size_t kMaxServices = 64;
constexpr size_t kMaxFiles = 64;
constexpr size_t kMaxProbes = 64;
constexpr mode_t kKeyMode = 0600;
constexpr mode_t kPublicMode = 0644;

struct ContentName {
  absl::string_view name;
  FileContent content;
};

const std::vector<ContentName>& ContentNames() {
  static const auto& names = *new std::vector<ContentName>{
      {"cert", FileContent::kCertificate},    {"chain", FileContent::kChain},
      {"fullchain", FileContent::kFullchain}, {"private_key", FileContent::kPrivateKey},
      {"combined", FileContent::kCombined},   {"der", FileContent::kDer},
  };
  return names;
}

// The entry of `table` that the value names; the first one after an error.
template <typename Entry>
const Entry& Choose(const yaml::Value& value, const std::vector<Entry>& table) {
  std::vector<absl::string_view> words;
  words.reserve(table.size());
  for (const Entry& entry : table) words.push_back(entry.name);
  const std::string word = value.Word(words);
  for (const Entry& entry : table) {
    if (entry.name == word) return entry;
  }
  return table.front();
}

void CheckMode(const yaml::Value& value, const ServiceFile& file) {
  constexpr mode_t kOthers = 07;
  constexpr mode_t kWritableByGroup = 020;
  constexpr mode_t kWritableByOthers = 02;
  constexpr mode_t kReadableByOwner = 0400;
  if (file.holds_key() && (file.mode & kOthers) != 0) {
    value.FailExpected("permissions without others in them: the file holds the private key",
                       R"(write "0600", or "0640" with the service's group)");
  } else if (file.holds_key() && (file.mode & kWritableByGroup) != 0) {
    value.FailExpected("permissions by which only the owner writes: the file holds the private key",
                       R"(write "0600", or "0640" with the service's group)");
  } else if ((file.mode & kWritableByOthers) != 0) {
    value.FailExpected("permissions by which others do not write", R"(write "0644")");
  } else if ((file.mode & kReadableByOwner) == 0) {
    value.FailExpected("permissions by which the owner reads");
  }
}

ServiceFile ReadFile(const yaml::Value& value, yaml::FirstSeen& paths) {
  const yaml::Map map = value.ReadMap("a map with path and content", {"path", "content", "owner", "group", "mode"});
  ServiceFile file;
  file.path = map.Require("path").AbsolutePath();
  if (file.path == "/") map.Find("path").FailExpected("the path of a file");
  paths.Add(file.path, map.Find("path"));
  file.content = Choose(map.Require("content"), ContentNames()).content;
  file.owner = map.Find("owner").AccountName();
  file.group = map.Find("group").AccountName();
  file.mode = file.holds_key() ? kKeyMode : kPublicMode;
  if (const yaml::Value mode = map.Find("mode")) {
    file.mode = mode.Mode(file.mode);
    CheckMode(mode, file);
  }
  return file;
}

void ReadCommands(const yaml::Map& map, Service& service) {
  if (const yaml::Value preset = map.Find("preset")) {
    const Preset& chosen = Choose(preset, Presets());
    service.preset = std::string(chosen.name);
    service.check.argv = chosen.check;
    service.reload.argv = chosen.reload;
  }
  if (const yaml::Value check = map.Find("check")) service.check = ReadCommand(check);
  if (const yaml::Value reload = map.Find("reload")) service.reload = ReadCommand(reload);
}

void ReadProbes(const yaml::Map& map, Service& service) {
  constexpr absl::string_view kHint =
      R"(add {tls: {address: "127.0.0.1:443", server_name: www.example.com}}: success is the fingerprint that is served)";
  const yaml::Value probes = map.Require("probes", kHint);
  if (!probes) return;
  bool sees_certificate = !probes.is_list();
  for (const yaml::Value& probe : probes.Items("a list of probes", 0, kMaxProbes)) {
    service.probes.push_back(ReadProbe(probe));
    // One that is wrong and has its own error counts as a tls probe.
    sees_certificate = sees_certificate || SeesCertificate(service.probes.back());
  }
  if (!sees_certificate) {
    probes.Fail("found no tls probe and no http probe of an https URL, expected at least one", kHint);
  }
}

Service ReadService(const yaml::Value& value, yaml::FirstSeen& names, yaml::FirstSeen& paths) {
  const yaml::Map map =
      value.ReadMap("a service", {"name", "certificate", "preset", "files", "check", "reload", "probes"});
  Service service;
  service.name = map.Require("name").Name();
  names.Add(service.name, map.Find("name"));
  service.certificate = map.Require("certificate").Name();
  for (const yaml::Value& file : map.Require("files").Items("a list of at least one file", 1, kMaxFiles)) {
    service.files.push_back(ReadFile(file, paths));
  }
  ReadCommands(map, service);
  ReadProbes(map, service);
  return service;
}

// A file's path may not be another's directory, nor lie in the node's own.
void CheckPaths(const std::map<std::string, yaml::Value>& paths, absl::string_view state) {
  for (auto path = paths.begin(); path != paths.end(); ++path) {
    if (!state.empty() && (path->first == state || absl::StartsWith(path->first, absl::StrCat(state, "/")))) {
      path->second.FailExpected(absl::StrCat("a path outside of the node's state ", state));
    }
    const std::string as_directory = absl::StrCat(path->first, "/");
    const auto inside = paths.lower_bound(as_directory);
    if (inside == paths.end() || !absl::StartsWith(inside->first, as_directory)) continue;
    inside->second.Fail(absl::StrCat("found ", Quoted(inside->first), " below ", Quoted(path->first),
                                     ", which is itself a file at ", path->second.Where()));
  }
}

}  // namespace

std::vector<Service> ReadServices(const yaml::Value& list, absl::string_view state) {
  yaml::FirstSeen names("the service name");
  yaml::FirstSeen paths("the path");
  std::vector<Service> services;
  for (const yaml::Value& item : list.Items("a list of at least one service", 1, kMaxServices)) {
    services.push_back(ReadService(item, names, paths));
  }
  CheckPaths({paths.seen().begin(), paths.seen().end()}, state);
  return services;
}

}  // namespace certcast
