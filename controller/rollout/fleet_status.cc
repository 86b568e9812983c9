#include "controller/rollout/fleet_status.h"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/rollout/node_session.h"
#include "controller/rollout/worker_threads.h"

namespace certcast::controller {
namespace {

using Row = v1::StatusResponse::Node;

struct Answer {
  absl::StatusOr<v1::Inventory> inventory;
  // It said no, or something else than what it was asked for; otherwise it could not be asked.
  bool refused = false;
  absl::Time at;
};

absl::StatusOr<v1::Inventory> AskNode(Link& link, const NodeConfig& node, const std::string& command_id,
                                      const FleetStatusOptions& options) {
  v1::Command command;
  command.set_id(command_id);
  command.set_epoch(options.epoch);
  command.set_without_progress(true);
  command.mutable_probe();
  ASSIGN_OR_RETURN(v1::Report report, link.Call(command, options.answer_timeout, nullptr));
  if (report.has_inventory()) return std::move(*report.mutable_inventory());
  return Fail(Reason::PROTOCOL, absl::StrCat("node ", node.name, " answered without an inventory"));
}

void Explain(Row& row, Row::State state, Reason::Code reason, absl::string_view detail) {
  row.set_state(state);
  row.set_reason(reason);
  row.set_detail(std::string(detail));
}

// Of the first file or handshake that is not what it should be; else of any.
std::string InstalledSha256(const v1::Inventory& inventory, const WantedCertificate& wanted) {
  std::string installed;
  for (const v1::Inventory::Service& service : inventory.services()) {
    if (service.certificate() != wanted.name) continue;
    installed = service.installed_sha256();
    if (installed != wanted.leaf_sha256) break;
  }
  return installed;
}

// The certificate's probes: those of its services.
std::vector<v1::ProbeResult> ProbesOf(const v1::Inventory& inventory, const std::string& certificate) {
  std::vector<v1::ProbeResult> probes;
  for (const v1::ProbeResult& probe : inventory.probes()) {
    if (!probe.certificate().empty() && probe.certificate() != certificate) continue;
    for (const v1::Inventory::Service& service : inventory.services()) {
      if (service.name() != probe.service() || service.certificate() != certificate) continue;
      probes.push_back(probe);
      break;
    }
  }
  return probes;
}

std::string ServedSha256(const std::vector<v1::ProbeResult>& probes, const std::string& wanted) {
  std::string served;
  for (const v1::ProbeResult& probe : probes) {
    if (probe.served_sha256().empty()) continue;
    served = probe.served_sha256();
    if (served != wanted) break;
  }
  return served;
}

// What is not as it was installed, on disk and on the wire; empty when all is.
std::string DriftOf(const v1::Inventory& inventory, const std::vector<v1::ProbeResult>& probes,
                    const WantedCertificate& wanted) {
  std::vector<std::string> drift;
  for (const v1::Inventory::Service& service : inventory.services()) {
    if (service.certificate() != wanted.name) continue;
    if (service.installed_sha256() != wanted.leaf_sha256) {
      drift.push_back(absl::StrCat(service.name(), ": its files hold ",
                                   service.installed_sha256().empty() ? "no certificate" : service.installed_sha256()));
    }
    for (const std::string& line : service.drift()) drift.push_back(absl::StrCat(service.name(), ": ", line));
  }
  for (const v1::ProbeResult& probe : probes) {
    if (!probe.served_sha256().empty() && probe.served_sha256() != wanted.leaf_sha256) {
      drift.push_back(absl::StrCat(probe.service(), ": ", probe.probe(), " serves ", probe.served_sha256()));
    } else if (!probe.ok()) {
      drift.push_back(
          absl::StrCat(probe.service(), ": ", probe.probe(), ": ", probe.detail().empty() ? "failed" : probe.detail()));
    }
  }
  return absl::StrJoin(drift, "; ");
}

// By node: what the last rollout of this generation left there, where that was the node's own failure.
using Failures = absl::flat_hash_map<absl::string_view, const v1::Rollout::Node*>;

Failures OwnFailures(const WantedCertificate& wanted) {
  Failures failures;
  if (wanted.latest_rollout == nullptr || wanted.latest_rollout->generation() != wanted.generation) return failures;
  for (const state::v1::Rollout::Node& of : wanted.latest_rollout->nodes()) {
    const v1::Rollout::Node& result = of.result();
    const bool failed = result.outcome() == v1::Outcome::FAILED || result.outcome() == v1::Outcome::REVERTED;
    if (failed && result.reason() != Reason::ROLLOUT_HALTED) failures.emplace(result.name(), &result);
  }
  return failures;
}

void ExplainAbsence(Row& row, const Failures& failures, absl::string_view detail) {
  if (const auto failure = failures.find(row.name()); failure != failures.end()) {
    // It is asked again when the rollout goes on.
    const bool inconclusive = failure->second->reason() == Reason::PROBE_INCONCLUSIVE;
    return Explain(row, inconclusive ? Row::PENDING : Row::FAILED, failure->second->reason(),
                   failure->second->detail());
  }
  Explain(row, Row::PENDING, Reason::REASON_UNSPECIFIED, detail);
}

void Judge(const v1::Inventory& inventory, const WantedCertificate& wanted, const Failures& failures, Row& row) {
  const auto services = [&](const v1::Inventory::Service& service) { return service.certificate() == wanted.name; };
  if (std::none_of(inventory.services().begin(), inventory.services().end(), services)) {
    return Explain(row, Row::FAILED, Reason::NOT_DECLARED,
                   absl::StrCat("no service of the node uses certificate ", wanted.name));
  }
  const std::vector<v1::ProbeResult> probes = ProbesOf(inventory, wanted.name);
  row.set_installed_sha256(InstalledSha256(inventory, wanted));
  row.set_served_sha256(ServedSha256(probes, wanted.leaf_sha256));

  v1::Inventory::Certificate has;
  for (const v1::Inventory::Certificate& certificate : inventory.certificates()) {
    if (certificate.name() == wanted.name) has = certificate;
  }
  row.set_generation(has.generation());
  if (has.has_in_force_since()) *row.mutable_since() = has.in_force_since();
  if (wanted.generation == 0) {
    return Explain(row, Row::PENDING, Reason::REASON_UNSPECIFIED, "nothing has been issued or imported yet");
  }
  if (has.generation() > wanted.generation) {
    return Explain(row, Row::DRIFTED, Reason::DOWNGRADE,
                   absl::StrCat("has generation ", has.generation(), ", which this controller has not made"));
  }
  if (has.generation() < wanted.generation) {
    return ExplainAbsence(row, failures, has.generation() == 0 ? "has none yet" : "");
  }
  if (!has.confirmed()) {
    return has.has_confirm_by() ? Explain(row, Row::PENDING, Reason::NOT_CONFIRMED, "waits for Confirm, else goes back")
                                : Explain(row, Row::DRIFTED, Reason::NOT_CONFIRMED,
                                          "was not confirmed, and stays since there was nothing good to go back to");
  }
  if (has.leaf_sha256() != wanted.leaf_sha256) {
    return Explain(row, Row::DRIFTED, Reason::FINGERPRINT_MISMATCH,
                   absl::StrCat("its generation ", has.generation(), " is ", has.leaf_sha256()));
  }
  const std::string drift = DriftOf(inventory, probes, wanted);
  if (drift.empty()) return row.set_state(Row::CONVERGED);
  Explain(row, Row::DRIFTED, Reason::REASON_UNSPECIFIED, drift);
}

void ExplainSilence(const Answer& answer, Row& row) {
  const v1::Failure failure = FailureOf(answer.inventory.status());
  Explain(row, answer.refused ? Row::FAILED : Row::UNREACHABLE, failure.reason(),
          failure.hint().empty() ? failure.detail() : absl::StrCat(failure.detail(), " (", failure.hint(), ")"));
}

// Command ids must not repeat between calls: a node answers a repeated one from its record.
std::string FreshPrefix(Clock& clock) {
  return absl::StrCat("status-", absl::Hex(std::random_device()()), "-", absl::Hex(absl::ToUnixNanos(clock.Now())),
                      "-");
}

}  // namespace

FleetStatus AskFleet(const std::vector<WantedCertificate>& wanted, Transport& transport, Clock& clock,
                     const FleetStatusOptions& options) {
  std::vector<const NodeConfig*> nodes;
  std::map<std::string, size_t> places;
  for (const WantedCertificate& certificate : wanted) {
    for (const NodeConfig* node : certificate.nodes) {
      if (places.emplace(node->name, nodes.size()).second) nodes.push_back(node);
    }
  }
  std::vector<Answer> answers(nodes.size());
  const std::string prefix = FreshPrefix(clock);
  if (options.on_begin) options.on_begin(nodes.size());
  ForEachAtOnce(nodes.size(), options.parallel, [&](size_t i) {
    Answer& answer = answers[i];
    const absl::StatusOr<std::unique_ptr<Link>> link = transport.Open(*nodes[i], options.connect_timeout);
    answer.inventory = link.ok() ? AskNode(**link, *nodes[i], absl::StrCat(prefix, i), options) : link.status();
    answer.refused = link.ok() && !answer.inventory.ok() && !IsUnanswered(answer.inventory.status());
    answer.at = clock.Now();
    if (options.on_answer) options.on_answer(nodes[i]->name, answer.inventory.ok());
  });

  FleetStatus status;
  for (const WantedCertificate& certificate : wanted) {
    const Failures failures = OwnFailures(certificate);
    for (const NodeConfig* node : certificate.nodes) {
      const Answer& answer = answers[places[node->name]];
      Row& row = status.rows.emplace_back();
      row.set_name(node->name);
      row.set_certificate(certificate.name);
      if (answer.inventory.ok()) {
        *row.mutable_last_seen() = ToTimestamp(answer.at);
        for (const v1::Inventory::Service& service : answer.inventory->services()) {
          if (service.certificate() == certificate.name) row.add_services(service.name());
        }
        Judge(*answer.inventory, certificate, failures, row);
      } else {
        const auto before = options.last_seen.find(node->name);
        if (before != options.last_seen.end()) *row.mutable_last_seen() = ToTimestamp(before->second);
        ExplainSilence(answer, row);
      }
      if (row.state() == Row::CONVERGED) ++status.converged;
    }
  }
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (answers[i].inventory.ok()) {
      status.seen.push_back({nodes[i]->name, *std::move(answers[i].inventory), answers[i].at});
    } else {
      status.silent.push_back({nodes[i]->name, answers[i].inventory.status(), answers[i].refused});
    }
  }
  return status;
}

}  // namespace certcast::controller
