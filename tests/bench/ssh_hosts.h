// Hosts to log in to, for the benchmark of SSH: a real OpenSSH server each, and a TLS server that reads its certificate
// anew when the host tells it to.
#ifndef CERTCAST_TESTS_BENCH_SSH_HOSTS_H_
#define CERTCAST_TESTS_BENCH_SSH_HOSTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/sshd.h"
#include "tests/testing/test_ca.h"

namespace certcast::bench {

struct SshHost {
  // "host-001".
  std::string name;
  // A directory of the login's, at the same path on the host and here, on the disk that is measured. On the host
  // ~/machine leads there.
  std::string folder;
  std::unique_ptr<testing::Sshd> sshd;
  std::unique_ptr<testing::ReloadingTlsServer> service;

  // SHA-256 of the leaf that its service serves; else what went wrong.
  std::string Served() const;
};

// The login of all hosts; its key is in key_file().
inline constexpr char kSshUser[] = "deploy";

// Of a process with one thread that starts programs, as Sshd is.
class SshHosts {
 public:
  // Runs as root. What they keep is below `folder`, which all may enter. CANCELLED when interrupted.
  static absl::StatusOr<std::unique_ptr<SshHosts>> Start(int count, const std::string& folder);

  const std::vector<SshHost>& hosts() const { return hosts_; }
  const std::string& folder() const { return folder_; }
  std::string key_file() const { return folder_ + "/key"; }
  std::string known_hosts_file() const { return folder_ + "/known_hosts"; }
  // Logins so far, at all hosts.
  int Logins() const;

  // Makes the agents that certcast has put on the hosts one file, as their sshd and shells are: hosts have each one in
  // memory, and this machine, which is all of them, can't be asked to keep a copy for each.
  absl::Status ShareAgents() const;

  // A certificate for the services: a new one each time.
  testing::IssuedCertificate Issue() const;

 private:
  explicit SshHosts(std::string folder) : folder_(std::move(folder)) {}
  absl::Status StartHost(int number);
  absl::Status StartService(SshHost& host);

  const std::string folder_;
  const testing::TestCa ca_ = testing::TestCa::Root("public root").Intermediate("public CA");
  const testing::IssuedCertificate old_ = Issue();
  std::vector<SshHost> hosts_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_SSH_HOSTS_H_
