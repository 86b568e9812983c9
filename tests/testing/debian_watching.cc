// Servers that read their files by themselves: prometheus-node-exporter, with each handshake.
#include "absl/strings/substitute.h"
#include "common/status/status.h"
#include "tests/testing/debian_server.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

std::string NodeExporterConfig(const ServerPlace& place) {
  return place.home + "/web.yml";
}

std::string NodeExporterTls(const std::string& certificate, const std::string& key) {
  return absl::Substitute("tls_server_config:\n  cert_file: $0\n  key_file: $1\n", certificate, key);
}

DaemonPlan PlanNodeExporter(const ServerPlace& place) {
  return {.files = {{NodeExporterConfig(place), NodeExporterTls(place.fullchain(), place.key())}},
          .argv = {"setpriv", "--reuid=prometheus", "--regid=prometheus", "--clear-groups", "prometheus-node-exporter",
                   "--collector.disable-defaults", "--web.config.file=" + NodeExporterConfig(place),
                   "--web.listen-address=" + place.address()},
          .address = place.address()};
}

std::string NodeExporterCommands(const ServerPlace&) {
  return "reload: none\n";
}

// It reads its configuration as often.
absl::Status NodeExporterStopsReading(const ServerPlace& place) {
  const std::string certificate = place.home + "/copy.pem";
  const std::string key = place.home + "/copy.key";
  RETURN_IF_ERROR(WriteFile(certificate, ReadFile(place.fullchain()), 0644));
  RETURN_IF_ERROR(WriteFile(key, ReadFile(place.key()), 0644));
  return WriteFile(NodeExporterConfig(place), NodeExporterTls(certificate, key), 0644);
}

}  // namespace

std::vector<DebianServer> ServersThatWatch() {
  return {{.name = "prometheus-node-exporter",
           .plan = PlanNodeExporter,
           .commands = NodeExporterCommands,
           .preset = "none",
           .key_owner = "prometheus",
           .conversation = kRequestAfterRequest,
           .stop_reading = NodeExporterStopsReading}};
}

}  // namespace certcast::testing
