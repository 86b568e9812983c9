// The agent as it is shipped, on a real file system, with two services that real TLS servers stand for.
#ifndef CERTCAST_TESTS_CRASH_NODE_ON_DISK_H_
#define CERTCAST_TESTS_CRASH_NODE_ON_DISK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "certcast/v1/link.pb.h"
#include "tests/testing/reloading_tls_server.h"
#include "tests/testing/syscall_killer.h"
#include "tests/testing/temporary_directory.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast {

// What was there before certcast has this number.
inline constexpr uint64_t kByHand = 100;

// Everything below a directory: path to kind, mode, owner and what it holds or leads to.
using Tree = std::map<std::string, std::string>;

// A member of a fleet with the certificate `wildcard` for `web` and `mail`. Not thread-safe. What goes wrong in its own
// work is a failure of the test.
class NodeOnDisk {
 public:
  // `mail` has its files as copies when asked, otherwise, as `web` always has, as links.
  explicit NodeOnDisk(bool copies);

  // The certificate of a generation, the same one each time.
  const testing::IssuedCertificate& IssuedFor(uint64_t generation);
  std::string LeafOf(uint64_t generation) { return IssuedFor(generation).certificate.sha256(); }

  // Writes the certificate of kByHand where both services read it, and has them serve it.
  void PutByHand();
  testing::ReloadingTlsServer& server(const std::string& service) { return *servers_.at(service); }

  v1::Command InstallCommand(uint64_t generation);
  v1::Command ConfirmCommand(uint64_t generation);
  v1::Command RevertCommand(uint64_t generation);

  // `certcast-node stdio` with these commands, up to its end or the point. Outcomes() has how they ended.
  testing::TracedRun Act(const std::vector<v1::Command>& commands, const std::optional<testing::KillPoint>& kill_at);
  // `certcast-node recover`.
  testing::TracedRun Recover(const std::optional<testing::KillPoint>& kill_at);
  // Of the last Act: "INSTALLED", "REVERTED"; what else came back as text.
  std::vector<std::string> Outcomes() const;
  // What the last run said on standard error.
  std::string Errors() const;

  // Keeps what the node has on its disk; Restore brings it back, and has the services serve it.
  void Save();
  void Restore();

  // As testing::LeafInFiles; what else is wrong with the files, with another first word.
  std::string FilesOf(const std::string& service) const;
  // Whether chain and key, each by itself, are whole and of one of these generations: of copies, that are put in place
  // one after the other, no more holds at any time.
  bool EachFileIsOf(const std::string& service, const std::vector<uint64_t>& generations) const;
  // The leaf that a client gets; "?" and the reason when it gets none.
  std::string ServedBy(const std::string& service) const;
  Tree Look() const;
  std::vector<std::string> Temporaries() const;

 private:
  void WriteConfig() const;
  void Enrol();
  std::string PathOf(const std::string& service, const std::string& file) const;
  std::string NewCommandId();
  testing::TracedRun RunAgent(const std::vector<std::string>& arguments, const std::string& input,
                              const std::optional<testing::KillPoint>& kill_at);

  const bool copies_;
  const testing::TemporaryDirectory directory_;
  // What belongs to the node; beside it are the streams and what Save keeps.
  const std::string home_ = directory_.path() + "/home";
  const std::string saved_ = directory_.path() + "/saved";
  const std::string config_ = directory_.path() + "/node.yaml";
  const testing::TestFleet fleet_{"0b9f8a52-6f52-4a55-9d3e-0e5a7d0f9c11"};
  const testing::TestCa ca_ = testing::TestCa::Root("public root").Intermediate("public CA");
  std::map<uint64_t, testing::IssuedCertificate> issued_;
  std::map<std::string, std::unique_ptr<testing::ReloadingTlsServer>> servers_;
  int last_command_ = 0;
};

}  // namespace certcast

#endif  // CERTCAST_TESTS_CRASH_NODE_ON_DISK_H_
