// A real nginx in front of a certificate.
#ifndef CERTCAST_TESTS_TESTING_NGINX_H_
#define CERTCAST_TESTS_TESTING_NGINX_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tests/testing/program.h"

namespace certcast::testing {

// Serves what is at HOME/tls/fullchain.pem and HOME/tls/privkey.pem, to any name, and answers every request with 200.
class Nginx {
 public:
  // Listens when this returns. Writes HOME/nginx.conf and its log and pid file beside it.
  static absl::StatusOr<std::unique_ptr<Nginx>> Start(const std::string& home, const std::string& address);

  const std::string& address() const { return address_; }
  std::string config_path() const { return home_ + "/nginx.conf"; }
  // SHA-256 of the leaf that a stranger is shown; what went wrong instead, when something did. After a reload it is
  // first waited until the workers from before it take no more connections.
  std::string Served() const;
  // The one worker that takes connections. A reload makes another. -1 when there is not exactly one.
  pid_t Worker() const;

  // `nginx -t` fails from then on; what runs is not disturbed.
  absl::Status BreakConfiguration() const;
  absl::Status MendConfiguration() const;
  // Its workers go on; a reload is accepted, and nothing follows.
  void FreezeMaster() const { master_->Signal(SIGSTOP); }
  void ThawMaster() const { master_->Signal(SIGCONT); }
  // As an operator does, whatever certcast thinks of it.
  void Reload() const { master_->Signal(SIGHUP); }
  void Stop() { master_.reset(); }

 private:
  Nginx(std::string home, std::string address) : home_(std::move(home)), address_(std::move(address)) {}
  std::string Configuration() const;

  const std::string home_;
  const std::string address_;
  std::unique_ptr<Program> master_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_NGINX_H_
