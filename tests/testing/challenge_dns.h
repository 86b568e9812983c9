// pebble-challtestsrv: a DNS server whose records are set while it runs, for CAs to look at.
#ifndef CERTCAST_TESTS_TESTING_CHALLENGE_DNS_H_
#define CERTCAST_TESTS_TESTING_CHALLENGE_DNS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/program.h"

namespace certcast::testing {

// Runs on 127.0.0.1 until this is destroyed. It answers 127.0.0.1 for the address of every name.
class ChallengeDns {
 public:
  // Returns once it answers. `port` 0: a free one. Writes its log and a hook into `folder`, an absolute path that is
  // there.
  static absl::StatusOr<std::unique_ptr<ChallengeDns>> Start(const std::string& folder, int port = 0);

  // host:port.
  const std::string& address() const { return address_; }
  // Its management interface: http://host:port.
  const std::string& management_url() const { return management_url_; }
  // A shell script with lego's exec contract that writes to it with curl.
  std::string hook() const { return folder_ + "/challenge-dns-hook"; }
  // What it answers for the addresses of `host` from now on.
  absl::Status SetAddresses(const std::string& host, const std::vector<std::string>& addresses) const;
  bool Running() { return program_->Running(); }
  std::string Log() const { return ReadFile(LogOf(folder_)); }
  static std::string LogOf(const std::string& folder) { return folder + "/challtestsrv.log"; }

 private:
  explicit ChallengeDns(std::string folder) : folder_(std::move(folder)) {}
  absl::Status WriteHook() const;

  const std::string folder_;
  std::string address_;
  std::string management_url_;
  std::unique_ptr<Program> program_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_CHALLENGE_DNS_H_
