// A service that a node looks after: a TLS server, its files, its check and its reload.
//
//   FOLDER/tls/fullchain.pem tls/privkey.pem tls/combined.pem   what the node installs
//   FOLDER/check reload                                         its commands; each run is noted in `log`
#ifndef CERTCAST_TESTS_CONFORMANCE_STAND_IN_H_
#define CERTCAST_TESTS_CONFORMANCE_STAND_IN_H_

#include <sys/types.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/test_ca.h"

namespace certcast::conformance {

// A file as the node is told to install it.
struct DeclaredFile {
  const char* name;
  // As in node.yaml.
  const char* content;
  mode_t mode;
  bool is_copy;
};
inline constexpr std::array<DeclaredFile, 3> kDeclaredFiles = {{{"fullchain.pem", "fullchain", 0644, false},
                                                                {"privkey.pem", "private_key", 0600, false},
                                                                {"combined.pem", "combined", 0400, true}}};
// Of its check, which node.yaml bounds.
inline constexpr absl::Duration kCheckTimeout = absl::Seconds(3);

class StandIn {
 public:
  // Its server is at `port` of 127.0.0.1, once it is started.
  StandIn(std::string name, std::string certificate, std::string folder, int port)
      : name_(std::move(name)), certificate_(std::move(certificate)), folder_(std::move(folder)), port_(port) {}

  const std::string& name() const { return name_; }
  const std::string& certificate() const { return certificate_; }
  const std::string& folder() const { return folder_; }
  // Its entry in the `services:` of a node.yaml.
  std::string InNodeYaml(absl::string_view host) const;
  // The folder of its files.
  absl::Status MakeFolder() const;

  // Serves from now on `before`, or where a node installed files what is in them. Once.
  absl::Status Start(const testing::IssuedCertificate& before);
  // From now on: how the check and the reload end, and whether a reload does anything. At first all is well.
  struct Behaviour {
    bool check_fails = false;
    // The check writes 300 KiB to standard error, not all of it text, kLastWords last.
    bool check_floods = false;
    bool check_hangs = false;
    bool reload_fails = false;
    bool ignores_reload = false;
    // The reload waits until Release.
    bool reload_waits = false;
  };
  static constexpr char kLastWords[] = "these are the last words";
  absl::Status Behave(const Behaviour& behaviour) const;
  absl::Status Release() const;
  // "check reload": what was run since the last ForgetRuns, in order.
  std::string Runs() const;
  void ForgetRuns() const;
  // What the commands could see of their environment and arguments, and the files as they were when the check last ran.
  std::string SeenByRuns() const;
  std::string LeafAtCheck() const;

  // Fingerprint in the files as a service reads them, "nothing", or what is wrong with them.
  std::string Installed() const;
  // As the server's clients see it; empty when there is no handshake.
  std::string Served(const std::string& host) const;
  std::string FilePath(absl::string_view name) const;
  bool IsLink(absl::string_view name) const;
  // Whatever is in the folder of its files, sorted.
  std::vector<std::string> FolderEntries() const;

  // --- The time before certcast.

  // A file of the administrator's.
  struct OwnFile {
    std::string bytes;
    mode_t mode = 0;
    uid_t owner = 0;
    gid_t group = 0;
  };
  // Removes all files, puts this in their place, not quite as certcast writes it, and serves it.
  absl::StatusOr<std::vector<OwnFile>> PutOwnFiles(const testing::IssuedCertificate& own) const;
  // OK when a service reads these; otherwise what is different.
  absl::Status ExpectOwnFiles(const std::vector<OwnFile>& files) const;
  // OK when there is nothing, not even a link.
  absl::Status ExpectNoFiles() const;

 private:
  std::string LeafIn(const std::string& prefix, const std::string& suffix) const;
  absl::Status WriteCommand(const std::string& name, const std::string& lines) const;

  const std::string name_;
  const std::string certificate_;
  const std::string folder_;
  const int port_;
  std::unique_ptr<testing::ReloadingTlsServer> server_;
};

}  // namespace certcast::conformance

#endif  // CERTCAST_TESTS_CONFORMANCE_STAND_IN_H_
