#include "tests/testing/caddy.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/acme/curl_http_client.h"

namespace certcast::testing {
namespace {

using nlohmann::json;

// One server on `port`, whose own certificate is of the CA that it offers.
json Configuration(const std::string& data, int port) {
  const json names = {"localhost"};
  const json route = {{"match", json::array({{{"host", names}}})},
                      {"handle", json::array({{{"handler", "acme_server"}}})},
                      {"terminal", true}};
  const json server = {{"listen", {absl::StrCat("127.0.0.1:", port)}},
                       {"automatic_https", {{"disable_redirects", true}}},
                       {"routes", json::array({route})}};
  const json policy = {{"subjects", names}, {"issuers", json::array({{{"module", "internal"}}})}};
  return {{"admin", {{"disabled", true}}},
          {"storage", {{"module", "file_system"}, {"root", data}}},
          {"apps",
           {{"http", {{"https_port", port}, {"servers", {{"acme", server}}}}},
            {"pki", {{"certificate_authorities", {{"local", {{"install_trust", false}}}}}}},
            {"tls", {{"automation", {{"policies", json::array({policy})}}}}}}}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Caddy>> Caddy::Start(const std::string& folder) {
  std::unique_ptr<Caddy> caddy(new Caddy(folder));
  ASSIGN_OR_RETURN(const int port, FreePort("127.0.0.1"));
  caddy->directory_url_ = absl::StrCat("https://localhost:", port, "/acme/local/directory");
  RETURN_IF_ERROR(WriteFile(folder + "/caddy.json", Configuration(folder + "/data", port).dump(2)));
  RETURN_IF_ERROR(caddy->Run());
  return caddy;
}

absl::Status Caddy::Run() {
  program_.reset();
  const std::string log = folder_ + "/caddy.log";
  ASSIGN_OR_RETURN(program_, Program::Start({.argv = {"caddy", "run", "--config", folder_ + "/caddy.json"},
                                             .environment = {{"HOME", folder_}, {"XDG_DATA_HOME", folder_ + "/data"}},
                                             .output = log,
                                             .error = log}));
  RETURN_IF_ERROR(
      WaitUntil("Caddy answers or has ended", absl::Seconds(20), [&] { return !program_->Running() || Answers(); }));
  return Answers() ? absl::OkStatus() : absl::UnavailableError(absl::StrCat("Caddy did not start: ", Log()));
}

bool Caddy::Answers() const {
  const auto answer = controller::MakeCurlHttpClient("certcast-tests")
                          ->Perform({.url = directory_url_, .timeout = absl::Seconds(5), .ca_file = ca_file()});
  return answer.ok() && answer->status == 200;
}

}  // namespace certcast::testing
