#include "common/probe/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/file/atomic.h"
#include "common/status/status.h"

namespace certcast {
namespace {

constexpr size_t kMaxHosts = size_t{4} * 1024 * 1024;

std::optional<SocketAddress> Numeric(absl::string_view text, uint16_t port) {
  const std::string host(text);
  SocketAddress address;
  sockaddr_in v4 = {};
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    memcpy(&address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
    return address;
  }
  sockaddr_in6 v6 = {};
  if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    memcpy(&address.storage, &v6, sizeof v6);
    address.size = sizeof v6;
    return address;
  }
  return std::nullopt;
}

// Every line of hosts(5) that has the name.
std::vector<SocketAddress> FindIn(absl::string_view hosts, const HostPort& host) {
  std::vector<SocketAddress> found;
  for (absl::string_view line : absl::StrSplit(hosts, '\n')) {
    line = line.substr(0, line.find('#'));
    const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    for (size_t i = 1; i < fields.size(); ++i) {
      if (!absl::EqualsIgnoreCase(fields[i], host.host)) continue;
      if (const auto address = Numeric(fields[0], host.port)) found.push_back(*address);
      break;
    }
  }
  return found;
}

}  // namespace

HostPort ToNumeric(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  HostPort numeric;
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4;
    memcpy(&v4, &address.storage, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    numeric.port = ntohs(v4.sin_port);
  } else {
    sockaddr_in6 v6;
    memcpy(&v6, &address.storage, sizeof v6);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    numeric.port = ntohs(v6.sin6_port);
  }
  numeric.host = text;
  return numeric;
}

absl::StatusOr<std::vector<SocketAddress>> HostsResolver::Resolve(const HostPort& host, absl::Duration) {
  if (const auto address = Numeric(host.host, host.port)) return std::vector<SocketAddress>{*address};
  const absl::StatusOr<std::string> hosts = ReadWholeFile(files_, "/etc/hosts", kMaxHosts);
  if (!hosts.ok() && !absl::IsNotFound(hosts.status())) return hosts.status();
  std::vector<SocketAddress> found;
  if (hosts.ok()) found = FindIn(*hosts, host);
  if (!found.empty()) return found;
  return Fail(Reason::NO_ROUTE, absl::StrCat("the host name \"", host.host, "\" is not in /etc/hosts"),
              "DNS is not asked here: write the numeric address, or put the name into /etc/hosts");
}

Resolver& Resolver::Local() {
  static auto* const resolver = new HostsResolver(FileSystem::Real());
  return *resolver;
}

}  // namespace certcast
