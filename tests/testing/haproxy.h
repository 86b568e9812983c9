// A real haproxy with its runtime API.
#ifndef CERTCAST_TESTS_TESTING_HAPROXY_H_
#define CERTCAST_TESTS_TESTING_HAPROXY_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "tests/testing/program.h"

namespace certcast::testing {

// Serves what is at HOME/tls/combined.pem when it starts, and what its sockets are told later; answers every request
// with 200.
class Haproxy {
 public:
  // Listens when this returns. Writes HOME/haproxy.cfg, with `more` lines for its listeners, and its log beside it.
  static absl::StatusOr<std::unique_ptr<Haproxy>> Start(const std::string& home, const std::string& address,
                                                        const std::string& more = "");

  const std::string& address() const { return address_; }
  std::string config_path() const { return home_ + "/haproxy.cfg"; }
  std::string socket_path() const { return home_ + "/admin.sock"; }
  // Of a lower level: it may not change certificates.
  std::string operator_socket_path() const { return home_ + "/operator.sock"; }
  // SHA-256 of the leaf that a stranger is shown; what went wrong instead, when something did.
  std::string Served() const;
  pid_t pid() const { return program_->pid(); }
  bool Running() { return program_->Running(); }

 private:
  Haproxy(std::string home, std::string address) : home_(std::move(home)), address_(std::move(address)) {}

  const std::string home_;
  const std::string address_;
  std::unique_ptr<Program> program_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_HAPROXY_H_
