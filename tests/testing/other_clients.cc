#include "tests/testing/other_clients.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "tests/testing/program.h"

namespace certcast::testing {
namespace {

absl::Status Run(const Pebble& pebble, std::vector<std::string> argv,
                 std::vector<std::pair<std::string, std::string>> environment) {
  ProcessRequest request;
  request.argv = std::move(argv);
  request.environment = std::move(environment);
  request.directory = "/";
  request.timeout = absl::Seconds(100);
  ASSIGN_OR_RETURN(const ProcessResult result, ProcessRunner::Real().Run(request));
  if (result.ok()) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat(request.argv.front(), ": ", result.Describe(), "\n", result.output, result.error, pebble.Log()));
}

}  // namespace

absl::Status RunLego(const Pebble& pebble, const std::string& folder, const std::string& hook,
                     const std::string& mode) {
  return Run(pebble,
             {"lego", "--accept-tos", "--email", "ops@demo.test", "--server", pebble.directory_url(), "--path", folder,
              "--domains", "demo.test", "--domains", "*.demo.test", "--dns", "exec", "--dns.resolvers",
              pebble.dns_address(), "--dns.disable-cp", "run"},
             {{"EXEC_PATH", hook},
              {"EXEC_MODE", mode},
              {"EXEC_SEQUENCE_INTERVAL", "1"},
              {"EXEC_POLLING_INTERVAL", "1"},
              {"LEGO_CA_CERTIFICATES", pebble.ca_file()}});
}

absl::Status RunCertbot(const Pebble& pebble, const std::string& folder, const std::string& hook) {
  return Run(pebble,
             {"certbot",
              "certonly",
              "--non-interactive",
              "--agree-tos",
              "-m",
              "ops@demo.test",
              "--manual",
              "--preferred-challenges",
              "dns",
              "--manual-auth-hook",
              hook + " present",
              "--manual-cleanup-hook",
              hook + " cleanup",
              "--server",
              pebble.directory_url(),
              "-d",
              "demo.test",
              "-d",
              "*.demo.test",
              "--config-dir",
              folder,
              "--work-dir",
              folder,
              "--logs-dir",
              folder},
             {{"REQUESTS_CA_BUNDLE", pebble.ca_file()}});
}

absl::Status RunDehydrated(const Pebble& pebble, const std::string& folder, const std::string& hook) {
  const std::string config = folder + "/config";
  RETURN_IF_ERROR(Run(pebble, {"mkdir", "-p", folder}, {}));
  RETURN_IF_ERROR(WriteFile(config, absl::StrJoin({absl::StrCat("CA=", pebble.directory_url()),
                                                   absl::StrCat("CURL_OPTS=\"--cacert ", pebble.ca_file(), "\""),
                                                   absl::StrCat("BASEDIR=", folder), absl::StrCat("WELLKNOWN=", folder),
                                                   absl::StrCat("HOOK=", hook), std::string("CHALLENGETYPE=dns-01"),
                                                   std::string("KEY_ALGO=prime256v1"), std::string("DEHYDRATED_USER="),
                                                   std::string("DEHYDRATED_GROUP=")},
                                                  "\n")));
  RETURN_IF_ERROR(Run(pebble, {"dehydrated", "--config", config, "--register", "--accept-terms"}, {}));
  return Run(pebble, {"dehydrated", "--config", config, "--cron", "-d", "demo.test *.demo.test > demo"}, {});
}

}  // namespace certcast::testing
