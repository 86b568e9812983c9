// The main job, on one page: take up what was left, renew what is due, see who has not got it, roll it out.
#include <algorithm>
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
#include "controller/api/note.h"
#include "controller/api/obtain.h"
#include "controller/api/plan_apply.h"
#include "controller/api/replace.h"
#include "controller/api/roll_out.h"
#include "controller/api/session.h"
#include "controller/api/windows.h"
#include "controller/rollout/estimate.h"
#include "controller/rollout/planner.h"
#include "controller/rollout/record.h"
#include "controller/schedule/window.h"
#include "controller/store/records.h"
#include "controller/store/rollout_records.h"
#include "controller/store/rollout_requests.h"

namespace certcast::controller {
namespace {

// So long may pass between a request to stop and the end of the waiting for a window.
constexpr absl::Duration kWaitSlice = absl::Seconds(1);

bool IsResting(const v1::Rollout& rollout) {
  return rollout.state() == v1::Rollout::WAITING_FOR_WINDOW || rollout.state() == v1::Rollout::PAUSED;
}

// One certificate's way through a call.
struct Work {
  const CertificateConfig* config = nullptr;
  Obtained obtained;
  // In the order in which they were taken up or begun.
  std::vector<v1::Rollout> rollouts;
  // An unfinished rollout of it was taken up by this call and did not end well; it is not tried a second time.
  bool failed = false;
  // An operator had its rollout paused: nothing is done with it.
  bool held = false;
  // What kept the controller from going on with this certificate; the others are gone on with.
  absl::Status error;

  bool waits() const {
    return std::any_of(rollouts.begin(), rollouts.end(),
                       [](const v1::Rollout& rollout) { return rollout.state() == v1::Rollout::WAITING_FOR_WINDOW; });
  }
  // One that was shown waits, or was paused since what it saw is not conclusive.
  bool rests() const { return std::any_of(rollouts.begin(), rollouts.end(), IsResting); }
};

// Nobody has a generation that no rollout has brought anywhere: its nodes need not be asked before it is sent to them,
// which would cost each a login, or a handshake, and probes of all that it serves. Where there are windows, what the
// nodes have says how long these may be waited for; where a generation is revoked, it decides whether they may go back
// to it (revoked_rollouts.h).
absl::StatusOr<bool> IsUntouched(Store& store, const Work& item) {
  if (!item.obtained.generation.has_value() || !item.error.ok() || item.config->rollout.windows.has_value()) {
    return false;
  }
  ASSIGN_OR_RETURN(const std::vector<state::v1::Generation> generations,
                   GenerationRecords(store).List(item.config->name));
  if (std::any_of(generations.begin(), generations.end(), MayBeRevoked)) return false;
  ASSIGN_OR_RETURN(const std::vector<state::v1::Rollout> rollouts, RolloutRecords(store).List(item.config->name));
  return std::none_of(rollouts.begin(), rollouts.end(), [&](const state::v1::Rollout& rollout) {
    return rollout.generation() == item.obtained.generation->generation();
  });
}

// What nodes have of the certificates that they may have.
absl::StatusOr<FleetView> ViewTouched(const Config& config, const Machine& machine, Session& session,
                                      const std::vector<Work>& work, const OnProgress& on_progress) {
  std::vector<const CertificateConfig*> touched;
  for (const Work& item : work) {
    ASSIGN_OR_RETURN(const bool untouched, IsUntouched(*session.store, item));
    if (!untouched) touched.push_back(item.config);
  }
  if (touched.empty()) return FleetView();
  return ViewFleet(config, machine, session, std::move(touched), on_progress);
}

// Another controller is in charge: nothing more may be done here.
bool IsFatal(const absl::Status& status) {
  return ReasonOf(status) == Reason::STALE_EPOCH;
}

// A call's way through its certificates, each step for all of them. A step's error ends the call; what is wrong with
// one certificate stays with that one.
class Application {
 public:
  Application(const Config& config, const Machine& machine, const v1::ApplyRequest& request, Session& session,
              RolloutRunner& runner, const OnProgress& on_progress, const std::atomic<bool>& stop)
      : config_(config),
        machine_(machine),
        request_(request),
        session_(session),
        runner_(runner),
        on_progress_(on_progress),
        stop_(stop) {}

  absl::Status TakeUp(const std::vector<const CertificateConfig*>& certificates) {
    for (const CertificateConfig* certificate : certificates) {
      Work& item = work_.emplace_back();
      item.config = certificate;
      RETURN_IF_ERROR(GoOn(item));
      for (const v1::Rollout& rollout : item.rollouts) {
        item.failed |= rollout.state() != v1::Rollout::COMPLETED;
        item.held |= rollout.has_paused_by();
      }
    }
    return absl::OkStatus();
  }

  absl::Status ObtainWhatIsDue() {
    for (Work& item : work_) {
      if (item.held) {
        ASSIGN_OR_RETURN(item.obtained, DecideOnly(machine_, session_, *item.config, request_.force_renewal()));
        item.obtained.shown.set_issued(false);
        continue;
      }
      ASSIGN_OR_RETURN(item.obtained,
                       ObtainIfDue(config_, machine_, session_, *item.config, request_.force_renewal(), on_progress_));
      if (item.error.ok() && item.obtained.generation.has_value()) {
        item.error = CheckUsable(*item.obtained.generation, machine_.clock->Now());
      }
      RETURN_IF_ERROR(CheckStop());
    }
    return absl::OkStatus();
  }

  absl::Status RollOut() {
    ASSIGN_OR_RETURN(const FleetView view, ViewTouched(config_, machine_, session_, work_, on_progress_));
    std::vector<const CertificateConfig*> certificates;
    for (const Work& item : work_) certificates.push_back(item.config);
    ASSIGN_OR_RETURN(const std::vector<std::string> replacements, WarnOfReplacements(*session_.store, certificates));
    warnings_ = view.warnings;
    warnings_.insert(warnings_.end(), replacements.begin(), replacements.end());
    for (Work& item : work_) {
      if (item.held || !item.obtained.generation.has_value() || !item.error.ok()) continue;
      const std::vector<FleetMember> fleet = MembersOf(config_, *item.config, view);
      if (AllSettled(fleet)) continue;
      const bool goes_on = item.failed && !item.obtained.shown.issued();
      if (!goes_on || item.waits()) item.error = CheckInTime(item, fleet, view);
      // One that did not end well is for a person to look at, before it is tried again. What ended well may have been
      // of an earlier generation, or without nodes that are configured now.
      if (!item.error.ok() || goes_on) continue;
      // A rollout of an earlier generation that is at rest gives way.
      if (item.rests()) RETURN_IF_ERROR(GoOn(item));
      if (!item.error.ok()) continue;
      absl::StatusOr<v1::Rollout> rollout = runner_.Run(*item.config, *item.obtained.generation, fleet);
      if (IsFatal(rollout.status())) return rollout.status();
      item.error = rollout.status();
      if (rollout.ok()) item.rollouts.push_back(*std::move(rollout));
      RETURN_IF_ERROR(CheckStop());
    }
    return absl::OkStatus();
  }

  // Until no rollout waits that has a window to wait for.
  absl::Status WaitForWindows() {
    while (true) {
      absl::Time opens = absl::InfiniteFuture();
      const Work* first = nullptr;
      for (const Work& item : work_) {
        if (!item.waits() || !item.error.ok()) continue;
        const absl::Time at = MayBeginAt(*item.config, machine_.clock->Now());
        if (at >= opens) continue;
        opens = at;
        first = &item;
      }
      if (first == nullptr) return absl::OkStatus();
      RETURN_IF_ERROR(SleepUntil(opens, *first->config));
      RETURN_IF_ERROR(runner_.Reconnect());
      for (Work& item : work_) {
        if (!item.waits() || !item.error.ok()) continue;
        const absl::Time now = machine_.clock->Now();
        if (MayBeginAt(*item.config, now) <= now || IsAskedFor(item)) RETURN_IF_ERROR(GoOn(item));
      }
    }
  }

  v1::ApplyResponse Answer() {
    v1::ApplyResponse response;
    for (Work& item : work_) {
      for (v1::Rollout& rollout : item.rollouts) {
        if (rollout.has_paused_by()) response.add_warnings(SayHeld(rollout));
        *response.add_rollouts() = std::move(rollout);
      }
      v1::ApplyResponse::Certificate& shown = *response.add_certificates();
      shown = std::move(item.obtained.shown);
      if (!item.error.ok() && !shown.has_failure()) *shown.mutable_failure() = FailureOf(item.error);
    }
    for (const std::string& warning : warnings_) response.add_warnings(warning);
    return response;
  }

 private:
  absl::Status CheckStop() const {
    if (!stop_) return absl::OkStatus();
    // Names what is left to be gone on with.
    std::string text = "stopped as asked, with no node left unconfirmed; ";
    for (const Work& item : work_) {
      for (const v1::Rollout& rollout : item.rollouts) {
        if (rollout.has_finished_at()) continue;
        absl::StrAppend(&text, "rollout ", rollout.id(), " is ", v1::Rollout::State_Name(rollout.state()),
                        ": `certcast rollout resume ", rollout.id(), "` goes on with it, and ");
      }
    }
    return absl::CancelledError(absl::StrCat(text, "the next `certcast apply` goes on where this run ended"));
  }

  // With what is unfinished of it; a rollout that was shown before is shown as it stands now.
  absl::Status GoOn(Work& item) {
    absl::StatusOr<std::vector<v1::Rollout>> resumed = runner_.ResumeUnfinished(*item.config);
    if (IsFatal(resumed.status())) return resumed.status();
    item.error = resumed.status();
    if (resumed.ok()) {
      // What was at rest and is not among them was ended, since another generation is wanted now.
      std::erase_if(item.rollouts, IsResting);
      for (v1::Rollout& rollout : *resumed) item.rollouts.push_back(std::move(rollout));
    }
    return CheckStop();
  }

  absl::Status CheckInTime(const Work& item, const std::vector<FleetMember>& fleet, const FleetView& view) {
    const absl::Time now = machine_.clock->Now();
    if (request_.now() || MayBeginAt(*item.config, now) <= now) return absl::OkStatus();
    ASSIGN_OR_RETURN(const NodeDurations history, HistoryOf(*session_.store, item.config->name));
    ASSIGN_OR_RETURN(const Deadline deadline,
                     DeadlineOf(*session_.store, view, *item.config, fleet, &*item.obtained.generation, now));
    return CheckWindows(*item.config, now, deadline, TimeNeeded(*item.config, fleet, history));
  }

  // An operator wants a rollout of it paused or aborted, which carrying it out does, window or not.
  bool IsAskedFor(const Work& item) {
    return std::any_of(item.rollouts.begin(), item.rollouts.end(), [this](const v1::Rollout& rollout) {
      const auto pending = RolloutRequests(*session_.store).Get(rollout.id());
      return pending.ok() && pending->has_value();
    });
  }

  // Or until an operator wants something of one that waits.
  absl::Status SleepUntil(absl::Time opens, const CertificateConfig& certificate) {
    if (opens > machine_.clock->Now()) {
      on_progress_(MakeNote(
          absl::StrCat("waits for its window, which opens ", ShowInZone(certificate.rollout.windows->zone, opens)),
          certificate.name));
    }
    // By the wall clock, which may be set meanwhile.
    while (true) {
      RETURN_IF_ERROR(CheckStop());
      const absl::Duration left = opens - machine_.clock->Now();
      const bool asked = std::any_of(work_.begin(), work_.end(),
                                     [this](const Work& item) { return item.waits() && IsAskedFor(item); });
      if (asked || left <= absl::ZeroDuration()) return absl::OkStatus();
      machine_.clock->Sleep(std::min(left, kWaitSlice));
    }
  }

  const Config& config_;
  const Machine& machine_;
  const v1::ApplyRequest& request_;
  Session& session_;
  RolloutRunner& runner_;
  const OnProgress& on_progress_;
  const std::atomic<bool>& stop_;
  std::vector<Work> work_;
  std::vector<std::string> warnings_;
};

}  // namespace

absl::StatusOr<v1::ApplyResponse> Controller::Apply(const v1::ApplyRequest& request, const OnProgress& on_progress,
                                                    const std::atomic<bool>& stop) {
  ASSIGN_OR_RETURN(std::vector<const CertificateConfig*> selected,
                   SelectCertificates(config_, {request.certificates().begin(), request.certificates().end()}));
  // One that is named is meant; among all there may be imported ones.
  if (request.force_renewal() && !request.certificates().empty()) {
    for (const CertificateConfig* certificate : selected) RETURN_IF_ERROR(CheckHasAccount(config_, *certificate));
  }
  if (request.dry_run()) return PlanApply(config_, machine_, selected, request);

  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "apply"));
  ASSIGN_OR_RETURN(RolloutRunner runner, RolloutRunner::Make(config_, machine_, session, on_progress, stop));
  if (request.now()) runner.OverrideWindows(request.by());
  Application application(config_, machine_, request, session, runner, on_progress, stop);
  RETURN_IF_ERROR(application.TakeUp(selected));
  RETURN_IF_ERROR(application.ObtainWhatIsDue());
  RETURN_IF_ERROR(application.RollOut());
  if (request.wait()) RETURN_IF_ERROR(application.WaitForWindows());
  return application.Answer();
}

}  // namespace certcast::controller
