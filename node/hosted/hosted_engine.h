// The engine of a host without a configuration of its own: what it is, the first command of a link says.
#ifndef CERTCAST_NODE_HOSTED_HOSTED_ENGINE_H_
#define CERTCAST_NODE_HOSTED_HOSTED_ENGINE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "certcast/v1/link.pb.h"
#include "common/file/file_system.h"
#include "node/engine/engine.h"
#include "node/hosted/on_demand_engine.h"

namespace certcast::node {

// Works by `definition`, which must have been read to `config`. Each time it opens: pins the fleet; where the
// definition that is kept is another one, ends by that what was begun with it; then keeps the new one and works by it.
// While something still waits for Confirm, the kept one stays in force.
std::unique_ptr<EngineSource> MakeHostedSource(v1::NodeDefinition definition, EngineConfig config);

// The same by what the state directory keeps. nullptr: it keeps nothing. MALFORMED when that does not parse,
// kInvalidArgument when the path is not absolute.
absl::StatusOr<std::unique_ptr<EngineSource>> MakeKeptSource(FileSystem& files, const std::string& directory);

// One link's. Touches nothing before the first command, which must have a definition; later ones may have none or the
// same (DEFINITION_REFUSED). Thread-safe.
class HostedEngine : public Engine {
 public:
  explicit HostedEngine(EngineEnvironment environment) : environment_(environment) {}

  v1::Report Handle(const v1::Command& command, const OnProgress& on_progress) override;
  std::optional<absl::Time> ConfirmBy() const override;
  absl::Status RevertIfOverdue() override;
  // kNotFound before the first command.
  absl::StatusOr<std::vector<v1::ProbeResult>> TestService(absl::string_view service) override;

 private:
  absl::Status TakeDefinition(const v1::Command& command);
  // nullptr before the first command.
  OnDemandEngine* engine() const;

  const EngineEnvironment environment_;
  mutable absl::Mutex mutex_;
  // Set once, together.
  v1::NodeDefinition definition_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<OnDemandEngine> engine_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_HOSTED_HOSTED_ENGINE_H_
