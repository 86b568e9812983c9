#include "common/service/read_probe.h"

#include "absl/strings/match.h"
#include "common/service/read.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"

namespace certcast {
namespace {

constexpr absl::Duration kLeastTimeout = absl::Milliseconds(100);
constexpr absl::Duration kMostTimeout = absl::Hours(1);

absl::Duration ReadTimeout(const yaml::Map& map) {
  return map.Find("timeout").Duration(kLeastTimeout, kMostTimeout, ProbeSpec{}.timeout);
}

ProbeSpec ReadTls(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with address and server_name", {"address", "server_name", "timeout"});
  TlsProbe probe;
  probe.address = map.Require("address").HostPort();
  probe.server_name = map.Require("server_name", "the name that clients ask for, such as www.example.com").HostName();
  return {.what = probe, .timeout = ReadTimeout(map)};
}

ProbeSpec ReadHttp(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with url", {"url", "host", "status", "timeout"});
  HttpProbe probe;
  const yaml::Value url = map.Require("url");
  probe.url = url.Text("a URL");
  if (!probe.url.empty()) url.Fail(CheckUrl(probe.url, {"https", "http"}));
  probe.host = map.Find("host").HostName();
  probe.status = map.Find("status").Integer(100, 599, probe.status);
  return {.what = probe, .timeout = ReadTimeout(map)};
}

ProbeSpec ReadTcp(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with address", {"address", "timeout"});
  return {.what = TcpProbe{.address = map.Require("address").HostPort()}, .timeout = ReadTimeout(map)};
}

ProbeSpec ReadCommandProbe(const yaml::Value& value) {
  ServiceCommand command = ReadCommand(value);
  const bool has_timeout = value.is_map() && yaml::Map(value).Find("timeout");
  return {.what = CommandProbe{.argv = std::move(command.argv)},
          .timeout = has_timeout ? command.timeout : ProbeSpec{}.timeout};
}

}  // namespace

ProbeSpec ReadProbe(const yaml::Value& value) {
  const yaml::Map map =
      value.ReadMap("a probe such as {tls: {address: ..., server_name: ...}}", {"tls", "http", "tcp", "command"});
  const yaml::Value what = map.RequireOneOf({"tls", "http", "tcp", "command"});
  if (!what) return {};
  if (what.key() == "tls") return ReadTls(what);
  if (what.key() == "http") return ReadHttp(what);
  if (what.key() == "tcp") return ReadTcp(what);
  return ReadCommandProbe(what);
}

bool SeesCertificate(const ProbeSpec& probe) {
  if (std::holds_alternative<TlsProbe>(probe.what)) return true;
  const auto* http = std::get_if<HttpProbe>(&probe.what);
  return http != nullptr && absl::StartsWith(http->url, "https://");
}

}  // namespace certcast
