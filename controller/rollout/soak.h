// Nodes that have the generation are looked at again while a rollout soaks.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_SOAK_H_
#define CERTCAST_CONTROLLER_ROLLOUT_SOAK_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "certcast/v1/api.pb.h"
#include "controller/config/config.h"
#include "controller/rollout/node_run.h"

namespace certcast::controller {

// When which node is looked at: each at least once, one after the other and then from the front again, evenly over the
// soak. A node is looked at every ten seconds where there are few; with many it is less often, so that there are no
// more than 50 looks a second. A soak that is too short for one look at each lasts until they are done.
class SoakPlan {
 public:
  SoakPlan(size_t nodes, absl::Duration soak);

  // Looks that are due after so much of the soak; the i-th (from 0) is at node i % nodes.
  size_t DueAfter(absl::Duration elapsed) const;
  size_t looks() const { return looks_; }

 private:
  const absl::Duration soak_;
  const size_t looks_;
};

// What a node shows that served the generation before.
struct SoakFinding {
  enum class Kind {
    kServes,   // still
    kGone,     // every look said so
    kByTurns,  // it does and does not
    kUnknown,  // nobody can be asked: neither its endpoints nor the node itself answer
  };
  Kind kind = Kind::kServes;
  std::string detail;
  std::string served_sha256;
};

// By the controller's own handshakes where the configuration has endpoints of the node, by the node's probes otherwise.
// One look where all is well, five where it is not. Changes nothing.
SoakFinding LookAgain(const NodeConfig& node, const NodeRunContext& context);

// Writes it into the node's result. False, and nothing was written: it serves the generation still.
bool KeepFinding(const SoakFinding& finding, v1::Rollout::Node& result);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_SOAK_H_
