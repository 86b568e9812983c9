#include <unistd.h>

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/conformance/fault.h"
#include "tests/testing/program.h"

namespace certcast::conformance {
namespace {

using OnCommand = std::function<void(Passage&, v1::Command&)>;
using OnReport = std::function<void(Passage&, v1::Report&)>;
using ResultChange = std::function<void(v1::InstallResult&)>;
using InventoryChange = std::function<void(v1::Inventory&)>;

Fault OfCommands(OnCommand on_command) {
  Fault fault;
  fault.on_command = std::move(on_command);
  return fault;
}

Fault OfReports(OnReport on_report) {
  Fault fault;
  fault.on_report = std::move(on_report);
  return fault;
}

// Of results of that outcome; "": of all.
Fault OfResults(const std::string& outcome, const ResultChange& change) {
  return OfReports([=](Passage&, v1::Report& report) {
    if (report.has_install_result() && absl::StartsWith(OutcomeIn(report), outcome)) {
      change(*report.mutable_install_result());
    }
  });
}

Fault OfInventories(const InventoryChange& change) {
  return OfReports([=](Passage&, v1::Report& report) {
    if (report.has_inventory()) change(*report.mutable_inventory());
  });
}

void CallIt(v1::InstallResult& result, v1::Outcome::Code outcome) {
  result.set_outcome(outcome);
  result.clear_failure();
}

// Each command gets an id that the right node has not seen, and each report its old one back.
Fault ForgetsIds() {
  Fault fault;
  fault.on_command = [](Passage& passage, v1::Command& command) {
    const std::string fresh = absl::StrCat("fresh-", getpid(), "-", passage.ids.size());
    passage.ids[fresh] = command.id();
    command.set_id(fresh);
  };
  fault.on_report = [](Passage& passage, v1::Report& report) {
    report.set_command_id(passage.ids[report.command_id()]);
  };
  return fault;
}

// What has gone back may not be tried again.
Fault NeverAgain() {
  Fault fault;
  fault.on_report = [](Passage& passage, v1::Report& report) {
    if (absl::StartsWith(OutcomeIn(report), "REVERTED"))
      passage.seen.insert(absl::StrCat(report.install_result().generation()));
  };
  fault.on_command = [](Passage& passage, v1::Command& command) {
    if (passage.seen.contains(absl::StrCat(ManifestIn(command).generation())))
      command.mutable_install()->mutable_bundle()->clear_signature();
  };
  return fault;
}

// BUSY becomes a yes.
Fault IsNeverBusy() {
  return OfReports([](Passage&, v1::Report& report) {
    if (report.refusal().failure().reason() == v1::Reason::BUSY)
      report.mutable_install_result()->set_outcome(v1::Outcome::INSTALLED);
  });
}

Faults OfTheLink() {
  Faults faults;
  faults["hello-with-id"] = OfReports([](Passage&, v1::Report& report) {
    if (report.has_hello()) report.set_command_id("hello");
  });
  faults["answers-late"].swaps_answers = true;
  faults["answers-garbage"].answers_garbage = true;
  faults["forgets-ids"] = ForgetsIds();
  faults["guesses-commands"] = OfCommands([](Passage&, v1::Command& command) {
    if (command.body_case() == v1::Command::BODY_NOT_SET) command.mutable_describe();
  });
  faults["refuses-unknown-fields"] = OfCommands([](Passage&, v1::Command& command) {
    if (!command.GetReflection()->GetUnknownFields(command).empty()) command.clear_body();
  });
  faults["takes-definitions"] = OfCommands([](Passage&, v1::Command& command) { command.clear_definition(); });
  faults["takes-long-messages"] = OfCommands([](Passage&, v1::Command& command) {
    if (command.ByteSizeLong() > 1u << 20) command.mutable_install()->mutable_bundle()->clear_fullchain_pem();
  });
  faults["takes-any-epoch"] = OfCommands([](Passage&, v1::Command& command) { command.set_epoch(uint64_t{1} << 40); });
  faults["always-says-progress"] = OfCommands([](Passage&, v1::Command& command) { command.clear_without_progress(); });
  faults["never-busy"] = IsNeverBusy();
  faults["speaks-plaintext"].speaks_plaintext = true;
  return faults;
}

Faults OfDefinitions() {
  Faults faults;
  faults["needs-no-definition"] = OfCommands([](Passage& passage, v1::Command& command) {
    if (passage.seen.insert("told").second && !command.has_definition())
      *command.mutable_definition() = passage.site.Definition();
  });
  faults["wants-it-once"] = OfCommands([](Passage& passage, v1::Command& command) {
    if (command.has_definition() && !passage.seen.insert("told").second) command.mutable_definition()->set_keep(9);
  });
  faults["knows-better"] = OfCommands([](Passage& passage, v1::Command& command) {
    if (command.has_definition()) *command.mutable_definition() = passage.site.Definition();
  });
  return faults;
}

Faults OfInventory() {
  Faults faults;
  faults["clock-of-1970"] = OfInventories([](v1::Inventory& inventory) { inventory.clear_clock(); });
  faults["probes-nothing"] = OfInventories([](v1::Inventory& inventory) { inventory.clear_probes(); });
  faults["hides-the-way-back"] = OfInventories([](v1::Inventory& inventory) {
    for (auto& certificate : *inventory.mutable_certificates()) certificate.clear_previous_generation();
  });
  faults["hides-drift"] = OfInventories([](v1::Inventory& inventory) {
    for (auto& service : *inventory.mutable_services()) service.clear_drift();
  });
  faults["hides-obstacles"] = OfInventories([](v1::Inventory& inventory) {
    for (auto& service : *inventory.mutable_services()) service.clear_obstacles();
  });
  faults["hides-the-place"] = OfInventories([](v1::Inventory& inventory) { inventory.clear_http_challenge(); });
  return faults;
}

Faults OfResult() {
  Faults faults;
  faults["installs-whatever"] =
      OfResults("FAILED", [](v1::InstallResult& result) { CallIt(result, v1::Outcome::INSTALLED); });
  faults["calls-it-installed"] =
      OfResults("REVERTED", [](v1::InstallResult& result) { CallIt(result, v1::Outcome::INSTALLED); });
  faults["calls-it-unchanged"] =
      OfResults("REVERTED ROLLOUT_HALTED", [](v1::InstallResult& result) { CallIt(result, v1::Outcome::UNCHANGED); });
  faults["never-unchanged"] =
      OfResults("UNCHANGED", [](v1::InstallResult& result) { CallIt(result, v1::Outcome::INSTALLED); });
  faults["confirms-anything"] =
      OfResults("FAILED STALE_COMMAND", [](v1::InstallResult& result) { CallIt(result, v1::Outcome::INSTALLED); });
  faults["gives-no-reason"] = OfResults("", [](v1::InstallResult& result) {
    if (result.has_failure()) result.mutable_failure()->clear_reason();
  });
  faults["all-is-malformed"] = OfResults(
      "FAILED", [](v1::InstallResult& result) { result.mutable_failure()->set_reason(v1::Reason::MALFORMED); });
  faults["blames-the-probe"] = OfResults("", [](v1::InstallResult& result) {
    const v1::Reason::Code reason = result.failure().reason();
    if (reason == v1::Reason::RELOAD_FAILED || reason == v1::Reason::REVERT_FAILED)
      result.mutable_failure()->set_reason(v1::Reason::PROBE_FAILED);
  });
  faults["all-has-expired"] = OfResults(
      "FAILED MALFORMED", [](v1::InstallResult& result) { result.mutable_failure()->set_reason(v1::Reason::EXPIRED); });
  faults["made-up-fingerprint"] = OfResults("", [](v1::InstallResult& result) {
    for (auto& probe : *result.mutable_probes()) probe.set_served_sha256("00");
  });
  faults["skips-a-step"] = OfResults("INSTALLED", [](v1::InstallResult& result) {
    if (!result.steps().empty()) result.mutable_steps()->RemoveLast();
  });
  faults["quotes-at-length"] = OfResults("REVERTED CHECK_FAILED", [](v1::InstallResult& result) {
    result.mutable_failure()->mutable_stderr()->insert(0, std::string(5000, 'x'));
  });
  faults["quotes-the-beginning"] = OfResults("REVERTED CHECK_FAILED", [](v1::InstallResult& result) {
    result.mutable_failure()->mutable_stderr()->resize(10);
  });
  faults["dislikes-words"] = OfReports([](Passage& passage, v1::Report& report) {
    const bool many =
        absl::StrContains(testing::ReadFile(passage.site.service().folder() + "/check"), StandIn::kLastWords);
    if (many && OutcomeIn(report) == "INSTALLED") report.mutable_install_result()->set_outcome(v1::Outcome::REVERTED);
  });
  faults["never-again"] = NeverAgain();
  return faults;
}

}  // namespace

std::string OutcomeIn(const v1::Report& report) {
  if (!report.has_install_result()) return "";
  const v1::InstallResult& result = report.install_result();
  return absl::StrCat(v1::Outcome::Code_Name(result.outcome()),
                      result.has_failure() ? " " + v1::Reason::Code_Name(result.failure().reason()) : "");
}

v1::Manifest ManifestIn(const v1::Command& command) {
  v1::Manifest manifest;
  if (!manifest.ParseFromString(command.install().bundle().manifest())) manifest.Clear();
  return manifest;
}

Faults MessageFaults() {
  Faults faults = OfTheLink();
  faults.merge(OfDefinitions());
  faults.merge(OfInventory());
  faults.merge(OfResult());
  return faults;
}

}  // namespace certcast::conformance
