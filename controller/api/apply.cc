// The main job, on one page: take up what was left, renew what is due, see who has not got it, roll it out.
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/api/obtain.h"
#include "controller/api/replace.h"
#include "controller/api/roll_out.h"
#include "controller/api/session.h"
#include "controller/rollout/record.h"
#include "controller/store/records.h"

namespace certcast::controller {
namespace {

// One certificate's way through a call.
struct Work {
  const CertificateConfig* config = nullptr;
  Obtained obtained;
  // An unfinished rollout of it was taken up by this call and did not end well; it is not tried a second time.
  bool failed = false;
  // An operator had its rollout paused: nothing is done with it.
  bool held = false;
  // What kept the controller from going on with this certificate; the others are gone on with.
  absl::Status error;
};

// Another controller is in charge: nothing more may be done here.
bool IsFatal(const absl::Status& status) {
  return ReasonOf(status) == Reason::STALE_EPOCH;
}

std::string SayHeld(const v1::Rollout& rollout) {
  return absl::StrCat(
      "rollout ", rollout.id(), " was ", rollout.because(), " on ",
      absl::FormatTime("%Y-%m-%d %H:%M UTC", FromTimestamp(rollout.paused_by().at()), absl::UTCTimeZone()),
      ": nothing is done with ", rollout.certificate(),
      ", its renewal included, before `certcast rollout "
      "resume ",
      rollout.id(), "`");
}

absl::Status Stopped() {
  return absl::CancelledError("stopped as asked; `certcast apply` goes on where this run ended");
}

}  // namespace

absl::StatusOr<v1::ApplyResponse> Controller::Apply(const v1::ApplyRequest& request, const OnProgress& on_progress,
                                                    const std::atomic<bool>& stop) {
  ASSIGN_OR_RETURN(std::vector<const CertificateConfig*> selected,
                   SelectCertificates(config_, {request.certificates().begin(), request.certificates().end()}));
  if (request.dry_run()) return PlanApply(config_, machine_, selected, request.force_renewal());

  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "apply"));
  ASSIGN_OR_RETURN(RolloutRunner runner, RolloutRunner::Make(config_, machine_, session, on_progress, stop));
  v1::ApplyResponse response;
  std::vector<Work> work;

  for (const CertificateConfig* certificate : selected) {
    Work item;
    item.config = certificate;
    absl::StatusOr<std::vector<v1::Rollout>> resumed = runner.ResumeUnfinished(*certificate);
    if (IsFatal(resumed.status())) return resumed.status();
    item.error = resumed.status();
    if (resumed.ok()) {
      for (v1::Rollout& rollout : *resumed) {
        item.failed |= rollout.state() != v1::Rollout::COMPLETED;
        item.held |= rollout.has_paused_by();
        if (rollout.has_paused_by()) response.add_warnings(SayHeld(rollout));
        *response.add_rollouts() = std::move(rollout);
      }
    }
    if (stop) return Stopped();
    work.push_back(std::move(item));
  }

  for (Work& item : work) {
    if (item.held) {
      ASSIGN_OR_RETURN(item.obtained, DecideOnly(machine_, session, *item.config, request.force_renewal()));
      item.obtained.shown.set_issued(false);
      continue;
    }
    ASSIGN_OR_RETURN(item.obtained,
                     ObtainIfDue(config_, machine_, session, *item.config, request.force_renewal(), on_progress));
    if (item.error.ok() && item.obtained.generation.has_value()) {
      item.error = CheckUsable(*item.obtained.generation, machine_.clock->Now());
    }
    if (stop) return Stopped();
  }

  ASSIGN_OR_RETURN(FleetView view, ViewFleet(config_, machine_, session, selected));
  for (Work& item : work) {
    if (item.held || !item.obtained.generation.has_value() || !item.error.ok()) continue;
    // That is for a person to look at, before it is tried again. What ended well may have been of an earlier
    // generation, or without nodes that are configured now.
    if (item.failed && !item.obtained.shown.issued()) continue;
    const std::vector<FleetMember> fleet = MembersOf(config_, *item.config, view);
    if (AllSettled(fleet)) continue;
    absl::StatusOr<v1::Rollout> rollout = runner.Run(*item.config, *item.obtained.generation, fleet);
    if (IsFatal(rollout.status())) return rollout.status();
    item.error = rollout.status();
    if (rollout.ok()) *response.add_rollouts() = *std::move(rollout);
    if (stop) return Stopped();
  }

  for (Work& item : work) {
    v1::ApplyResponse::Certificate& shown = *response.add_certificates();
    shown = std::move(item.obtained.shown);
    if (!item.error.ok() && !shown.has_failure()) *shown.mutable_failure() = FailureOf(item.error);
  }
  for (const std::string& warning : view.warnings) response.add_warnings(warning);
  ASSIGN_OR_RETURN(const std::vector<std::string> replacements, WarnOfReplacements(*session.store, selected));
  for (const std::string& warning : replacements) response.add_warnings(warning);
  return response;
}

}  // namespace certcast::controller
