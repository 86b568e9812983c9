// Caddy's ACME server, which is smallstep's: a second implementation beside Pebble. It looks at port 80 of the address
// that the machine's resolver gives, and asks that resolver for TXT records: see EnterPrivateNetwork. Of Debian's 2.6:
// certificates for 12 hours; no External Account Binding, renewal information or profiles; keyChange is in the
// directory and answered with 501; a challenge that is not met stays pending.
#ifndef CERTCAST_TESTS_TESTING_CADDY_H_
#define CERTCAST_TESTS_TESTING_CADDY_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/program.h"

namespace certcast::testing {

// Runs on a free port of localhost until this is destroyed.
class Caddy {
 public:
  // Returns once its directory answers; an error has its log. Everything of it is below `folder`, an absolute path that
  // is there.
  static absl::StatusOr<std::unique_ptr<Caddy>> Start(const std::string& folder);

  const std::string& directory_url() const { return directory_url_; }
  // The root of all that it issues, for itself as well.
  std::string ca_file() const { return folder_ + "/data/pki/authorities/local/root.crt"; }
  // As a service manager does it: it still knows its accounts and orders.
  absl::Status Restart() { return Run(); }
  std::string Log() const { return ReadFile(folder_ + "/caddy.log"); }

 private:
  explicit Caddy(std::string folder) : folder_(std::move(folder)) {}
  absl::Status Run();
  bool Answers() const;

  const std::string folder_;
  std::string directory_url_;
  std::unique_ptr<Program> program_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_CADDY_H_
