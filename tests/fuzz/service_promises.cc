#include "tests/fuzz/service_promises.h"

#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/identity/names.h"
#include "common/probe/address.h"
#include "common/probe/body_pattern.h"
#include "tests/fuzz/target.h"

namespace certcast::fuzz {
namespace {

bool IsSecret(const SecretReference& secret) {
  return secret.kind == SecretReference::Kind::kFile ? IsAbsolute(secret.name) : !secret.name.empty();
}

void RequireProbe(const ProbeSpec& probe) {
  Require(!probe.Describe().empty(), "a probe can be named");
  Require(probe.timeout > absl::ZeroDuration() && probe.timeout < absl::InfiniteDuration(), "a probe ends");
  Require(probe.consecutive >= 1, "a probe looks at least once");
  if (const auto* tls = std::get_if<TlsProbe>(&probe.what)) {
    Require(ParseHostPort(tls->address).ok(), "an address is one");
  } else if (const auto* http = std::get_if<HttpProbe>(&probe.what)) {
    Require(ParseUrl(http->url).ok(), "a URL is one");
    Require(http->status >= 100 && http->status <= 999, "a status is one");
    Require(CheckBodyPattern(http->body).ok(), "a pattern is one");
  } else if (const auto* tcp = std::get_if<TcpProbe>(&probe.what)) {
    Require(ParseHostPort(tcp->address).ok(), "an address is one");
  } else {
    Require(!std::get<CommandProbe>(probe.what).argv.empty(), "a command has words");
  }
}

}  // namespace

bool IsAbsolute(absl::string_view path) {
  return absl::StartsWith(path, "/") && !absl::StrContains(path, "/../") && !absl::EndsWith(path, "/..");
}

void RequireService(const Service& service, absl::string_view state) {
  Require(CheckNodeName(service.name).ok() && CheckNodeName(service.certificate).ok(),
          "names are names of directories");
  Require(!service.files.empty(), "a service has files");
  for (const ServiceFile& file : service.files) {
    Require(IsAbsolute(file.path), "a file's path is absolute");
    Require(!absl::StartsWith(file.path, absl::StrCat(state, "/")), "no file is in the node's own directory");
    Require((file.mode & ~mode_t{0777}) == 0, "a mode has permission bits alone");
    Require(!file.holds_key() || (file.mode & 0007) == 0, "no key is for everybody");
    Require(file.content != FileContent::kPkcs12 || IsSecret(file.pkcs12.password), "a PKCS#12 file has a password");
  }
  Require(service.check.timeout > absl::ZeroDuration() && service.reload.timeout > absl::ZeroDuration(),
          "commands end");
  if (const auto* command = std::get_if<CommandReload>(&service.reload.how)) {
    Require(!command->argv.empty(), "a command has words");
  } else if (const auto* signal = std::get_if<SignalReload>(&service.reload.how)) {
    Require(signal->signal > 0 && IsAbsolute(signal->pid_file), "a signal goes to a process");
  } else if (const auto* haproxy = std::get_if<HaproxyReload>(&service.reload.how)) {
    Require(IsAbsolute(haproxy->socket) && !haproxy->certificate.empty(), "haproxy is told of a file");
  }
  Require(!service.probes.empty(), "a service proves what it serves");
  for (const ProbeSpec& probe : service.probes) RequireProbe(probe);
}

}  // namespace certcast::fuzz
