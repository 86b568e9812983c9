// The node's engine: what every front end calls. One install at a time; the rest is in install.cc, which reads top to
// bottom, and recover.cc.
#ifndef CERTCAST_NODE_ENGINE_ENGINE_H_
#define CERTCAST_NODE_ENGINE_ENGINE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "node/engine/environment.h"
#include "node/engine/recovery.h"

namespace certcast::node {

// Thread-safe. A second command that changes things while one is under way gets BUSY; Describe and Probe are answered
// at any time.
class Engine {
 public:
  using OnProgress = node::OnProgress;

  // Takes the lock of the state directory (BUSY when another process has it, and keeps it for kLockOutlives), then
  // recovers and puts back what is gone: see recover.h and repair.h. A node that belongs to another fleet than before
  // counts epochs and generations anew from here, and keeps what is in force as what was there before: see EnterFleet
  // in node_state.h. With environment.before_services, only what needs no service: see recover.h. Fails for a state
  // that can't be read; nothing was changed then, and services go on with what they have.
  static absl::StatusOr<std::unique_ptr<Engine>> Start(EngineConfig config, EngineEnvironment environment);

  // To look only, beside an engine that runs: takes no lock, recovers nothing, writes nothing. Describe, Probe and
  // TestService are answered from what is on disk now; anything else is refused with BUSY.
  static absl::StatusOr<std::unique_ptr<Engine>> OpenReadOnly(EngineConfig config, EngineEnvironment environment);

  virtual ~Engine() = default;

  // Carries out one command; the report has its id and is final. Never fails: a failure is a report. Refusal: it was
  // not taken up (BUSY, STALE_EPOCH, NOT_ENROLLED, CLOCK_SUSPICIOUS, MALFORMED) and may be sent again with the same id.
  // Any other result is kept, so that the same id gets it again.
  virtual v1::Report Handle(const v1::Command& command, const OnProgress& on_progress) = 0;

  // When something waits for Confirm: until when, by the wall clock as it is now; where the disk did not let a command
  // be finished: since when. The front end calls RevertIfOverdue then.
  virtual std::optional<absl::Time> ConfirmBy() const = 0;
  // Goes back where the time for Confirm is over, and goes on with what was not finished, waiting for a command that is
  // under way. OK also when there was nothing to do; else what kept it from that. Where ConfirmBy still names a time
  // then, it may be tried again.
  virtual absl::Status RevertIfOverdue() = 0;

  // Runs one service's check and probes against what is in force; changes nothing. kNotFound for a service that is not
  // configured; CHECK_FAILED when its check fails.
  virtual absl::StatusOr<std::vector<v1::ProbeResult>> TestService(absl::string_view service) = 0;

  // What Start found under way or gone, and did about it.
  virtual Recovery Recovered() const { return {}; }

  // CLOCK_SUSPICIOUS, and what to do about it, while the machine's clock can't be right: see clock_check.h.
  virtual absl::Status CheckClock() const { return absl::OkStatus(); }
  // An operator's word that the clock is right now, in place of what bundles said of the time. Saved. CLOCK_SUSPICIOUS
  // when it still can't be: the node's identity is of a later time.
  virtual absl::Status TrustClock() { return absl::OkStatus(); }
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_ENGINE_H_
