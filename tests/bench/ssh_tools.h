// The same work as an install's, done with what people have: ssh, pdsh, clush, ansible-playbook, and libssh alone.
//
// Each brings two files into a directory of its own on every host, switches a link to it, and runs the service's
// reload. Nothing is checked, synced to disk, probed or put back.
#ifndef CERTCAST_TESTS_BENCH_SSH_TOOLS_H_
#define CERTCAST_TESTS_BENCH_SSH_TOOLS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tests/bench/process_tree.h"
#include "tests/bench/ssh_hosts.h"

namespace certcast::bench {

enum class Play { kFiveTasks, kOneTask };
// Which key exchange OpenSSH's client is told to use: its default is sntrup761x25519-sha512, which takes it 90 ms.
// certcast itself asks for P-256 first.
enum class KeyExchange { kCurve25519, kP256, kDefault };

class SshTools {
 public:
  // `hosts` outlives it.
  SshTools(const SshHosts& hosts, int parallel) : hosts_(hosts), parallel_(parallel) {}

  // Writes what the tools read: the certificate that they bring, and configurations.
  absl::Status Prepare(const testing::IssuedCertificate& certificate) const;

  // `ssh host true`, `parallel` at once.
  MeasuredCommand SshTrue() const;
  // The others bring their files to `directory`, a name that was not there before. Bare libssh, on 16 threads, leaves
  // out link and reload; its key exchange is not kDefault.
  MeasuredCommand BareLibssh(const std::string& directory, KeyExchange key_exchange) const;
  // One login a host: the files go through its standard input.
  MeasuredCommand Pdsh(const std::string& directory, KeyExchange key_exchange) const;
  MeasuredCommand Clush(const std::string& directory) const;
  // With pipelining, connections that are kept for 60 s, 50 forks, no facts.
  MeasuredCommand AnsiblePlaybook(const std::string& directory, Play play) const;
  // A play of one task on this machine, certcast.fleet.certificate, with these program and configuration.
  MeasuredCommand CertificateTask(const std::string& program, const std::string& config) const;

  // Hosts that have not got the files there.
  int CountMissing(const std::string& directory) const;
  std::string log_file() const { return Path("tools.log"); }

 private:
  std::string Path(const std::string& name) const { return hosts_.folder() + "/" + name; }
  std::string SshConfig(const char* key_exchange) const;
  std::vector<std::pair<std::string, std::string>> AnsibleEnvironment() const;
  // What a host runs that gets both files on its standard input.
  std::string RemoteCommand(const std::string& directory) const;

  const SshHosts& hosts_;
  const int parallel_;
};

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_SSH_TOOLS_H_
