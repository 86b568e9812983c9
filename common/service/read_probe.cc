#include "common/service/read_probe.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "common/probe/body_pattern.h"
#include "common/service/read.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "common/yaml/secret.h"

namespace certcast {
namespace {

constexpr absl::Duration kLeastTimeout = absl::Milliseconds(100);
constexpr absl::Duration kMostTimeout = absl::Hours(1);
// They don't see which certificate is served, so there is nothing that goes by turns.
constexpr int kOnce = 1;

absl::Duration ReadTimeout(const yaml::Map& map) {
  return map.Find("timeout").Duration(kLeastTimeout, kMostTimeout, ProbeSpec{}.timeout);
}

int ReadConsecutive(const yaml::Map& map) {
  constexpr int kMost = 100;
  return map.Find("consecutive").Integer(1, kMost, ProbeSpec{}.consecutive);
}

// Empty: the service's.
std::string ReadCertificate(const yaml::Map& map) {
  const yaml::Value certificate = map.Find("certificate");
  return certificate ? certificate.Name() : "";
}

ClientCertificate ReadClient(const yaml::Value& value) {
  ClientCertificate client;
  if (!value) return client;
  const yaml::Map map = value.ReadMap("a map with certificate and key", {"certificate", "key"});
  client.certificate_file = map.Require("certificate").Path();
  client.key = yaml::ReadSecretReference(map.Require("key"));
  return client;
}

std::vector<ProbeSpec> ReadTls(const yaml::Value& value, const DefaultEndpoint* standard) {
  const yaml::Map map = value.ReadMap("a map with address and server_name",
                                      EndpointKeys({"certificate", "expect", "client", "consecutive", "timeout"}));
  const Endpoints endpoints = ReadEndpoints(map, /*requires_name=*/true, standard);
  TlsProbe probe;
  probe.starttls = endpoints.starttls;
  if (const yaml::Value expect = map.Find("expect")) probe.expects_chain = expect.Word({"leaf", "chain"}) == "chain";
  probe.client = ReadClient(map.Find("client"));
  ProbeSpec spec = {
      .timeout = ReadTimeout(map), .consecutive = ReadConsecutive(map), .certificate = ReadCertificate(map)};
  std::vector<ProbeSpec> specs;
  for (const std::string& address : endpoints.addresses) {
    for (const std::string& server_name : endpoints.server_names) {
      probe.address = address;
      probe.server_name = server_name;
      spec.what = probe;
      specs.push_back(spec);
    }
  }
  return specs.empty() ? std::vector<ProbeSpec>(1) : specs;
}

BodyPattern ReadBody(const yaml::Value& value) {
  BodyPattern pattern;
  if (!value) return pattern;
  if (!value.is_map()) {
    pattern.kind = BodyPattern::Kind::kContains;
    pattern.text = value.Text("a text, or {matches: REGULAR-EXPRESSION}");
  } else {
    const yaml::Map map = value.ReadMap("a text, or a map with contains or matches", {"contains", "matches"});
    const yaml::Value what = map.RequireOneOf({"contains", "matches"});
    if (!what) return pattern;
    pattern.kind = what.key() == "matches" ? BodyPattern::Kind::kMatches : BodyPattern::Kind::kContains;
    pattern.text = what.Text();
    what.Fail(CheckBodyPattern(pattern));
  }
  constexpr size_t kMaxPattern = 4096;
  if (pattern.text.size() > kMaxPattern) value.Fail("found more than 4096 characters, expected a shorter pattern");
  return pattern;
}

ProbeSpec ReadHttp(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap(
      "a map with url", {"url", "certificate", "host", "status", "body", "client", "consecutive", "timeout"});
  HttpProbe probe;
  const yaml::Value url = map.Require("url");
  probe.url = url.Text("a URL");
  if (!probe.url.empty()) url.Fail(CheckUrl(probe.url, {"https", "http"}));
  probe.host = map.Find("host").HostName();
  probe.status = map.Find("status").Integer(100, 599, probe.status);
  probe.body = ReadBody(map.Find("body"));
  probe.client = ReadClient(map.Find("client"));
  return {.what = probe,
          .timeout = ReadTimeout(map),
          .consecutive = ReadConsecutive(map),
          .certificate = ReadCertificate(map)};
}

ProbeSpec ReadTcp(const yaml::Value& value) {
  const yaml::Map map = value.ReadMap("a map with address", {"address", "timeout"});
  return {.what = TcpProbe{.address = map.Require("address").HostPort()},
          .timeout = ReadTimeout(map),
          .consecutive = kOnce};
}

ProbeSpec ReadCommandProbe(const yaml::Value& value) {
  ServiceCommand command = ReadCommand(value);
  const bool has_timeout = value.is_map() && yaml::Map(value).Find("timeout");
  return {.what = CommandProbe{.argv = std::move(command.argv)},
          .timeout = has_timeout ? command.timeout : ProbeSpec{}.timeout,
          .consecutive = kOnce};
}

}  // namespace

std::vector<ProbeSpec> ReadProbes(const yaml::Value& value, const DefaultEndpoint* standard) {
  const yaml::Map map =
      value.ReadMap("a probe such as {tls: {address: ..., server_name: ...}}", {"tls", "http", "tcp", "command"});
  const yaml::Value what = map.RequireOneOf({"tls", "http", "tcp", "command"});
  if (!what) return std::vector<ProbeSpec>(1);
  if (what.key() == "tls") return ReadTls(what, standard);
  if (what.key() == "http") return {ReadHttp(what)};
  if (what.key() == "tcp") return {ReadTcp(what)};
  return {ReadCommandProbe(what)};
}

bool SeesCertificate(const ProbeSpec& probe) {
  if (std::holds_alternative<TlsProbe>(probe.what)) return true;
  const auto* http = std::get_if<HttpProbe>(&probe.what);
  return http != nullptr && absl::StartsWith(http->url, "https://");
}

}  // namespace certcast
