#include "tests/conformance/examiner.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/status/status.h"

namespace certcast::conformance {
namespace {

// While a program that speaks stdio still waits for a Confirm of an earlier link.
constexpr absl::Duration kBusyPatience = absl::Seconds(90);
constexpr absl::Duration kTryAgainAfter = absl::Milliseconds(100);
// Of Failure's texts.
constexpr size_t kMaxLine = 1024;
// So long a line of a private key is found nowhere by chance.
constexpr size_t kTellingLine = 16;

std::string Show(const v1::Failure& failure) {
  return absl::StrCat(v1::Reason::Code_Name(failure.reason()), failure.step().empty() ? "" : " at " + failure.step(),
                      ": ", failure.detail());
}

std::string Show(const v1::Report& report) {
  if (report.has_refusal()) return absl::StrCat("a refusal, ", Show(report.refusal().failure()));
  if (report.has_install_result()) {
    const v1::InstallResult& result = report.install_result();
    return absl::StrCat("an install result, ", v1::Outcome::Code_Name(result.outcome()),
                        result.has_failure() ? absl::StrCat(" (", Show(result.failure()), ")") : "");
  }
  if (report.has_inventory()) return "an inventory";
  if (report.has_hello()) return "a Hello";
  if (report.has_http_challenge_result()) return "the result of an HTTP challenge";
  return "a report without a body that is known";
}

absl::Status ExpectWellFormed(const v1::Failure& failure) {
  RETURN_IF_ERROR(Expect(failure.reason() != v1::Reason::REASON_UNSPECIFIED, "a failure gives no reason"));
  for (const std::string& line : {failure.detail(), failure.hint()}) {
    RETURN_IF_ERROR(Expect(line.size() <= kMaxLine && !absl::StrContains(line, '\n'),
                           absl::StrCat("a failure's text is not one line of at most 1 KiB: ", line)));
  }
  RETURN_IF_ERROR(Expect(!failure.detail().empty(), "a failure has no detail"));
  return Expect(failure.stderr().size() <= kMaxStderr,
                absl::StrCat("a failure's stderr has ", failure.stderr().size(), " bytes"));
}

absl::Status ExpectWellFormed(const v1::Report& report) {
  const v1::InstallResult& result = report.install_result();
  if (report.has_refusal()) RETURN_IF_ERROR(ExpectWellFormed(report.refusal().failure()));
  if (result.has_failure()) RETURN_IF_ERROR(ExpectWellFormed(result.failure()));
  if (result.has_cleanup_failure()) RETURN_IF_ERROR(ExpectWellFormed(result.cleanup_failure()));
  return absl::OkStatus();
}

}  // namespace

absl::Status Expect(bool holds, absl::string_view otherwise) {
  return holds ? absl::OkStatus() : absl::FailedPreconditionError(otherwise);
}

absl::Status ExpectSame(absl::string_view what, absl::string_view seen, absl::string_view wanted) {
  return Expect(seen == wanted, absl::StrCat(what, " is \"", seen, "\", not \"", wanted, "\""));
}

absl::StatusOr<std::unique_ptr<Connection>> Examiner::OpenLink(v1::Report* hello) {
  return OpenLink([this] { return transport_.Open(); }, hello);
}

absl::StatusOr<std::unique_ptr<Connection>> Examiner::OpenUntoldLink() {
  if (!site_.hosted()) return absl::UnimplementedError("the node has a configuration of its own");
  CutLink();
  return OpenLink([this] { return transport_.OpenAs({.untold = true}); }, nullptr);
}

absl::StatusOr<std::unique_ptr<Connection>> Examiner::OpenLink(
    const std::function<absl::StatusOr<std::unique_ptr<Connection>>()>& open, v1::Report* hello) {
  const absl::Time until = absl::Now() + kBusyPatience;
  while (true) {
    ASSIGN_OR_RETURN(std::unique_ptr<Connection> link, open());
    absl::StatusOr<v1::Report> first = link->Next(patience_);
    if (first.ok()) {
      RETURN_IF_ERROR(Expect(first->has_hello(), absl::StrCat("the first report is ", Show(*first))));
      if (hello != nullptr) *hello = *std::move(first);
      return link;
    }
    if (absl::Now() > until) return Annotate(first.status(), "no Hello");
    absl::SleepFor(kTryAgainAfter);
  }
}

absl::StatusOr<Connection*> Examiner::Link() {
  if (link_ == nullptr) {
    ASSIGN_OR_RETURN(link_, OpenLink());
  }
  return link_.get();
}

v1::Command Examiner::NewCommand() {
  v1::Command command;
  command.set_id(absl::StrCat("conformance-", epoch_, "-", ++last_id_));
  command.set_epoch(epoch_);
  return command;
}

v1::Command Examiner::NewDescribe() {
  v1::Command command = NewCommand();
  command.mutable_describe();
  return command;
}

v1::Command Examiner::NewInstall(const v1::Bundle& bundle, absl::Duration confirm_timeout) {
  v1::Command command = NewCommand();
  *command.mutable_install()->mutable_bundle() = bundle;
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(absl::ToInt64Seconds(confirm_timeout));
  return command;
}

v1::Command Examiner::NewInstall(const testing::IssuedCertificate& issued, uint64_t generation,
                                 absl::Duration confirm_timeout) {
  return NewInstall(Bundle(issued, generation), confirm_timeout);
}

v1::Command Examiner::NewConfirm(const testing::IssuedCertificate& issued, uint64_t generation) {
  v1::Command command = NewCommand();
  command.mutable_confirm()->set_certificate(kCertificate);
  command.mutable_confirm()->set_generation(generation);
  command.mutable_confirm()->set_leaf_sha256(issued.certificate.sha256());
  return command;
}

v1::Command Examiner::NewRevert(uint64_t generation, const std::string& certificate) {
  v1::Command command = NewCommand();
  command.mutable_revert()->set_certificate(certificate);
  command.mutable_revert()->set_generation(generation);
  command.mutable_revert()->set_because(v1::Reason::ROLLOUT_HALTED);
  return command;
}

v1::Bundle Examiner::Bundle(const testing::IssuedCertificate& issued, uint64_t generation) const {
  return site_.fleet().Bundle(issued, kCertificate, generation, absl::Now());
}

void Examiner::NoteSecrets(const v1::Command& command) {
  for (absl::string_view line : absl::StrSplit(command.install().bundle().private_key_pem(), '\n')) {
    if (line.size() >= kTellingLine && !absl::StartsWith(line, "-----")) secrets_.emplace_back(line);
  }
}

bool Examiner::HoldsSecret(const std::string& text) const {
  return std::any_of(secrets_.begin(), secrets_.end(),
                     [&](const std::string& line) { return absl::StrContains(text, line); });
}

absl::StatusOr<v1::Report> Examiner::Call(const v1::Command& command, std::vector<std::string>* steps,
                                          Connection* link) {
  if (link == nullptr) {
    ASSIGN_OR_RETURN(link, Link());
  }
  NoteSecrets(command);
  RETURN_IF_ERROR(link->Send(command));
  while (true) {
    ASSIGN_OR_RETURN(v1::Report report, link->Next(patience_));
    RETURN_IF_ERROR(ExpectSame("the report's command_id", report.command_id(), command.id()));
    RETURN_IF_ERROR(ExpectWellFormed(report));
    RETURN_IF_ERROR(Expect(!HoldsSecret(report.SerializeAsString()), "a report holds a piece of a private key"));
    if (!report.has_progress()) return report;
    if (steps != nullptr) steps->push_back(report.progress().step());
  }
}

absl::StatusOr<v1::InstallResult> Examiner::Change(const v1::Command& command, std::vector<std::string>* steps) {
  ASSIGN_OR_RETURN(const v1::Report report, Call(command, steps));
  RETURN_IF_ERROR(Expect(report.has_install_result(), absl::StrCat("the answer is ", Show(report))));
  return report.install_result();
}

absl::StatusOr<v1::InstallResult> Examiner::ChangeOnceFree(const v1::Command& command) {
  const absl::Time until = absl::Now() + patience_;
  while (true) {
    ASSIGN_OR_RETURN(const v1::Report report, Call(command));
    const bool busy = report.refusal().failure().reason() == v1::Reason::BUSY;
    if (report.has_install_result()) return report.install_result();
    if (!busy || absl::Now() > until)
      return absl::FailedPreconditionError(absl::StrCat("the answer is ", Show(report)));
    absl::SleepFor(kTryAgainAfter);
  }
}

absl::StatusOr<v1::Failure> Examiner::Refusal(const v1::Command& command) {
  ASSIGN_OR_RETURN(const v1::Report report, Call(command));
  RETURN_IF_ERROR(Expect(report.has_refusal(), absl::StrCat("the answer is ", Show(report))));
  return report.refusal().failure();
}

absl::StatusOr<v1::Inventory> Examiner::Describe() {
  ASSIGN_OR_RETURN(const v1::Report report, Call(NewDescribe()));
  RETURN_IF_ERROR(Expect(report.has_inventory(), absl::StrCat("the answer to Describe is ", Show(report))));
  return report.inventory();
}

absl::StatusOr<v1::Inventory::Certificate> Examiner::Look(const std::string& name) {
  ASSIGN_OR_RETURN(const v1::Inventory inventory, Describe());
  for (const v1::Inventory::Certificate& certificate : inventory.certificates()) {
    if (certificate.name() == name) return certificate;
  }
  return v1::Inventory::Certificate();
}

absl::StatusOr<v1::Inventory::Service> Examiner::LookAtService(const StandIn& service) {
  ASSIGN_OR_RETURN(const v1::Inventory inventory, Describe());
  for (const v1::Inventory::Service& entry : inventory.services()) {
    if (entry.name() == service.name() && entry.certificate() == service.certificate()) return entry;
  }
  return absl::FailedPreconditionError(absl::StrCat("the inventory does not list the service ", service.name()));
}

absl::Status Examiner::ExpectOutcome(const v1::InstallResult& result, absl::string_view wanted) {
  std::string seen = v1::Outcome::Code_Name(result.outcome());
  if (result.has_failure()) absl::StrAppend(&seen, " ", v1::Reason::Code_Name(result.failure().reason()));
  return Expect(seen == wanted,
                absl::StrCat("the outcome is ", seen, " (", result.failure().detail(), "), not ", wanted));
}

absl::Status Examiner::ExpectInForce(const testing::IssuedCertificate& issued, bool confirmed) {
  const std::string& leaf = issued.certificate.sha256();
  RETURN_IF_ERROR(ExpectSame("what is in the files", service().Installed(), leaf));
  RETURN_IF_ERROR(ExpectSame("what is served", site_.Served(), leaf));
  ASSIGN_OR_RETURN(const v1::Inventory::Certificate certificate, Look());
  RETURN_IF_ERROR(ExpectSame("the inventory's leaf_sha256", certificate.leaf_sha256(), leaf));
  RETURN_IF_ERROR(Expect(certificate.confirmed() == confirmed,
                         confirmed ? "the inventory does not call it confirmed" : "the inventory calls it confirmed"));
  return Expect(!confirmed || !certificate.has_confirm_by(), "the inventory says that it waits for Confirm");
}

absl::Status Examiner::InstallGood() {
  testing::IssuedCertificate issued = site_.Issue();
  const uint64_t generation = NextGeneration();
  ASSIGN_OR_RETURN(const v1::InstallResult installed, ChangeOnceFree(NewInstall(issued, generation)));
  RETURN_IF_ERROR(ExpectOutcome(installed, "INSTALLED"));
  ASSIGN_OR_RETURN(const v1::InstallResult confirmed, Change(NewConfirm(issued, generation)));
  RETURN_IF_ERROR(ExpectOutcome(confirmed, "INSTALLED"));
  good_ = std::make_unique<testing::IssuedCertificate>(std::move(issued));
  good_generation_ = generation;
  return absl::OkStatus();
}

absl::Status Examiner::LetGo() {
  for (const StandIn* service : site_.services()) RETURN_IF_ERROR(service->Behave({}));
  if (!Look().ok()) CutLink();
  ASSIGN_OR_RETURN(const v1::Inventory inventory, Describe());
  for (const v1::Inventory::Certificate& certificate : inventory.certificates()) {
    if (!certificate.has_confirm_by()) continue;
    RETURN_IF_ERROR(ChangeOnceFree(NewRevert(certificate.generation(), certificate.name())).status());
  }
  return absl::OkStatus();
}

absl::Status Examiner::ExpectNothingBeside() {
  for (const StandIn* service : site_.services()) {
    for (const std::string& name : service->FolderEntries()) {
      const bool is_declared = std::any_of(kDeclaredFiles.begin(), kDeclaredFiles.end(),
                                           [&](const DeclaredFile& file) { return file.name == name; });
      RETURN_IF_ERROR(Expect(is_declared, absl::StrCat(service->FilePath(name), " was left behind")));
    }
  }
  return absl::OkStatus();
}

absl::Status Examiner::Settle() {
  RETURN_IF_ERROR(LetGo());
  ASSIGN_OR_RETURN(const v1::Inventory::Certificate certificate, Look());
  next_generation_ = std::max(next_generation_, certificate.highest_generation() + 1);
  const bool is_good = good_ != nullptr && certificate.generation() == good_generation_ &&
                       certificate.highest_generation() == good_generation_ && certificate.confirmed() &&
                       ExpectInForce(*good_, /*confirmed=*/true).ok();
  if (!is_good) RETURN_IF_ERROR(InstallGood());
  RETURN_IF_ERROR(ExpectInForce(*good_, /*confirmed=*/true));
  for (const StandIn* service : site_.services()) service->ForgetRuns();
  return absl::OkStatus();
}

uint64_t Examiner::NextGeneration() {
  return next_generation_++;
}

std::vector<Check> AllChecks() {
  std::vector<Check> checks;
  for (std::vector<Check> more :
       {LinkChecks(), HostedChecks(), WireChecks(), BundleChecks(), ChallengeChecks(), InstallChecks(), FileChecks(),
        FirstInstallChecks(), TroubleChecks(), WaitingChecks()}) {
    std::move(more.begin(), more.end(), std::back_inserter(checks));
  }
  return checks;
}

}  // namespace certcast::conformance
