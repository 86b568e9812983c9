// Pebble, the ACME test server, with pebble-challtestsrv as the DNS that it validates against: every validation is
// done.
//
//   auto pebble = Pebble::Start(folder, {.bad_nonces_percent = 50});
//   account.directory = (*pebble)->directory_url();
//   account.ca_file = (*pebble)->ca_file();
//   challenge.writer = ExecHook{.command = {(*pebble)->hook()}};
//   challenge.propagation.resolvers = {(*pebble)->dns_address()};
#ifndef CERTCAST_TESTS_TESTING_PEBBLE_H_
#define CERTCAST_TESTS_TESTING_PEBBLE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/testing/challenge_dns.h"
#include "tests/testing/program.h"

namespace certcast::testing {

struct PebbleOptions {
  int bad_nonces_percent = 0;
  // How often a new order gets an authorization that is valid already.
  int authorization_reuse_percent = 0;
  bool external_account_required = false;
  // Key id to HMAC key, as base64url.
  std::map<std::string, std::string> external_accounts;
  // Other roots that sign its intermediate, so that it offers as many chains beside its own choice.
  int alternate_roots = 0;
  // Looks at each challenge after some seconds only.
  bool slow_validation = false;
  // Names that it refuses (rejectedIdentifier).
  std::vector<std::string> blocked_domains;
  // host:port of the DNS server that it asks; empty: challtestsrv.
  std::string dns_server = {};
};

// Both programs run on free ports of 127.0.0.1 until this is destroyed.
class Pebble {
 public:
  // Returns once both answer; an error has their logs. Writes its configuration, keys and logs into `folder`, an
  // absolute path that is there.
  static absl::StatusOr<std::unique_ptr<Pebble>> Start(const std::string& folder, const PebbleOptions& options);

  const std::string& directory_url() const { return directory_url_; }
  // The root of Pebble's own TLS certificate.
  std::string ca_file() const { return folder_ + "/pebble-https-root.pem"; }
  // challtestsrv's DNS, as host:port.
  const std::string& dns_address() const { return dns_->address(); }
  // Where it looks by http-01, instead of port 80.
  int http_port() const { return http_port_; }
  // See ChallengeDns.
  absl::Status SetAddresses(const std::string& host, const std::vector<std::string>& addresses) const {
    return dns_->SetAddresses(host, addresses);
  }
  const std::string& management_url() const { return dns_->management_url(); }
  std::string hook() const { return dns_->hook(); }
  // PEM of the root that Pebble issues under, or of one of the alternate ones, from 1; new ones each time it starts.
  absl::StatusOr<std::string> IssuingRoot(int number = 0) const;
  // What Pebble says of a certificate that it issued, given as PEM: "Valid", "Revoked", "Revoked 1" with the reason.
  absl::StatusOr<std::string> StatusOf(absl::string_view certificate_pem) const;
  // It answers nobody until Thaw.
  void Freeze() const { pebble_->Signal(SIGSTOP); }
  void Thaw() const { pebble_->Signal(SIGCONT); }
  // What both wrote so far.
  std::string Log() const;

 private:
  explicit Pebble(std::string folder) : folder_(std::move(folder)) {}
  absl::Status TryStart(const PebbleOptions& options);
  absl::Status WriteCertificates() const;
  absl::Status WriteConfig(const PebbleOptions& options, int port, int admin_port) const;
  absl::Status StartPrograms(const PebbleOptions& options);
  bool Answers() const;

  const std::string folder_;
  std::string directory_url_;
  std::string admin_url_;
  int http_port_ = 0;
  std::unique_ptr<ChallengeDns> dns_;
  std::unique_ptr<Program> pebble_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_PEBBLE_H_
