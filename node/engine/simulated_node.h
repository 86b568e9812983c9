// For the engine's tests: a node with services that behave as nginx does. They read their files when they are told to
// reload, and serve what they read then. Disk, clock, programs and sockets are in memory.
#ifndef CERTCAST_NODE_ENGINE_SIMULATED_NODE_H_
#define CERTCAST_NODE_ENGINE_SIMULATED_NODE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/engine.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_local_socket.h"
#include "tests/testing/fake_prober.h"
#include "tests/testing/fake_process_runner.h"
#include "tests/testing/fake_signaller.h"
#include "tests/testing/fault_file_system.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/test_ca.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {

// The same ones in all tests of a program: made when first asked for. From 2020 to 2049, for *.example.com.
const testing::IssuedCertificate& IssuedFor(uint64_t generation);
// Who issued those: a CA below a root.
const testing::TestCa& CaOfTests();
// The fleet that the node below belongs to, and what signs for it.
EngineConfig::Fleet FleetOfTests();
const testing::TestFleet& SignerOfTests();

// What an operator finds in a service's two files.
inline constexpr char kNothing[] = "nothing";
inline constexpr char kMixed[] = "MIXED";

class SimulatedNode {
 public:
  struct Running {
    // The leaf it serves now; empty: it has none, so handshakes fail.
    std::string served;
    bool is_down = false;
    // Its reload exits with 0 and does nothing.
    bool ignores_reload = false;
    int reload_exit_code = 0;
    // Its check fails with this on standard error.
    std::string check_error;
    // The next reloads only: then it fails so, as does what comes after.
    std::function<void()> on_reload;
  };

  SimulatedNode();

  // `/etc/<name>/fullchain.pem` and `privkey.pem`, a check, a reload and a tls probe. Before Start.
  void AddService(const std::string& name, const std::string& certificate = "wildcard");
  // Declares the files of all services anew: nginx's both and of others' the first. From the next Start on.
  void DeclareFiles(FileInstall install);
  // Files from the days of scp, which the service serves.
  void PutByHand(const std::string& service, const testing::IssuedCertificate& issued);

  // For an engine of one's own; it has every lock.
  EngineEnvironment Environment();
  // Starts the engine, in place of one that runs.
  absl::Status Start();
  // What a unit runs at boot: an engine with before_services that goes away again.
  absl::StatusOr<Recovery> RecoverBeforeServices();
  // As after a boot, with the files that they find: where those are no set, with none.
  void StartServices();
  Engine& engine() { return *engine_; }
  // kill -9: the process is gone, what it wrote is there.
  void Kill();
  // Power loss: what was not fsynced is there or not, as the seed has it. 0: none of it. The next start is in another
  // boot, right after it; services start before it, with the files that they find: where those are no set, with none.
  void LosePower(uint64_t seed);
  // The same, as MemoryFileSystem::CrashKeeping.
  void LosePowerKeeping(uint64_t kept);

  v1::Command InstallCommand(uint64_t generation, const std::string& certificate = "wildcard");
  v1::Command InstallCommand(uint64_t generation, const std::string& certificate,
                             const testing::IssuedCertificate& issued);
  v1::Report Handle(const v1::Command& command);
  // Each with an id of its own; what is refused is a failed test and an empty result.
  v1::InstallResult Install(uint64_t generation, const std::string& certificate = "wildcard");
  v1::InstallResult Confirm(uint64_t generation, const std::string& certificate = "wildcard");
  v1::InstallResult Revert(uint64_t generation, v1::Reason::Code because = v1::Reason::ROLLOUT_HALTED);
  v1::InstallResult ResultOf(const v1::Command& command);
  // Install and Confirm, both of which must succeed.
  void Bring(uint64_t generation, const std::string& certificate = "wildcard");
  v1::Inventory Describe();

  // The leaf that the service would read now, if its key and chain are one matching set; kNothing, kMixed.
  std::string FilesOf(const std::string& service);
  int ReloadsOf(const std::string& service) const;
  int ChecksOf(const std::string& service) const;
  // Names below the certificate's generations.
  std::vector<std::string> Generations(const std::string& certificate = "wildcard");
  // Temporary files and links anywhere, by path.
  std::vector<std::string> Temporaries();
  std::string NewCommandId();

  testing::MemoryFileSystem disk;
  testing::FaultFileSystem files{disk};
  testing::FakeClock clock;
  testing::FakeProcessRunner processes;
  testing::FakeProber prober;
  testing::FakeSignaller signaller;
  testing::FakeLocalSocket sockets;
  EngineConfig config;
  std::map<std::string, Running> running;
  // All that Handle returned.
  std::vector<v1::Report> reports;

 private:
  absl::StatusOr<ProcessResult> RunCheck(const std::string& service);
  absl::StatusOr<ProcessResult> RunReload(const std::string& service);
  Observation LookAt(const std::string& service) const;

  std::unique_ptr<Engine> engine_;
  int last_command_ = 0;
};

std::string LeafOf(uint64_t generation);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_SIMULATED_NODE_H_
