#include "common/service/read.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/service/preset.h"
#include "common/service/read_file.h"
#include "common/service/read_probe.h"
#include "common/service/read_reload.h"
#include "common/status/status.h"
#include "common/x509/names.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/grammar.h"

namespace certcast {
namespace {

constexpr size_t kMaxServices = 64;
constexpr size_t kMaxCatalogue = 10'000;
constexpr size_t kMaxFiles = 64;
constexpr size_t kMaxProbes = 64;
constexpr size_t kMaxAllowedNames = 1000;

const Preset& ReadPreset(const yaml::Value& value) {
  std::vector<absl::string_view> names;
  for (const Preset& preset : Presets()) names.push_back(preset.name);
  const std::string name = value.Word(names);
  // The first one after an error.
  const auto chosen = std::find_if(Presets().begin(), Presets().end(), [&](const Preset& p) { return p.name == name; });
  return chosen == Presets().end() ? Presets().front() : *chosen;
}

void ReadCommands(const yaml::Map& map, const Preset* preset, Service& service) {
  if (preset != nullptr) {
    service.preset = std::string(preset->name);
    service.check.argv = preset->check;
    service.reload.how = preset->reload;
  }
  if (const yaml::Value check = map.Find("check")) service.check = ReadCommand(check);
  if (const yaml::Value reload = map.Find("reload")) {
    service.reload = ReadReload(reload, service.files);
    if (std::holds_alternative<HaproxyReload>(service.reload.how) && service.Certificates().size() > 1) {
      reload.Fail("found haproxy's runtime API, which is told of one file, for a service of several certificates",
                  "make it a service for each certificate, or reload haproxy by a command");
    }
  }
}

bool Holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void CheckCertificates(const yaml::Map& map, const Service& service) {
  const std::vector<std::string> certificates = service.Certificates();
  const yaml::Value certificate = map.Find("certificate");
  if (certificate && !service.certificate.empty() && !Holds(certificates, service.certificate)) {
    certificate.Fail(absl::StrCat("found ", Quoted(service.certificate),
                                  ", but every file of the service is of another: ", absl::StrJoin(certificates, ", ")),
                     "name one of them here; it is that of the files and probes that name none");
  }
}

void ReadProbeList(const yaml::Map& map, const DefaultEndpoint* standard, Service& service) {
  constexpr absl::string_view kHint =
      R"(add {tls: {address: "127.0.0.1:443", server_name: www.example.com}}: success is the fingerprint that is served)";
  const yaml::Value probes = map.Require("probes", kHint);
  if (!probes) return;
  const std::vector<std::string> certificates = service.Certificates();
  // Those that a probe sees.
  std::set<std::string> seen;
  for (const yaml::Value& probe : probes.Items("a list of probes", 0, kMaxProbes)) {
    for (ProbeSpec& spec : ReadProbes(probe, standard)) {
      // One that is wrong and has its own error counts as a tls probe.
      if (SeesCertificate(spec)) seen.insert(service.CertificateOf(spec));
      if (!spec.certificate.empty() && !Holds(certificates, spec.certificate)) {
        probe.Fail(absl::StrCat("found the certificate ", Quoted(spec.certificate),
                                ", expected one of the service's files: ", absl::StrJoin(certificates, ", ")));
      }
      service.probes.push_back(std::move(spec));
    }
  }
  const bool sees_certificate = !probes.is_list() || !seen.empty();
  if (service.probes.size() > kMaxProbes) {
    probes.Fail(absl::StrCat("found ", service.probes.size(), " pairs of address and server name, expected at most ",
                             kMaxProbes));
  }
  if (!sees_certificate) {
    probes.Fail("found no tls probe and no http probe of an https URL, expected at least one", kHint);
    return;
  }
  for (const std::string& name : certificates) {
    if (certificates.size() == 1 || seen.empty() || seen.count(name) > 0) continue;
    probes.Fail(absl::StrCat("found no tls probe and no http probe of an https URL for the certificate ", name,
                             ", expected at least one for each of the service's certificates"),
                absl::StrCat("add `certificate: ", name, "` to the probe that is to see it"));
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
    service.files.push_back(ReadServiceFile(file, service.certificate, paths));
  }
  if (!service.files.empty()) CheckCertificates(map, service);
  const yaml::Value named = map.Find("preset");
  const Preset* preset = named ? &ReadPreset(named) : nullptr;
  ReadCommands(map, preset, service);
  ReadProbeList(map, preset == nullptr ? nullptr : &preset->endpoint, service);
  return service;
}

bool IsBelow(absl::string_view path, absl::string_view directory) {
  return absl::ConsumePrefix(&path, directory) && (path.empty() || path.front() == '/');
}

// A file's path may not be another's directory, nor lie in the node's own.
void CheckPaths(const std::map<std::string, yaml::Value>& paths, absl::string_view state) {
  for (auto path = paths.begin(); path != paths.end(); ++path) {
    if (!state.empty() && IsBelow(path->first, state)) {
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

std::vector<Service> ReadServiceCatalogue(const yaml::Value& list) {
  yaml::FirstSeen names("the service name");
  std::vector<Service> services;
  for (const yaml::Value& item : list.Items("a list of services", 0, kMaxCatalogue)) {
    yaml::FirstSeen paths("the path");
    services.push_back(ReadService(item, names, paths));
    CheckPaths({paths.seen().begin(), paths.seen().end()}, "");
  }
  return services;
}

absl::Status CheckFilesTogether(const std::vector<const Service*>& services, absl::string_view state) {
  std::map<absl::string_view, const Service*> owners;
  for (const Service* service : services) {
    for (const ServiceFile& file : service->files) {
      // One that is wrong has its own error.
      if (file.path.empty()) continue;
      const std::string shown = absl::StrCat("the file ", Quoted(file.path), " of ", service->name);
      if (!state.empty() && IsBelow(file.path, state))
        return FailInput(absl::StrCat(shown, " lies in the node's state ", state));
      const auto [owner, is_new] = owners.emplace(file.path, service);
      if (is_new || owner->second == service) continue;
      return FailInput(absl::StrCat(shown, " is one of ", owner->second->name, " too"),
                       "one node can't have both services");
    }
  }
  for (const auto& [path, owner] : owners) {
    const std::string as_directory = absl::StrCat(path, "/");
    const auto inside = owners.lower_bound(as_directory);
    if (inside == owners.end() || !absl::StartsWith(inside->first, as_directory)) continue;
    return FailInput(absl::StrCat("the file ", Quoted(inside->first), " of ", inside->second->name, " lies below ",
                                  Quoted(path), ", which is a file of ", owner->name));
  }
  return absl::OkStatus();
}

std::vector<std::string> ReadAllowedNames(const yaml::Value& list) {
  std::vector<std::string> allowed;
  yaml::FirstSeen seen("the name");
  for (const yaml::Value& item : list.Items("a list of at least one DNS name", 1, kMaxAllowedNames)) {
    std::string name = absl::AsciiStrToLower(item.Text("a DNS name"));
    if (!name.empty() && name != "*") item.Fail(CheckDnsName(name));
    seen.Add(name, item);
    allowed.push_back(std::move(name));
  }
  return allowed;
}

}  // namespace certcast
