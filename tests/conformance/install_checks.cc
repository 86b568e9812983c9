#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

using testing::IssuedCertificate;

absl::Status ExpectStale(Examiner& examiner, const v1::Command& command) {
  ASSIGN_OR_RETURN(const v1::InstallResult result, examiner.Change(command));
  return Examiner::ExpectOutcome(result, "FAILED STALE_COMMAND");
}

// Installs a new generation, which then waits for Confirm.
struct Waiting {
  IssuedCertificate issued;
  uint64_t generation = 0;
  v1::Command command;
  v1::InstallResult result;
};
absl::StatusOr<Waiting> InstallNew(Examiner& examiner, std::vector<std::string>* steps = nullptr) {
  Waiting waiting{.issued = examiner.site().Issue(), .generation = examiner.NextGeneration()};
  waiting.command = examiner.NewInstall(waiting.issued, waiting.generation);
  ASSIGN_OR_RETURN(waiting.result, examiner.Change(waiting.command, steps));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(waiting.result, "INSTALLED"));
  return waiting;
}

absl::Status InstallsAndProves(Examiner& examiner) {
  std::vector<std::string> steps;
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner, &steps));
  const std::string& leaf = now.issued.certificate.sha256();
  RETURN_IF_ERROR(ExpectSame("the result's certificate", now.result.certificate(), kCertificate));
  RETURN_IF_ERROR(
      Expect(now.result.generation() == now.generation && now.result.generation_in_force() == now.generation,
             "the result names another generation"));
  RETURN_IF_ERROR(ExpectSame("installed_sha256", now.result.installed_sha256(), leaf));
  RETURN_IF_ERROR(Expect(now.result.has_confirm_by(), "the result does not say until when it waits for Confirm"));
  RETURN_IF_ERROR(Expect(now.result.probes_size() == 1 && now.result.probes(0).ok(), "there is not one good probe"));
  RETURN_IF_ERROR(ExpectSame("served_sha256", now.result.probes(0).served_sha256(), leaf));
  RETURN_IF_ERROR(ExpectSame("served_before_sha256", now.result.probes(0).served_before_sha256(),
                             examiner.good().certificate.sha256()));
  RETURN_IF_ERROR(Expect(now.result.reloaded_size() == 1 && now.result.reloaded(0) == kService,
                         "the result does not name the one service that was reloaded"));
  return examiner.ExpectInForce(now.issued, /*confirmed=*/false);
}

absl::Status TakesTheStepsInOrder(Examiner& examiner) {
  std::vector<std::string> progress;
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner, &progress));
  const std::vector<std::string> wanted = {"verify", "stage", "activate", "check", "reload", "probe"};
  std::vector<std::string> timed;
  for (const v1::InstallResult::Step& step : now.result.steps()) timed.push_back(step.name());
  RETURN_IF_ERROR(ExpectSame("the steps of the result", absl::StrJoin(timed, " "), absl::StrJoin(wanted, " ")));
  // What comes after them belongs to Confirm.
  const std::vector<std::string> known = {"verify", "stage", "activate", "check", "reload", "probe", "confirm"};
  size_t next = 0;
  for (const std::string& step : progress) {
    const auto at = std::find(known.begin() + static_cast<ptrdiff_t>(next), known.end(), step);
    RETURN_IF_ERROR(Expect(at != known.end(), absl::StrCat("Progress names the steps ", absl::StrJoin(progress, " "))));
    next = static_cast<size_t>(at - known.begin());
  }
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), "check reload"));
  return ExpectSame("what the check saw", examiner.service().LeafAtCheck(), now.issued.certificate.sha256());
}

absl::Status ConfirmsOnce(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  const v1::Command confirm = examiner.NewConfirm(now.issued, now.generation);
  for (const v1::Command& command : {confirm, confirm, examiner.NewConfirm(now.issued, now.generation)}) {
    ASSIGN_OR_RETURN(const v1::InstallResult confirmed, examiner.Change(command));
    RETURN_IF_ERROR(Examiner::ExpectOutcome(confirmed, "INSTALLED"));
  }
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), "check reload"));
  ASSIGN_OR_RETURN(const v1::Inventory::Certificate certificate, examiner.Look());
  RETURN_IF_ERROR(Expect(certificate.highest_generation() == now.generation, "highest_generation is another"));
  RETURN_IF_ERROR(
      Expect(certificate.previous_generation() == examiner.good_generation(), "previous_generation is another"));
  return examiner.ExpectInForce(now.issued, /*confirmed=*/true);
}

absl::Status ConfirmsWhatIsNamed(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  RETURN_IF_ERROR(ExpectStale(examiner, examiner.NewConfirm(now.issued, now.generation + 1)));
  RETURN_IF_ERROR(ExpectStale(examiner, examiner.NewConfirm(examiner.good(), now.generation)));
  return examiner.ExpectInForce(now.issued, /*confirmed=*/false);
}

absl::Status LeavesAloneWhatIsThere(Examiner& examiner) {
  ASSIGN_OR_RETURN(const v1::InstallResult again,
                   examiner.Change(examiner.NewInstall(examiner.good(), examiner.good_generation())));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(again, "UNCHANGED"));
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), ""));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status RepeatsItsAnswer(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  const auto repeat = [&](absl::string_view when) -> absl::Status {
    ASSIGN_OR_RETURN(const v1::InstallResult again, examiner.Change(now.command));
    return Expect(again.SerializeAsString() == now.result.SerializeAsString(),
                  absl::StrCat("the answer to the same id differs ", when));
  };
  RETURN_IF_ERROR(repeat("at once"));
  if (examiner.transport().carries_several()) {
    examiner.CutLink();
    RETURN_IF_ERROR(repeat("on another link"));
  }
  // Then it waits no more, and so the answer says. A node that takes it for a new command says UNCHANGED.
  RETURN_IF_ERROR(examiner.Change(examiner.NewConfirm(now.issued, now.generation)).status());
  ASSIGN_OR_RETURN(const v1::InstallResult confirmed, examiner.Change(now.command));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(confirmed, "INSTALLED"));
  return ExpectSame("what was run", examiner.service().Runs(), "check reload");
}

absl::Status JoinsTheWait(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  ASSIGN_OR_RETURN(const v1::InstallResult joined, examiner.Change(examiner.NewInstall(now.issued, now.generation)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(joined, "INSTALLED"));
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), "check reload"));
  ASSIGN_OR_RETURN(const v1::Failure other,
                   examiner.Refusal(examiner.NewInstall(examiner.site().Issue(), examiner.NextGeneration())));
  RETURN_IF_ERROR(ExpectSame("the reason of another install's refusal", v1::Reason::Code_Name(other.reason()), "BUSY"));
  return examiner.ExpectInForce(now.issued, /*confirmed=*/false);
}

absl::Status RevertsOnCommand(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  ASSIGN_OR_RETURN(const v1::InstallResult reverted, examiner.Change(examiner.NewRevert(now.generation)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(reverted, "REVERTED ROLLOUT_HALTED"));
  RETURN_IF_ERROR(ExpectSame("what was run", examiner.service().Runs(), "check reload reload"));
  RETURN_IF_ERROR(ExpectStale(examiner, examiner.NewConfirm(now.issued, now.generation)));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

absl::Status RevertsWhatWasConfirmed(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  RETURN_IF_ERROR(examiner.Change(examiner.NewConfirm(now.issued, now.generation)).status());
  ASSIGN_OR_RETURN(const v1::InstallResult reverted, examiner.Change(examiner.NewRevert(now.generation)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(reverted, "REVERTED ROLLOUT_HALTED"));
  RETURN_IF_ERROR(examiner.ExpectInForce(examiner.good(), /*confirmed=*/true));
  const std::string runs = examiner.service().Runs();
  ASSIGN_OR_RETURN(const v1::InstallResult again, examiner.Change(examiner.NewRevert(now.generation)));
  RETURN_IF_ERROR(Expect(again.outcome() == v1::Outcome::UNCHANGED,
                         absl::StrCat("a second Revert gives ", v1::Outcome::Code_Name(again.outcome()))));
  return ExpectSame("what was run after the second Revert", examiner.service().Runs(), runs);
}

absl::Status MayBeTriedAgain(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  RETURN_IF_ERROR(examiner.Change(examiner.NewRevert(now.generation)).status());
  ASSIGN_OR_RETURN(const v1::InstallResult again, examiner.Change(examiner.NewInstall(now.issued, now.generation)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(again, "INSTALLED"));
  return examiner.ExpectInForce(now.issued, /*confirmed=*/false);
}

absl::Status NoticesAndMendsDrift(Examiner& examiner) {
  const IssuedCertificate other = examiner.site().Issue();
  RETURN_IF_ERROR(testing::WriteFile(examiner.service().FilePath("fullchain.pem"), other.fullchain_pem, 0644));
  ASSIGN_OR_RETURN(const v1::Inventory::Service seen, examiner.LookAtService(examiner.service()));
  RETURN_IF_ERROR(Expect(!seen.drift().empty(), "a file that was replaced by hand is not reported as drift"));
  ASSIGN_OR_RETURN(const v1::InstallResult mended,
                   examiner.Change(examiner.NewInstall(examiner.good(), examiner.good_generation())));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(mended, "INSTALLED"));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/false);
}

absl::Status TellsCommandsNoSecret(Examiner& examiner) {
  ASSIGN_OR_RETURN(const Waiting now, InstallNew(examiner));
  const std::string seen = examiner.service().SeenByRuns();
  RETURN_IF_ERROR(Expect(absl::StrContains(seen, "PATH="), "the commands could not note their environment"));
  return Expect(!examiner.HoldsSecret(seen), "a command's environment or arguments hold a piece of a private key");
}

}  // namespace

std::vector<Check> InstallChecks() {
  return {
      {"install.proven", "An install ends in INSTALLED once every probe saw the new fingerprint; it waits for Confirm.",
       "design 2.4, 5", InstallsAndProves},
      {"install.steps",
       "verify, stage, activate, check, reload, probe, in this order; the check sees the new files, before any reload.",
       "design 5", TakesTheStepsInOrder},
      {"install.confirm", "Confirm makes it the generation to go back to; it is idempotent.", "design 5; link.proto",
       ConfirmsOnce},
      {"install.confirm-names", "A Confirm of another generation or leaf is refused (STALE_COMMAND).", "link.proto",
       ConfirmsWhatIsNamed},
      {"install.unchanged", "What is in force and intact is UNCHANGED: nothing is written or reloaded.",
       "design 2.5; link.proto", LeavesAloneWhatIsThere},
      {"install.same-id", "The same id gives the same result and no second reload.", "design 4", RepeatsItsAnswer},
      {"install.one-waits",
       "While one waits for Confirm another is BUSY; the same one under another id joins the wait.", "design 5",
       JoinsTheWait},
      {"install.revert", "Revert puts back what was in force, and proves it.", "design 5; link.proto",
       RevertsOnCommand},
      {"install.revert-confirmed", "Revert leaves a confirmed generation too; a second one is UNCHANGED.", "link.proto",
       RevertsWhatWasConfirmed},
      {"install.again", "A generation that was put back may be installed again.", "design 2.5", MayBeTriedAgain},
      {"install.drift", "A file that was changed by hand is reported as drift, and mended by the same install.",
       "design 1; link.proto", NoticesAndMendsDrift},
      {"install.no-secret", "No secret is in the environment or the arguments of the commands.", "design 2.7",
       TellsCommandsNoSecret},
  };
}

}  // namespace certcast::conformance
