// Hosts that can only be logged in to: a real OpenSSH server each, with users, homes and mounts of its own.
//
// A host is a mount and a PID namespace on this machine (unshare(1)): what it mounts, writes to /home, /run and
// /var/lib, and starts, is gone with it. Its /etc/passwd, group, shadow and sudoers are its own. Tests that use it run
// as root.
#ifndef CERTCAST_TESTS_TESTING_SSHD_H_
#define CERTCAST_TESTS_TESTING_SSHD_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tests/testing/program.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::testing {

// Runs ssh-keygen with these arguments. Fails when it does.
absl::Status RunSshKeygen(const std::vector<std::string>& arguments);
// A key pair, PATH and PATH.pub. `type` as of ssh-keygen -t, with `-b` bits behind a colon: "ed25519", "rsa:2048".
absl::Status MakeSshKey(const std::string& path, const std::string& type = "ed25519",
                        const std::string& passphrase = "");

struct SshdOptions {
  // 127.x.y.z.
  std::string address = "127.0.0.1";
  std::vector<std::string> host_key_types = {"ed25519"};
  // Signs the host keys, for these principals; empty: none does.
  std::string host_ca;
  std::string host_principals = "127.0.0.1";
  // `ssh-keygen -s` arguments beside these.
  std::vector<std::string> host_certificate_arguments;
  // The login shell of `deploy`.
  std::string shell = "/bin/sh";
  // What `deploy`'s authorized_keys holds.
  std::string authorized_keys;
  // Lines of sshd_config, and of a profile that sshd does not see: before those that the fixture writes.
  std::vector<std::string> config;
  // A sudoers file; empty: the user may do nothing.
  std::string sudoers;
  // Shell lines that root runs on the host before sshd starts. /home/deploy is there.
  std::vector<std::string> setup;
};

// Of a test with one thread, as Program is.
class Sshd {
 public:
  static absl::StatusOr<std::unique_ptr<Sshd>> Start(const SshdOptions& options);
  // Ends everything that runs on the host.
  ~Sshd();
  Sshd(const Sshd&) = delete;
  Sshd& operator=(const Sshd&) = delete;

  const std::string& address() const { return options_.address; }
  int port() const { return port_; }
  // "127.0.0.1:2222".
  std::string endpoint() const;
  // Of its `index`th host key, with its end.
  std::string KnownHostsLine(size_t index = 0) const;
  // "ssh-ed25519 AAAA..."
  std::string HostKey(size_t index = 0) const;

  // A file of the host, as it sees it. Empty when it can't be read.
  std::string ReadHostFile(const std::string& path) const;
  // What a shell line prints that root runs on the host.
  absl::StatusOr<std::string> Run(const std::string& line) const;
  // As this machine numbers them: the server, and the processes of connections, sshd's own and what they run.
  pid_t server() const { return server_; }
  std::vector<pid_t> ConnectionProcesses() const;
  std::string log() const;

 private:
  explicit Sshd(const SshdOptions& options) : options_(options) {}
  absl::Status MakeHostKeys();
  absl::Status WriteFiles();
  absl::Status StartServer();

  const SshdOptions options_;
  TemporaryDirectory directory_;
  int port_ = 0;
  pid_t server_ = 0;
  std::unique_ptr<Program> program_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_SSHD_H_
