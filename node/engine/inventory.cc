#include "node/engine/inventory.h"

#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "node/engine/activate.h"
#include "node/engine/clock_check.h"
#include "node/engine/content.h"
#include "node/engine/drift.h"
#include "node/engine/elapsed.h"
#include "node/engine/generation.h"
#include "node/engine/strangers.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

bool Awaits(const Journal& journal, absl::string_view certificate) {
  return journal.step() == Journal::AWAITING_CONFIRM && journal.certificate() == certificate;
}

GenerationOnDisk InForce(const EngineContext& engine, absl::string_view certificate) {
  const Journal journal = engine.journal->Get();
  return Awaits(journal, certificate) ? journal.target() : engine.state->Certificate(certificate).in_force();
}

v1::Inventory::Certificate DescribeCertificate(const EngineContext& engine, const std::string& name) {
  const Journal journal = engine.journal->Get();
  const NodeState::Certificate known = engine.state->Certificate(name);
  const bool awaits = Awaits(journal, name);
  const GenerationOnDisk in_force = awaits ? journal.target() : known.in_force();
  v1::Inventory::Certificate certificate;
  certificate.set_name(name);
  certificate.set_generation(in_force.generation());
  certificate.set_leaf_sha256(in_force.leaf_sha256());
  if (in_force.has_not_after()) *certificate.mutable_not_after() = in_force.not_after();
  certificate.set_confirmed(!awaits && !known.unconfirmed() && in_force.generation() > 0);
  if (awaits) {
    *certificate.mutable_confirm_by() = ToTimestamp(engine.clock().Now() + TimeLeftToConfirm(journal, engine.clock()));
  }
  certificate.set_highest_generation(known.highest_generation());
  certificate.set_previous_generation((awaits ? journal.baseline() : known.previous()).generation());
  if (in_force.has_in_force_since()) *certificate.mutable_in_force_since() = in_force.in_force_since();
  return certificate;
}

// A line for each file of the certificate that holds another leaf than `installed`, or can't be opened.
std::vector<std::string> FindOtherLeaves(const EngineContext& engine, const Service& service,
                                         absl::string_view certificate, const std::string& installed) {
  std::vector<std::string> lines;
  for (const ServiceFile* file : service.FilesOf(certificate)) {
    const auto found = ReadDeclared(engine, service, *file);
    if (!found.ok() || !found->has_value()) continue;
    const std::optional<Certificate> leaf = LeafIn(*file, (*found)->bytes.ExposeSecret());
    if (!leaf.has_value() && file->content == FileContent::kPkcs12) {
      lines.push_back(
          absl::StrCat(file->path, ": does not open with the password that ", engine.config.file(), " names"));
    } else if (leaf.has_value() && leaf->sha256() != installed) {
      lines.push_back(absl::StrCat(file->path, ": holds ", leaf->sha256(), ", other files of the service ", installed));
    }
  }
  return lines;
}

std::string LineOf(const absl::Status& status) {
  const v1::Failure failure = FailureOf(status);
  return failure.hint().empty() ? failure.detail() : absl::StrCat(failure.detail(), " (", failure.hint(), ")");
}

// A line for each directory where others may put files of theirs.
std::vector<std::string> FindStrangers(const EngineContext& engine, const Service& service,
                                       absl::string_view certificate, const GenerationRecord& record) {
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const ServiceFile* file : service.FilesOf(certificate)) {
    const absl::StatusOr<PathParts> parts = SplitPath(file->path);
    if (!parts.ok() || !seen.insert(parts->directory).second) continue;
    const absl::Status alone = CheckNoStranger(engine, file->path, service, record);
    if (ReasonOf(alone) == Reason::PERMISSION_DENIED) lines.push_back(LineOf(alone));
  }
  return lines;
}

// What an install would be refused for. A link that is there stays as it is, so nothing is asked of its directory.
std::vector<std::string> FindObstacles(const EngineContext& engine, const Service& service,
                                       absl::string_view certificate, const GenerationRecord* record) {
  std::vector<std::string> lines;
  for (const ServiceFile* declared : service.FilesOf(certificate)) {
    const ServiceFile& file = *declared;
    const absl::StatusOr<bool> linked = IsOurLink(engine, service, file);
    if (linked.ok() && *linked && file.install == FileInstall::kLink) continue;
    absl::Status usable = linked.status();
    // Whose the service's files are to be is only known once they were installed.
    if (usable.ok() && record != nullptr) usable = CheckNoStranger(engine, file.path, service, *record);
    if (usable.ok()) usable = CheckCouldReplace(engine, file);
    if (!usable.ok()) lines.push_back(LineOf(usable));
  }
  return lines;
}

v1::Inventory::Service DescribeService(const EngineContext& engine, const Service& service,
                                       const std::string& certificate) {
  v1::Inventory::Service entry;
  entry.set_name(service.name);
  entry.set_certificate(certificate);
  entry.set_disruptive(service.reload.is_disruptive());
  std::optional<GenerationRecord> installed;
  entry.set_installed_sha256(ReadInstalledLeaf(engine, service, certificate));
  std::vector<std::string> lines = FindOtherLeaves(engine, service, certificate, entry.installed_sha256());
  const GenerationOnDisk in_force = InForce(engine, certificate);
  if (!in_force.directory().empty()) {
    const absl::StatusOr<std::string> current = CurrentDirectory(engine, certificate);
    if (!current.ok()) {
      lines.emplace_back(current.status().message());
    } else if (*current != in_force.directory() && engine.journal->Get().certificate() != certificate) {
      lines.push_back(absl::StrCat(engine.layout.Certificate(certificate), "/", kCurrentLink, ": leads to ",
                                   current->empty() ? "nothing" : *current, ", not ", in_force.directory()));
    }
    const absl::StatusOr<GenerationRecord> record = ReadRecord(engine, certificate, in_force.directory());
    if (!record.ok()) {
      lines.emplace_back(record.status().message());
    } else {
      const std::vector<std::string> drift = FindDrift(engine, service, certificate, *record);
      lines.insert(lines.end(), drift.begin(), drift.end());
      const std::vector<std::string> strangers = FindStrangers(engine, service, certificate, *record);
      lines.insert(lines.end(), strangers.begin(), strangers.end());
      installed = *record;
    }
  }
  for (std::string& line : FindObstacles(engine, service, certificate, installed.has_value() ? &*installed : nullptr)) {
    *entry.add_obstacles() = std::move(line);
  }
  for (std::string& line : lines) *entry.add_drift() = std::move(line);
  return entry;
}

}  // namespace

v1::Inventory TakeInventory(const EngineContext& engine) {
  v1::Inventory inventory;
  inventory.set_node(engine.config.node);
  inventory.set_version(engine.config.version);
  if (engine.config.fleet.has_value()) inventory.set_fleet_id(engine.config.fleet->id);
  *inventory.mutable_clock() = ToTimestamp(engine.clock().Now());
  std::set<std::string> certificates;
  for (const Service& service : engine.config.services) {
    for (const std::string& certificate : service.Certificates()) {
      certificates.insert(certificate);
      *inventory.add_services() = DescribeService(engine, service, certificate);
    }
  }
  for (const std::string& name : certificates) *inventory.add_certificates() = DescribeCertificate(engine, name);
  for (const std::string& name : engine.config.allow_names) inventory.add_allow_names(name);
  inventory.set_http_challenge(engine.config.http_challenge.ToString());
  const auto state = engine.files().OpenDirectory(engine.layout.state());
  if (state.ok()) inventory.set_free_bytes((*state)->FreeBytes().value_or(0));
  if (engine.config.identity_not_after.has_value()) {
    *inventory.mutable_identity_not_after() = ToTimestamp(*engine.config.identity_not_after);
  }
  if (const absl::Status clock = CheckClock(engine); !clock.ok()) {
    *inventory.mutable_clock_failure() = FailureOf(clock);
  }
  return inventory;
}

std::vector<Expectation> ExpectedNow(const EngineContext& engine, absl::string_view certificate) {
  std::vector<Expectation> expectations;
  for (const Service& service : engine.config.services) {
    for (const std::string& name : service.Certificates()) {
      if (!certificate.empty() && name != certificate) continue;
      const GenerationOnDisk in_force = InForce(engine, name);
      const absl::StatusOr<GenerationRecord> record =
          in_force.directory().empty() ? absl::NotFoundError("") : ReadRecord(engine, name, in_force.directory());
      Expectation& expectation = expectations.emplace_back();
      expectation.service = &service;
      expectation.certificate = name;
      expectation.leaf_sha256 = record.ok() ? LeafOf(*record, service) : in_force.leaf_sha256();
      if (record.ok()) expectation.chain_sha256 = ChainOf(*record, service);
    }
  }
  return expectations;
}

}  // namespace certcast::node
