// A real BIND 9 (package bind9) with zones of its own that takes signed updates (RFC 2136, RFC 8945).
#ifndef CERTCAST_TESTS_TESTING_BIND_H_
#define CERTCAST_TESTS_TESTING_BIND_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/testing/daemon.h"

namespace certcast::testing {

struct BindZone {
  // Without the final dot.
  std::string name;
  // Lines of the zone file beside SOA and NS: "_acme-challenge.www CNAME www.acme.test."
  std::vector<std::string> records;
  // Whether it takes updates: of TXT records at any name, with the key.
  bool takes_updates = true;
};

struct BindOptions {
  std::string host = "127.0.0.1";
  // 0: a free one.
  int port = 0;
  // Addresses of further name servers, which each zone names and which may copy it: ns2, ns3...
  std::vector<std::string> secondaries = {};
};

// Runs until this is destroyed. Also a resolver, as a CA has one: it follows CNAMEs from one of its zones to another.
// Of other names it knows nothing.
class Bind {
 public:
  // Answers when this returns. Writes its files into `folder`, an absolute path that is there.
  static absl::StatusOr<std::unique_ptr<Bind>> Start(const std::string& folder, const std::vector<BindZone>& zones,
                                                     const BindOptions& options = {});
  // Another one, which copies these zones from `primary` (host:port), and looks every other second whether they have
  // changed. Has them when this returns.
  static absl::StatusOr<std::unique_ptr<Bind>> StartSecondary(const std::string& folder,
                                                              const std::vector<BindZone>& zones,
                                                              const std::string& primary, const BindOptions& options);

  // host:port.
  const std::string& address() const { return address_; }
  // Of the key: "certcast.", an algorithm of hmac-sha256, and a file with its secret in base64.
  static constexpr char kKeyName[] = "certcast.";
  std::string key_file() const { return folder_ + "/tsig.key"; }
  // Of the other key, which it knows and lets do nothing.
  static constexpr char kPowerlessKeyName[] = "powerless.";
  void Freeze() const { daemon_->Signal(SIGSTOP); }
  void Thaw() const { daemon_->Signal(SIGCONT); }
  std::string Log() const { return daemon_->log(); }

 private:
  Bind(std::string folder, std::string address) : folder_(std::move(folder)), address_(std::move(address)) {}
  static absl::StatusOr<std::unique_ptr<Bind>> Launch(const std::string& folder, const BindOptions& options,
                                                      const std::string& zones, DaemonPlan plan);

  const std::string folder_;
  const std::string address_;
  std::unique_ptr<Daemon> daemon_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_BIND_H_
