#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status.h"
#include "tests/conformance/examiner.h"

namespace certcast::conformance {
namespace {

using testing::IssuedCertificate;

// Whatever was installed is always put back, so there is a first install every time.
absl::Status BeforeCertcast(Examiner& examiner, const StandIn& service) {
  ASSIGN_OR_RETURN(const v1::Inventory::Certificate certificate, examiner.Look(service.certificate()));
  if (certificate.generation() == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const v1::InstallResult reverted,
                   examiner.Change(examiner.NewRevert(certificate.generation(), service.certificate())));
  service.ForgetRuns();
  return Expect(reverted.generation_in_force() == 0, "an earlier install was not put back");
}

struct First {
  IssuedCertificate issued;
  uint64_t generation;
  v1::InstallResult result;
};
absl::StatusOr<First> InstallFirst(Examiner& examiner, const StandIn& service, const StandIn::Behaviour& behaviour) {
  RETURN_IF_ERROR(service.Behave(behaviour));
  ASSIGN_OR_RETURN(const v1::Inventory::Certificate certificate, examiner.Look(service.certificate()));
  First first{.issued = examiner.site().Issue(), .generation = certificate.highest_generation() + 1, .result = {}};
  ASSIGN_OR_RETURN(first.result, examiner.Change(examiner.NewInstall(examiner.site().fleet().Bundle(
                                     first.issued, service.certificate(), first.generation, absl::Now()))));
  return first;
}

// Confirms it, then has it taken back.
absl::Status RevertFirst(Examiner& examiner, const StandIn& service, const First& first) {
  v1::Command confirm = examiner.NewConfirm(first.issued, first.generation);
  confirm.mutable_confirm()->set_certificate(service.certificate());
  ASSIGN_OR_RETURN(const v1::InstallResult confirmed, examiner.Change(confirm));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(confirmed, "INSTALLED"));
  ASSIGN_OR_RETURN(const v1::InstallResult reverted,
                   examiner.Change(examiner.NewRevert(first.generation, service.certificate())));
  return Examiner::ExpectOutcome(reverted, "REVERTED ROLLOUT_HALTED");
}

// The rest of the node is as it was, and the certificate is where it began.
absl::Status ExpectGenerationZero(Examiner& examiner, const StandIn& service) {
  ASSIGN_OR_RETURN(const v1::Inventory::Certificate certificate, examiner.Look(service.certificate()));
  RETURN_IF_ERROR(Expect(certificate.generation() == 0,
                         absl::StrCat("generation ", certificate.generation(), " is in force, not 0")));
  RETURN_IF_ERROR(Expect(!certificate.has_confirm_by(), "the inventory says that it waits for Confirm"));
  return examiner.ExpectInForce(examiner.good(), /*confirmed=*/true);
}

// Installs over the administrator's files so that it ends in `outcome`, and expects those back.
absl::Status BrokenFirstInstall(Examiner& examiner, const StandIn::Behaviour& behaviour, absl::string_view outcome,
                                absl::string_view runs) {
  const StandIn& newcomer = examiner.site().newcomer();
  RETURN_IF_ERROR(BeforeCertcast(examiner, newcomer));
  const IssuedCertificate own = examiner.site().Issue();
  ASSIGN_OR_RETURN(const std::vector<StandIn::OwnFile> files, newcomer.PutOwnFiles(own));
  ASSIGN_OR_RETURN(const First first, InstallFirst(examiner, newcomer, behaviour));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(first.result, outcome));
  RETURN_IF_ERROR(ExpectSame("what was run", newcomer.Runs(), runs));
  RETURN_IF_ERROR(newcomer.ExpectOwnFiles(files));
  RETURN_IF_ERROR(ExpectSame("what is served", newcomer.Served(kHost), own.certificate.sha256()));
  RETURN_IF_ERROR(
      ExpectSame("the result's installed_sha256", first.result.installed_sha256(), own.certificate.sha256()));
  return ExpectGenerationZero(examiner, newcomer);
}

absl::Status PutsBackWhenTheCheckFails(Examiner& examiner) {
  return BrokenFirstInstall(examiner, {.check_fails = true}, "REVERTED CHECK_FAILED", "check");
}

absl::Status PutsBackWhenTheProbeFails(Examiner& examiner) {
  return BrokenFirstInstall(examiner, {.ignores_reload = true}, "REVERTED PROBE_FAILED", "check reload reload");
}

absl::Status PutsBackOnCommand(Examiner& examiner) {
  const StandIn& newcomer = examiner.site().newcomer();
  RETURN_IF_ERROR(BeforeCertcast(examiner, newcomer));
  const IssuedCertificate own = examiner.site().Issue();
  ASSIGN_OR_RETURN(const std::vector<StandIn::OwnFile> files, newcomer.PutOwnFiles(own));
  ASSIGN_OR_RETURN(const First first, InstallFirst(examiner, newcomer, {}));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(first.result, "INSTALLED"));
  RETURN_IF_ERROR(ExpectSame("served_before_sha256",
                             first.result.probes_size() == 1 ? first.result.probes(0).served_before_sha256() : "",
                             own.certificate.sha256()));
  RETURN_IF_ERROR(ExpectSame("what is in the files", newcomer.Installed(), first.issued.certificate.sha256()));
  RETURN_IF_ERROR(RevertFirst(examiner, newcomer, first));
  RETURN_IF_ERROR(newcomer.ExpectOwnFiles(files));
  RETURN_IF_ERROR(ExpectSame("what is served", newcomer.Served(kHost), own.certificate.sha256()));
  return ExpectGenerationZero(examiner, newcomer);
}

absl::Status RemovesItsLinksWhenTheCheckFails(Examiner& examiner) {
  const StandIn& blank = examiner.site().blank();
  RETURN_IF_ERROR(BeforeCertcast(examiner, blank));
  RETURN_IF_ERROR(Annotate(blank.ExpectNoFiles(), "before the install"));
  ASSIGN_OR_RETURN(const First first, InstallFirst(examiner, blank, {.check_fails = true}));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(first.result, "REVERTED CHECK_FAILED"));
  RETURN_IF_ERROR(ExpectSame("what was run", blank.Runs(), "check"));
  RETURN_IF_ERROR(blank.ExpectNoFiles());
  return ExpectGenerationZero(examiner, blank);
}

absl::Status RemovesItsLinksOnCommand(Examiner& examiner) {
  const StandIn& blank = examiner.site().blank();
  RETURN_IF_ERROR(BeforeCertcast(examiner, blank));
  RETURN_IF_ERROR(Annotate(blank.ExpectNoFiles(), "before the install"));
  ASSIGN_OR_RETURN(const First first, InstallFirst(examiner, blank, {}));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(first.result, "INSTALLED"));
  RETURN_IF_ERROR(ExpectSame("what is served", blank.Served(kHost), first.issued.certificate.sha256()));
  RETURN_IF_ERROR(RevertFirst(examiner, blank, first));
  RETURN_IF_ERROR(blank.ExpectNoFiles());
  return ExpectGenerationZero(examiner, blank);
}

// An install that is refused has taken nothing in.
absl::Status TouchesNothingWhenItRefuses(Examiner& examiner) {
  const StandIn& newcomer = examiner.site().newcomer();
  RETURN_IF_ERROR(BeforeCertcast(examiner, newcomer));
  const IssuedCertificate own = examiner.site().Issue();
  ASSIGN_OR_RETURN(const std::vector<StandIn::OwnFile> files, newcomer.PutOwnFiles(own));
  const IssuedCertificate issued = examiner.site().Issue();
  v1::Bundle bundle = examiner.site().fleet().Bundle(issued, kNewcomer, 1u << 20, absl::Now());
  (*bundle.mutable_signature())[10] ^= 1;
  ASSIGN_OR_RETURN(const v1::InstallResult refused, examiner.Change(examiner.NewInstall(bundle)));
  RETURN_IF_ERROR(Examiner::ExpectOutcome(refused, "FAILED SIGNATURE_INVALID"));
  for (const DeclaredFile& file : kDeclaredFiles) {
    RETURN_IF_ERROR(Expect(!newcomer.IsLink(file.name), absl::StrCat(file.name, " has become a link")));
  }
  RETURN_IF_ERROR(newcomer.ExpectOwnFiles(files));
  return ExpectGenerationZero(examiner, newcomer);
}

}  // namespace

std::vector<Check> FirstInstallChecks() {
  constexpr char kFirst[] = "design 5, generation 0";
  return {
      {"first.check", "A first install whose check fails puts the administrator's files back: bytes, owner, mode.",
       kFirst, PutsBackWhenTheCheckFails},
      {"first.probe", "So does one whose probe fails; the service is reloaded and serves what it did.", kFirst,
       PutsBackWhenTheProbeFails},
      {"first.revert", "A first install that was confirmed can be put back too, in the same way.", kFirst,
       PutsBackOnCommand},
      {"first.nothing-check", "Where nothing was there, a check that fails leaves no link behind.", kFirst,
       RemovesItsLinksWhenTheCheckFails},
      {"first.nothing-revert", "Where nothing was there, Revert removes the links.", kFirst, RemovesItsLinksOnCommand},
      {"first.refused", "A first install that is refused leaves the files that are there alone.", "design 2.2, 5",
       TouchesNothingWhenItRefuses},
  };
}

}  // namespace certcast::conformance
