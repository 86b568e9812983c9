// From a generation and what the fleet has to a rollout, and through it.
#ifndef CERTCAST_CONTROLLER_API_ROLL_OUT_H_
#define CERTCAST_CONTROLLER_API_ROLL_OUT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/controller.h"
#include "controller/api/session.h"
#include "controller/config/config.h"
#include "controller/rollout/planner.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// The certificate's nodes as the planner wants them; those that serve the wanted generation are settled.
std::vector<FleetMember> MembersOf(const Config& config, const CertificateConfig& certificate, const FleetView& view);
bool AllSettled(const std::vector<FleetMember>& fleet);

// PAUSED or WAITING_FOR_WINDOW: nothing is at work, and where another generation is wanted now it is ended.
bool IsAtRest(const state::v1::Rollout& rollout);

// For one that an operator has paused: that nothing is done with its certificate, and what to do.
std::string SayHeld(const v1::Rollout& rollout);

// Which nodes come first: drawn from certificate and generation, so that --dry-run shows the order that apply takes,
// and each generation has other canaries.
uint64_t SeedOf(const std::string& certificate, uint64_t generation);

// Carries rollouts out. What it was made of must outlive it.
class RolloutRunner {
 public:
  static absl::StatusOr<RolloutRunner> Make(const Config& config, const Machine& machine, Session& session,
                                            const OnProgress& on_progress, const std::atomic<bool>& stop);

  // Links are made by the controller's certificate of now; for a run that has waited for days.
  absl::Status Reconnect();

  // From now on rollouts are carried out whatever their windows say, as `by` wants it; each one's record says so.
  void OverrideWindows(const v1::Operator& by) { windows_overridden_by_ = by; }

  // Rollouts of this certificate that an earlier controller left unfinished, an earlier run paused, or which wait for
  // their window, oldest first. One at rest with a generation that is not wanted any more is ended instead, and not in
  // the result; so is one that would bring nodes a generation that is revoked, or back to one. Where an operator had
  // one paused, nothing is done, and that one alone is in the result, as it stands.
  absl::StatusOr<std::vector<v1::Rollout>> ResumeUnfinished(const CertificateConfig& certificate);
  // Ends rollouts of this certificate that are not finished, and not of this generation, where they are: a node in the
  // middle of one goes back by itself, since nobody confirms it.
  absl::Status EndOthers(const CertificateConfig& certificate, uint64_t generation);
  absl::StatusOr<v1::Rollout> Run(const CertificateConfig& certificate, const state::v1::Generation& generation,
                                  const std::vector<FleetMember>& fleet);
  // From wherever the record stands, as it is in the store. REVOKED where it must not go on.
  absl::StatusOr<v1::Rollout> Execute(const CertificateConfig& certificate, state::v1::Rollout rollout);

 private:
  RolloutRunner(const Config& config, const Machine& machine, Session& session, const OnProgress& on_progress,
                const std::atomic<bool>& stop)
      : config_(&config), machine_(&machine), session_(&session), on_progress_(&on_progress), stop_(&stop) {}

  void Note(const state::v1::Rollout& rollout, const std::string& text);
  absl::Status RecordOverride(const CertificateConfig& certificate, state::v1::Rollout& rollout);
  absl::StatusOr<std::optional<std::string>> WhyNotOn(const state::v1::Rollout& rollout);
  absl::StatusOr<std::optional<std::string>> WhyPointless(const state::v1::Rollout& rollout);
  absl::Status End(const state::v1::Rollout& rollout, const std::string& because);
  absl::StatusOr<bool> EndIfPointless(const state::v1::Rollout& rollout);
  absl::StatusOr<state::v1::Rollout> KeepFromRevoked(state::v1::Rollout rollout);
  // Of nodes that had their turn since `before`: notes when they answered, and that they have, or may have, the
  // generation, or went back from it.
  void SaveSeen(const state::v1::Rollout& before, const state::v1::Rollout& ended);

  const Config* config_;
  const Machine* machine_;
  Session* session_;
  const OnProgress* on_progress_;
  const std::atomic<bool>* stop_;
  std::unique_ptr<Transport> transport_;
  std::optional<v1::Operator> windows_overridden_by_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_ROLL_OUT_H_
