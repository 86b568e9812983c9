// What the windows of a certificate mean for its rollout now.
#ifndef CERTCAST_CONTROLLER_API_WINDOWS_H_
#define CERTCAST_CONTROLLER_API_WINDOWS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/session.h"
#include "controller/config/config.h"
#include "controller/rollout/estimate.h"
#include "controller/rollout/planner.h"

namespace certcast::controller {

// When nodes may begin: `now` where there are no windows. InfiniteFuture: not within kWindowHorizon.
absl::Time MayBeginAt(const CertificateConfig& certificate, absl::Time now);

// What installs of the certificate took in the latest rollouts that have ended, at most three.
absl::StatusOr<NodeDurations> HistoryOf(Store& store, const std::string& certificate);

// Estimated, for what is not settled; zero without a history.
absl::Duration TimeNeeded(const CertificateConfig& certificate, const std::vector<FleetMember>& fleet,
                          const NodeDurations& history);

// The first moment at which a node is left with a certificate that has expired, or that its CA wants to have been
// renewed, as far as that is known.
struct Deadline {
  absl::Time at = absl::InfiniteFuture();
  // Which certificate that is: "what node web-01 serves".
  std::string what;
  // It is the CA's wish, not the certificate's end.
  bool by_ca = false;
};
// Of what the members of the fleet that are not settled have in force, as they answered, and of `wanted`, which may be
// nullptr. What had expired before certcast came to a node is nobody's loss. The CA's wishes count where the
// configuration follows them (RFC 9773).
absl::StatusOr<Deadline> DeadlineOf(Store& store, const FleetView& view, const CertificateConfig& certificate,
                                    const std::vector<FleetMember>& fleet, const state::v1::Generation* wanted,
                                    absl::Time now);

// OK where nodes may begin now, or where the windows open before the deadline for `needed` all in all (zero: for any
// time). WINDOW_TOO_LATE otherwise, with the dates.
absl::Status CheckWindows(const CertificateConfig& certificate, absl::Time now, const Deadline& deadline,
                          absl::Duration needed);

// As ShowRollout; one that waits for its window says until when. `certificate`: nullptr where it is no longer
// configured.
v1::Rollout ShowRolloutAt(const state::v1::Rollout& rollout, const CertificateConfig* certificate, absl::Time now);

// When the windows open, where they are closed now.
void ShowOpening(const CertificateConfig& certificate, absl::Time now, v1::Rollout& shown);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_WINDOWS_H_
