#include "tests/testing/pebble.h"

#include <openssl/bn.h>
#include <openssl/x509.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/ssl_ptr.h"
#include "controller/acme/curl_http_client.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

// A port that was free a moment ago may be taken by the time it is used.
constexpr int kStartTries = 3;

std::string Local(int port) {
  return absl::StrCat("127.0.0.1:", port);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Pebble>> Pebble::Start(const std::string& folder, const PebbleOptions& options) {
  std::unique_ptr<Pebble> pebble(new Pebble(folder));
  absl::Status started;
  for (int tries = 0; tries < kStartTries; ++tries) {
    started = pebble->TryStart(options);
    if (started.ok()) return pebble;
  }
  return Annotate(started, absl::StrCat("Pebble did not start: ", pebble->Log()));
}

absl::Status Pebble::TryStart(const PebbleOptions& options) {
  ASSIGN_OR_RETURN(const int port, FreePort("127.0.0.1"));
  ASSIGN_OR_RETURN(const int admin_port, FreePort("127.0.0.1"));
  ASSIGN_OR_RETURN(http_port_, FreePort("127.0.0.1"));
  directory_url_ = absl::StrCat("https://", Local(port), "/dir");
  admin_url_ = absl::StrCat("https://", Local(admin_port));
  RETURN_IF_ERROR(WriteCertificates());
  RETURN_IF_ERROR(WriteConfig(options, port, admin_port));
  RETURN_IF_ERROR(StartPrograms(options));
  RETURN_IF_ERROR(
      WaitUntil("Pebble answers or has ended", absl::Seconds(20), [&] { return !pebble_->Running() || Answers(); }));
  return Answers() ? absl::OkStatus() : absl::UnavailableError("it ended by itself");
}

absl::Status Pebble::WriteCertificates() const {
  const TestCa root = TestCa::Root("Pebble HTTPS");
  const IssuedCertificate leaf = root.Issue({.dns_names = {"localhost"}, .ip_addresses = {"127.0.0.1"}});
  RETURN_IF_ERROR(WriteFile(ca_file(), root.root_pem()));
  RETURN_IF_ERROR(WriteFile(folder_ + "/pebble-https.pem", leaf.fullchain_pem));
  return WriteFile(folder_ + "/pebble-https.key", leaf.key_pem.ExposeSecret());
}

absl::Status Pebble::WriteConfig(const PebbleOptions& options, int port, int admin_port) const {
  nlohmann::json settings = {{"listenAddress", Local(port)},
                             {"managementListenAddress", Local(admin_port)},
                             {"certificate", folder_ + "/pebble-https.pem"},
                             {"privateKey", folder_ + "/pebble-https.key"},
                             {"httpPort", http_port_},
                             {"tlsPort", 5001},
                             {"ocspResponderURL", ""},
                             {"externalAccountBindingRequired", options.external_account_required},
                             {"domainBlocklist", options.blocked_domains}};
  if (!options.external_accounts.empty()) settings["externalAccountMACKeys"] = options.external_accounts;
  return WriteFile(folder_ + "/pebble.json", nlohmann::json{{"pebble", settings}}.dump(2));
}

absl::Status Pebble::StartPrograms(const PebbleOptions& options) {
  ASSIGN_OR_RETURN(dns_, ChallengeDns::Start(folder_));
  const std::string log = folder_ + "/pebble.log";
  ASSIGN_OR_RETURN(
      pebble_,
      Program::Start({.argv = {"pebble", "-strict", "-config", folder_ + "/pebble.json", "-dnsserver",
                               options.dns_server.empty() ? dns_address() : options.dns_server},
                      .environment = {{options.slow_validation ? "PEBBLE_VA_SLEEPTIME" : "PEBBLE_VA_NOSLEEP",
                                       options.slow_validation ? "4" : "1"},
                                      {"PEBBLE_ALTERNATE_ROOTS", std::to_string(options.alternate_roots)},
                                      {"PEBBLE_WFE_NONCEREJECT", std::to_string(options.bad_nonces_percent)},
                                      {"PEBBLE_AUTHZREUSE", std::to_string(options.authorization_reuse_percent)}},
                      .output = log,
                      .error = log}));
  return absl::OkStatus();
}

bool Pebble::Answers() const {
  const auto answer = controller::MakeCurlHttpClient("certcast-tests")
                          ->Perform({.url = directory_url_, .timeout = absl::Seconds(5), .ca_file = ca_file()});
  return answer.ok() && answer->status == 200;
}

absl::StatusOr<std::string> Pebble::IssuingRoot(int number) const {
  ASSIGN_OR_RETURN(const controller::HttpResponse answer,
                   controller::MakeCurlHttpClient("certcast-tests")
                       ->Perform({.url = absl::StrCat(admin_url_, "/roots/", number), .ca_file = ca_file()}));
  if (answer.status != 200) return absl::InternalError(absl::StrCat("/roots/", number, " answered ", answer.status));
  return answer.body;
}

absl::StatusOr<std::string> Pebble::StatusOf(absl::string_view certificate_pem) const {
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(certificate_pem));
  const SslPtr<BIGNUM> serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(chain.front().get()), nullptr));
  char* const hex = BN_bn2hex(serial.get());
  const std::string path = absl::StrCat("/cert-status-by-serial/", hex);
  OPENSSL_free(hex);
  ASSIGN_OR_RETURN(const controller::HttpResponse answer,
                   controller::MakeCurlHttpClient("certcast-tests")
                       ->Perform({.url = absl::StrCat(admin_url_, path), .ca_file = ca_file()}));
  if (answer.status != 200) return absl::InternalError(absl::StrCat(path, " answered ", answer.status));
  const auto body = nlohmann::json::parse(answer.body);
  const std::string status = body.at("Status");
  return body.contains("Reason") ? absl::StrCat(status, " ", body.at("Reason").get<int>()) : status;
}

std::string Pebble::Log() const {
  return absl::StrCat(ReadFile(ChallengeDns::LogOf(folder_)), ReadFile(folder_ + "/pebble.log"));
}

}  // namespace certcast::testing
