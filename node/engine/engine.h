// The node's engine: what every front end calls. One install at a time; the rest is in install.cc, which reads top to
// bottom, and recover.cc.
#ifndef CERTCAST_NODE_ENGINE_ENGINE_H_
#define CERTCAST_NODE_ENGINE_ENGINE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/manifest/manifest.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "common/service/service.h"

namespace certcast::node {

struct EngineConfig {
  std::string node;
  // Absolute; made when missing.
  std::string state;
  std::vector<Service> services;
  std::vector<std::string> allow_names;
  // Generations kept on disk beside the one in force, the one to go back to included. At least 1.
  int keep = 2;
  // Who signs manifests, and for which fleet. Unset while not enrolled: installs are refused.
  struct Fleet {
    std::string id;
    ManifestKey key;
  };
  std::optional<Fleet> fleet;
  std::string version;
  // Of the node's own certificate, for Inventory.
  std::optional<absl::Time> identity_not_after;
};

// What the engine uses of the machine. All outlive it.
struct EngineEnvironment {
  FileSystem* files = nullptr;
  ProcessRunner* processes = nullptr;
  Prober* prober = nullptr;
  Clock* clock = nullptr;
};

// Thread-safe. A second command that changes things while one is under way gets BUSY.
class Engine {
 public:
  using OnProgress = std::function<void(const v1::Progress&)>;

  // Takes the lock of the state directory (BUSY when another process has it), then recovers: see recover.h.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(EngineConfig config, EngineEnvironment environment);
  virtual ~Engine() = default;

  // Carries out one command; the report has its id and is final. Never fails: a failure is a report.
  virtual v1::Report Handle(const v1::Command& command, const OnProgress& on_progress) = 0;

  // When something waits for Confirm: until when. The front end calls RevertIfOverdue then.
  virtual std::optional<absl::Time> ConfirmBy() const = 0;
  // Goes back where the time for Confirm is over. OK also when there was nothing to do.
  virtual absl::Status RevertIfOverdue() = 0;

  // Runs one service's check and probes against what is in force; changes nothing.
  virtual absl::StatusOr<std::vector<v1::ProbeResult>> TestService(absl::string_view service) = 0;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_ENGINE_H_
