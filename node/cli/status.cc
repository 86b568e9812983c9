// status: what the node has, from its disk; no lock is taken, so it works beside a running agent.
#include "common/status/status.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/file/file_system.h"
#include "google/protobuf/util/json_util.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"
#include "node/hosted/hosted_engine.h"

namespace certcast::node {
namespace {

using google::protobuf::Timestamp;

absl::StatusOr<std::unique_ptr<Engine>> OpenToLook(const std::string& config_path, const std::string& state) {
  if (!state.empty()) {
    ASSIGN_OR_RETURN(const std::unique_ptr<EngineSource> source, MakeKeptSource(FileSystem::Real(), state));
    if (source != nullptr) return source->OpenReadOnly(RealEnvironment());
    return FailInput(absl::StrCat(state, " keeps no definition: no controller has been here over SSH"));
  }
  ASSIGN_OR_RETURN(const Setup setup, ReadSetup(config_path));
  if (!setup.identity_status.ok() && ReasonOf(setup.identity_status) != Reason::NOT_ENROLLED) {
    ReportError(setup.identity_status);
  }
  return Engine::OpenReadOnly(setup.MakeEngineConfig(), RealEnvironment());
}

absl::StatusOr<v1::Inventory> ReadInventory(const std::string& config_path, const StatusOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, OpenToLook(config_path, options.state));
  v1::Command command;
  command.set_id("status");
  if (options.probe) {
    command.mutable_probe();
  } else {
    command.mutable_describe();
  }
  v1::Report report = engine->Handle(command, [](const v1::Progress&) {});
  if (report.has_refusal()) return StatusOf(report.refusal().failure());
  return report.inventory();
}

std::string Show(const Timestamp& time) {
  return time.seconds() == 0 ? "-" : ShowTime(absl::FromUnixSeconds(time.seconds()));
}

// Enough to compare by eye; -o json has all of it.
std::string ShowFingerprint(const std::string& sha256) {
  return sha256.empty() ? "-" : sha256.substr(0, 16);
}

void PrintRows(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&line, row[i], i + 1 == row.size() ? "" : std::string(widths[i] - row[i].size() + 2, ' '));
    }
    std::cout << line << "\n";
  }
}

std::string ShowState(const v1::Inventory::Certificate& certificate) {
  if (certificate.has_confirm_by()) return absl::StrCat("to confirm by ", Show(certificate.confirm_by()));
  if (certificate.generation() != 0) return "confirmed";
  return certificate.leaf_sha256().empty() ? "nothing yet" : "from before this fleet";
}

void PrintTables(const v1::Inventory& inventory) {
  std::cout << inventory.node() << ", "
            << (inventory.fleet_id().empty() ? "not enrolled" : absl::StrCat("fleet ", inventory.fleet_id()));
  // A host that is logged in to has none.
  if (inventory.has_identity_not_after()) std::cout << ", identity until " << Show(inventory.identity_not_after());
  std::cout << "\n\n";
  if (inventory.has_clock_failure()) {
    std::cout << "NOTHING IS INSTALLED: " << ReasonName(inventory.clock_failure().reason()) << ": "
              << inventory.clock_failure().detail() << "\n  hint: " << inventory.clock_failure().hint() << "\n\n";
  }
  std::vector<std::vector<std::string>> certificates = {
      {"CERTIFICATE", "GENERATION", "STATE", "IN FORCE SINCE", "EXPIRES", "FINGERPRINT"}};
  for (const auto& one : inventory.certificates()) {
    certificates.push_back({one.name(), absl::StrCat(one.generation()), ShowState(one), Show(one.in_force_since()),
                            Show(one.not_after()), ShowFingerprint(one.leaf_sha256())});
  }
  PrintRows(certificates);
  std::vector<std::vector<std::string>> services = {{"SERVICE", "CERTIFICATE", "INSTALLED", "DRIFT"}};
  for (const auto& one : inventory.services()) {
    services.push_back({one.name(), one.certificate(), ShowFingerprint(one.installed_sha256()),
                        one.drift().empty() ? "none" : one.drift(0)});
    for (int i = 1; i < one.drift_size(); ++i) services.push_back({"", "", "", one.drift(i)});
  }
  std::cout << "\n";
  PrintRows(services);
  if (inventory.probes().empty()) return;
  std::vector<std::vector<std::string>> probes = {{"SERVICE", "PROBE", "SERVED", "RESULT"}};
  for (const auto& one : inventory.probes()) {
    probes.push_back({one.service(), one.probe(), ShowFingerprint(one.served_sha256()),
                      one.ok() ? "ok" : absl::StrCat("FAILED: ", one.detail())});
  }
  std::cout << "\n";
  PrintRows(probes);
}

}  // namespace

int ShowStatus(const std::string& config_path, const StatusOptions& options) {
  absl::StatusOr<v1::Inventory> inventory = ReadInventory(config_path, options);
  if (!inventory.ok()) return ReportError(inventory.status());
  if (options.json) {
    google::protobuf::util::JsonPrintOptions print;
    print.add_whitespace = true;
    print.always_print_primitive_fields = true;
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(*inventory, &json, print).ok()) {
      return ReportError(Fail(Reason::PROTOCOL, "the inventory can't be written as JSON"));
    }
    std::cout << json << std::flush;
  } else {
    PrintTables(*inventory);
    std::cout << std::flush;
  }
  const bool bad_probe = std::any_of(inventory->probes().begin(), inventory->probes().end(),
                                     [](const v1::ProbeResult& probe) { return !probe.ok(); });
  return bad_probe ? kFailed : kDone;
}

}  // namespace certcast::node
