#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

using testing::IssuedCertificate;

constexpr absl::Duration kShortWait = absl::Seconds(1);

absl::Status IsBack(Examiner& examiner) {
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status FailsWith(Examiner& examiner, const StandIn::Behaviour& behaviour, absl::string_view outcome,
                       absl::string_view step, v1::InstallResult& result) {
  RETURN_IF_ERROR(examiner.service().Behave(behaviour));
  const v1::Command command = examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration());
  ASSIGN_OR_RETURN(result, examiner.Change(command));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(result, outcome));
  RETURN_IF_ERROR(ExpectSame("the failing step", result.failure().step(), step));
  RETURN_IF_ERROR(ExpectSame("installed_sha256", result.installed_sha256(), examiner.good().certificate.sha256()));
  return IsBack(examiner);
}

absl::Status AFailedCheckReloadsNothing(Examiner& examiner) {
  v1::InstallResult result;
  RETURN_IF_ERROR(FailsWith(examiner, {.check_fails = true}, "REVERTED CHECK_FAILED", "check", result));
  RETURN_IF_ERROR(Expect(absl::StrContains(result.failure().stderr(), "the check says no"),
                         "the failure's stderr is not what the check wrote"));
  return ExpectSame("what was run", examiner.service().Runs(), "check");
}

absl::Status AFailedProbeGoesBack(Examiner& examiner) {
  v1::InstallResult result;
  RETURN_IF_ERROR(FailsWith(examiner, {.ignores_reload = true}, "REVERTED PROBE_FAILED", "probe", result));
  return ExpectSame("what was run", examiner.service().Runs(), "check reload reload");
}

absl::Status AFloodIsCutShort(Examiner& examiner) {
  v1::InstallResult result;
  RETURN_IF_ERROR(
      FailsWith(examiner, {.check_fails = true, .check_floods = true}, "REVERTED CHECK_FAILED", "check", result));
  const std::string& seen = result.failure().stderr();
  RETURN_IF_ERROR(Expect(!seen.empty() && seen.size() <= kMaxStderr,
                         absl::StrCat("the failure's stderr has ", seen.size(), " bytes")));
  return Expect(absl::StrContains(seen, StandIn::kLastWords) && absl::StrContains(seen, "the check says no"),
                "the failure's stderr is not the end of what the check wrote");
}

absl::Status AFloodIsNoFailure(Examiner& examiner) {
  RETURN_IF_ERROR(examiner.service().Behave({.check_floods = true}));
  const IssuedCertificate issued = examiner.site().Issue();
  ASSIGN_OR_RETURN(const v1::InstallResult result,
                   examiner.Change(examiner.NewInstall(issued, examiner.NextGeneration())));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(result, "INSTALLED"));
  return examiner.ExpectInForce(issued, /*confirmed=*/false);
}

absl::Status ACheckThatHangsIsEnded(Examiner& examiner) {
  v1::InstallResult result;
  RETURN_IF_ERROR(FailsWith(examiner, {.check_hangs = true}, "REVERTED CHECK_FAILED", "check", result));
  for (const v1::InstallResult::Step& step : result.steps()) {
    RETURN_IF_ERROR(Expect(step.name() != "check" || absl::Microseconds(step.duration_us()) < 2 * kCheckTimeout,
                           absl::StrCat("the check was given ", step.duration_us(), " us")));
  }
  return ExpectSame("what was run", examiner.service().Runs(), "check");
}

// The reload fails on the way back as well, so whether that is proven is for the probe to say.
absl::Status AFailedReloadGoesBack(Examiner& examiner) {
  RETURN_IF_ERROR(examiner.service().Behave({.reload_fails = true}));
  const v1::Command command = examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration());
  ASSIGN_OR_RETURN(const v1::InstallResult result, examiner.Change(command));
  const v1::Reason::Code reason = result.failure().reason();
  RETURN_IF_ERROR(Expect(
      (result.outcome() == v1::Outcome::REVERTED || result.outcome() == v1::Outcome::FAILED) &&
          (reason == v1::Reason::RELOAD_FAILED || reason == v1::Reason::REVERT_FAILED),
      absl::StrCat("the outcome is ", v1::Outcome::Code_Name(result.outcome()), " ", v1::Reason::Code_Name(reason))));
  RETURN_IF_ERROR(
      Expect(absl::StrContains(result.failure().stderr() + result.cleanup_failure().stderr(), "the reload says no"),
             "no stderr holds what the reload wrote"));
  RETURN_IF_ERROR(examiner.service().Behave({}));
  return ExpectSame("what is in the files", examiner.service().Installed(), examiner.good().certificate.sha256());
}

absl::Status AwaitTheWayBack(Examiner& examiner) {
  const absl::Time until = absl::Now() + examiner.patience();
  absl::Status back = IsBack(examiner);
  while (!back.ok() && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(100));
    back = IsBack(examiner);
  }
  return back;
}

absl::Status GoesBackWithoutConfirm(Examiner& examiner) {
  const IssuedCertificate issued = examiner.site().Issue();
  const uint64_t generation = examiner.NextGeneration();
  ASSIGN_OR_RETURN(const v1::InstallResult installed,
                   examiner.Change(examiner.NewInstall(issued, generation, kShortWait)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(installed, "INSTALLED"));
  RETURN_IF_ERROR(AwaitTheWayBack(examiner));
  ASSIGN_OR_RETURN(const v1::InstallResult late, examiner.ChangeOnceFree(examiner.NewConfirm(issued, generation)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(late, "FAILED STALE_COMMAND"));
  return ExpectSame("what was run", examiner.service().Runs(), "check reload reload");
}

absl::Status IsBusyMeanwhile(Examiner& examiner) {
  if (!examiner.transport().carries_several()) {
    return absl::UnimplementedError("one program speaks with one controller");
  }
  RETURN_IF_ERROR(examiner.service().Behave({.reload_waits = true}));
  const IssuedCertificate issued = examiner.site().Issue();
  const v1::Command command = examiner.NewInstall(issued, examiner.NextGeneration());
  ASSIGN_OR_RETURN(Connection* const first, examiner.Link());
  RETURN_IF_ERROR(first->Send(command));
  RETURN_IF_ERROR(testing::WaitUntil("the reload runs", examiner.patience(),
                                     [&] { return absl::StrContains(examiner.service().Runs(), "reload"); }));
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> second, examiner.OpenLink());
  ASSIGN_OR_RETURN(const v1::Report looked, examiner.Call(examiner.NewDescribe(), nullptr, second.get()));
  const v1::Command another = examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration());
  ASSIGN_OR_RETURN(const v1::Report refused, examiner.Call(another, nullptr, second.get()));
  RETURN_IF_ERROR(examiner.service().Release());
  RETURN_IF_ERROR(Expect(looked.has_inventory(), "Describe is not answered during an install"));
  RETURN_IF_ERROR(ExpectSame("the reason of the second install's refusal",
                             v1::Reason::Code_Name(refused.refusal().failure().reason()), "BUSY"));
  while (true) {
    ASSIGN_OR_RETURN(const v1::Report report, first->Next(examiner.patience()));
    if (report.has_progress()) continue;
    RETURN_IF_ERROR(Examiner::ExpectOutcome(report.install_result(), "INSTALLED"));
    return examiner.ExpectInForce(issued, /*confirmed=*/false);
  }
}

// The link is cut after so many reports of the install, and nobody confirms.
absl::Status GoesBackWhenCutAfter(Examiner& examiner, int reports) {
  const v1::Command command = examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration(), kShortWait);
  ASSIGN_OR_RETURN(Connection* const link, examiner.Link());
  RETURN_IF_ERROR(link->Send(command));
  for (int i = 0; i < reports; ++i) {
    ASSIGN_OR_RETURN(const v1::Report report, link->Next(examiner.patience()));
    if (!report.has_progress()) break;
  }
  examiner.CutLink();
  return Annotate(AwaitTheWayBack(examiner), absl::StrCat("cut after ", reports, " reports"));
}

// A message may be lost with the link, so that the node never hears of the install; all of it may have gone well, too.
absl::Status EndsWellWhereverTheLinkIsCut(Examiner& examiner) {
  for (const int reports : {0, 1, 3, 5, 100}) RETURN_IF_ERROR(GoesBackWhenCutAfter(examiner, reports));
  return absl::OkStatus();
}

absl::Status NeverLeavesAMixture(Examiner& examiner) {
  for (const StandIn::Behaviour& behaviour :
       {StandIn::Behaviour{}, StandIn::Behaviour{.check_fails = true}, StandIn::Behaviour{.ignores_reload = true}}) {
    RETURN_IF_ERROR(examiner.Settle());
    RETURN_IF_ERROR(examiner.service().Behave(behaviour));
    const IssuedCertificate issued = examiner.site().Issue();
    RETURN_IF_ERROR(examiner.Change(examiner.NewInstall(issued, examiner.NextGeneration())).status());
    RETURN_IF_ERROR(ExpectSame("what the check saw", examiner.service().LeafAtCheck(), issued.certificate.sha256()));
    const std::string installed = examiner.service().Installed();
    RETURN_IF_ERROR(
        Expect(installed == issued.certificate.sha256() || installed == examiner.good().certificate.sha256(),
               absl::StrCat("in the files is ", installed)));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Check> TroubleChecks() {
  return {
      {"trouble.check", "A failed check is put back, and no reload was ever sent: REVERTED CHECK_FAILED.", "design 5",
       AFailedCheckReloadsNothing},
      {"trouble.flood", "Of a failing command's standard error the end is reported, at most 4 KiB of it.",
       "outcome.proto, Failure.stderr", AFloodIsCutShort},
      {"trouble.flood-ok", "A command that writes much, and bytes that are no text, is taken by its exit code.",
       "design 2.9, 5", AFloodIsNoFailure},
      {"trouble.hang", "A check that does not end is ended when its time is over, and put back: CHECK_FAILED.",
       "design 2.9, 5", ACheckThatHangsIsEnded},
      {"trouble.reload", "A failed reload is put back: RELOAD_FAILED, or REVERT_FAILED where it fails again.",
       "design 5", AFailedReloadGoesBack},
      {"trouble.probe", "A service that does not serve the new one is put back, reloaded and proven: PROBE_FAILED.",
       "design 2.4, 5", AFailedProbeGoesBack},
      {"trouble.no-confirm", "Without Confirm in time it goes back by itself; a late one is STALE_COMMAND.", "design 5",
       GoesBackWithoutConfirm},
      {"trouble.busy", "Installs run one at a time: a second is BUSY; looking is answered meanwhile.", "design 5",
       IsBusyMeanwhile},
      {"trouble.cut", "Wherever the link is cut, the node ends where it was, or confirmed.", "design 2.1, 2.3, 5",
       EndsWellWhereverTheLinkIsCut},
      {"trouble.mixture", "What a service can read is one complete, matching generation.", "design 2.1",
       NeverLeavesAMixture},
  };
}

}  // namespace certcast::conformance
