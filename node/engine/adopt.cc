#include "node/engine/adopt.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "google/protobuf/util/time_util.h"
#include "node/engine/activate.h"
#include "node/engine/content.h"
#include "node/engine/drift.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

using Services = std::vector<const Service*>;

// Whether the record has each file as what it is declared to be, a link or a copy.
bool AreInstalledAsDeclared(const Service& service, const GenerationRecord& record) {
  for (const GenerationRecord::Service& entry : record.services()) {
    if (entry.name() != service.name) continue;
    for (const GenerationRecord::File& file : entry.files()) {
      for (const ServiceFile& declared : service.files) {
        if (declared.path == file.path() && file.copied() != (declared.install == FileInstall::kCopy)) return false;
      }
    }
  }
  return true;
}

// Whether every path is certcast's link, or copy, and reads as the record of the generation in force says.
absl::StatusOr<bool> ReadsAsInForce(const EngineContext& engine, absl::string_view certificate,
                                    const GenerationOnDisk& in_force) {
  ASSIGN_OR_RETURN(const std::string current, CurrentDirectory(engine, certificate));
  if (current.empty() || current != in_force.directory()) return false;
  const absl::StatusOr<GenerationRecord> record = ReadRecord(engine, certificate, current);
  if (absl::IsNotFound(record.status())) return false;
  if (!record.ok()) return record.status();
  for (const Service* service : engine.ServicesOf(certificate)) {
    for (const ServiceFile* file : service->FilesOf(certificate)) {
      if (file->install == FileInstall::kCopy) continue;
      ASSIGN_OR_RETURN(const bool linked, IsOurLink(engine, *service, *file));
      if (!linked) return false;
    }
    if (!AreInstalledAsDeclared(*service, *record)) return false;
    if (!FindDrift(engine, *service, certificate, *record).empty()) return false;
  }
  return true;
}

// The generation in force, as it was installed; empty when there is none, or its record can't be read.
GenerationRecord RecordInForce(const EngineContext& engine, absl::string_view certificate) {
  const std::string directory = engine.state->Certificate(certificate).in_force().directory();
  if (directory.empty()) return {};
  return ReadRecord(engine, certificate, directory).value_or(GenerationRecord());
}

// What reads as the record says was installed by certcast, and goes back to how it was installed: a key that somebody
// opened to others meanwhile stays open nowhere.
void RestoreAttributes(const GenerationRecord& record, GenerationFile& copy) {
  for (const GenerationRecord::Service& service : record.services()) {
    if (service.name() != copy.service->name) continue;
    for (const GenerationRecord::File& file : service.files()) {
      if (file.path() != copy.file->path || file.sha256() != Sha256Hex(copy.bytes->ExposeSecret())) continue;
      copy.attributes = AttributesOf(file);
    }
  }
}

absl::StatusOr<std::vector<GenerationFile>> ReadWhatIsThere(const EngineContext& engine, const Services& services,
                                                            absl::string_view certificate) {
  const GenerationRecord in_force = RecordInForce(engine, certificate);
  std::vector<GenerationFile> files;
  for (const Service* service : services) {
    for (const ServiceFile* file : service->FilesOf(certificate)) {
      ASSIGN_OR_RETURN(std::optional<FoundFile> found, ReadDeclared(engine, *service, *file));
      GenerationFile& copy = files.emplace_back();
      copy.service = service;
      copy.file = file;
      if (!found.has_value()) continue;
      copy.bytes = std::move(found->bytes);
      copy.attributes = found->attributes;
      RestoreAttributes(in_force, copy);
    }
  }
  return files;
}

// From the first file of each service that holds a certificate, and the first that holds a chain.
void FillInLeaves(const std::vector<GenerationFile>& files, GenerationRecord& record) {
  for (GenerationRecord::Service& service : *record.mutable_services()) {
    for (const GenerationFile& file : files) {
      if (file.service->name != service.name() || !file.bytes.has_value() || !service.leaf_sha256().empty()) continue;
      const std::optional<Certificate> leaf = LeafIn(*file.file, file.bytes->ExposeSecret());
      if (!leaf.has_value()) continue;
      service.set_leaf_sha256(leaf->sha256());
      *service.mutable_not_after() =
          google::protobuf::util::TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(leaf->not_after()));
    }
    for (const GenerationFile& file : files) {
      if (file.service->name != service.name() || !file.bytes.has_value() || !service.chain_sha256().empty()) continue;
      for (const Certificate& certificate : ChainIn(file.file->content, file.bytes->ExposeSecret())) {
        service.add_chain_sha256(certificate.sha256());
      }
    }
  }
}

absl::Status LinkTo(const EngineContext& engine, const std::string& path, const std::string& target) {
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, engine.files().OpenDirectory(parts.directory));
  return ReplaceLink(*directory, parts.name, target);
}

// Step 2.
absl::Status LeadStaleLinksIntoCopy(const EngineContext& engine, absl::string_view certificate,
                                    absl::string_view directory, const std::vector<GenerationFile>& files) {
  const std::string ours = absl::StrCat(engine.layout.state(), "/certificates/");
  for (const GenerationFile& file : files) {
    ASSIGN_OR_RETURN(const VisiblePath found, LookAt(engine.files(), file.file->path));
    if (found.kind != VisiblePath::Kind::kLink || !absl::StartsWith(found.target, ours)) continue;
    if (!file.bytes.has_value() || found.target == engine.layout.LinkTarget(*file.service, *file.file)) continue;
    RETURN_IF_ERROR(LinkTo(engine, file.file->path,
                           absl::StrCat(engine.layout.Generation(certificate, directory), "/", file.service->name, "/",
                                        FileNameOf(*file.service, *file.file))));
  }
  return absl::OkStatus();
}

// In place of a link, what it led to. A file stays; where nothing is, the switch makes the copy.
absl::Status UnlinkPath(const EngineContext& engine, const GenerationFile& file) {
  ASSIGN_OR_RETURN(const VisiblePath found, LookAt(engine.files(), file.file->path));
  if (found.kind != VisiblePath::Kind::kLink || !file.bytes.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(file.file->path));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, engine.files().OpenDirectory(parts.directory));
  return ReplaceFile(*directory, parts.name, file.bytes->ExposeSecret(), file.attributes);
}

// Step 4, for one path. What is there is replaced only as long as it is still what was copied.
absl::Status PutPathInPlace(const EngineContext& engine, const GenerationFile& file) {
  const std::string& path = file.file->path;
  const bool is_copy = file.file->install == FileInstall::kCopy;
  ASSIGN_OR_RETURN(const bool linked, IsOurLink(engine, *file.service, *file.file));
  if (linked && !is_copy) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<FoundFile> now, ReadDeclared(engine, *file.service, *file.file));
  if (now.has_value() != file.bytes.has_value() || (now.has_value() && !now->bytes.Equals(*file.bytes))) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(path, " was changed by something else while it was taken over"),
                "stop whatever else writes certificates there (a cron job, certbot, Ansible), then try again");
  }
  if (is_copy) return UnlinkPath(engine, file);
  return LinkTo(engine, path, engine.layout.LinkTarget(*file.service, *file.file));
}

// The link that certcast made for a file of that record.
std::string LinkTargetOf(const EngineContext& engine, absl::string_view certificate,
                         const GenerationRecord::Service& service, const GenerationRecord::File& file) {
  return absl::StrCat(engine.layout.Certificate(certificate), "/", kCurrentLink, "/", service.name(), "/", file.name());
}

bool IsDeclared(const Services& services, absl::string_view certificate, absl::string_view path) {
  for (const Service* service : services) {
    for (const ServiceFile* file : service->FilesOf(certificate)) {
      if (file->path == path) return true;
    }
  }
  return false;
}

// One look that fails is no proof that it can't be seen.
absl::StatusOr<VisiblePath> LookTwice(FileSystem& files, const std::string& path) {
  absl::StatusOr<VisiblePath> found = LookAt(files, path);
  return found.ok() ? std::move(found) : LookAt(files, path);
}

absl::Status Unseen(const absl::Status& why, const std::string& path) {
  return Annotate(why, absl::StrCat("certcast's link at ", path,
                                    ", which no service has any more, leads nowhere now, if it is still there"));
}

absl::Status FindUndeclared(const EngineContext& engine, absl::string_view certificate, Baseline& baseline) {
  ASSIGN_OR_RETURN(const std::string current, CurrentDirectory(engine, certificate));
  if (current.empty()) return absl::OkStatus();
  const absl::StatusOr<GenerationRecord> record = ReadRecord(engine, certificate, current);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  if (!record.ok()) return record.status();
  const Services services = engine.ServicesOf(certificate);
  for (const GenerationRecord::Service& service : record->services()) {
    for (const GenerationRecord::File& file : service.files()) {
      if (IsDeclared(services, certificate, file.path())) continue;
      const absl::StatusOr<VisiblePath> found = LookTwice(engine.files(), file.path());
      if (absl::IsUnavailable(found.status())) return found.status();
      if (!found.ok()) {
        baseline.unseen = KeepFirst(std::move(baseline.unseen), Unseen(found.status(), file.path()));
        continue;
      }
      if (found->kind == VisiblePath::Kind::kLink &&
          found->target == LinkTargetOf(engine, certificate, service, file)) {
        baseline.undeclared.push_back({file.path(), found->target});
      }
    }
  }
  return absl::OkStatus();
}

absl::Status RemoveLink(const EngineContext& engine, const std::string& path, const std::string& target) {
  ASSIGN_OR_RETURN(const VisiblePath found, LookAt(engine.files(), path));
  if (found.kind != VisiblePath::Kind::kLink || found.target != target) return absl::OkStatus();
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(path));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, engine.files().OpenDirectory(parts.directory));
  RETURN_IF_ERROR(directory->Remove(parts.name));
  return directory->Sync();
}

}  // namespace

absl::StatusOr<Baseline> PlanBaseline(const EngineContext& engine, absl::string_view certificate,
                                      absl::string_view target) {
  const NodeState::Certificate known = engine.state->Certificate(certificate);
  ASSIGN_OR_RETURN(const bool as_in_force, ReadsAsInForce(engine, certificate, known.in_force()));
  Baseline baseline;
  RETURN_IF_ERROR(FindUndeclared(engine, certificate, baseline));
  baseline.generation = known.in_force();
  if (as_in_force) return baseline;
  baseline.needs_copy = true;
  baseline.generation.Clear();
  baseline.generation.set_generation(known.in_force().generation());
  ASSIGN_OR_RETURN(std::string directory, NewDirectoryName(engine, certificate, known.in_force().generation(), target));
  baseline.generation.set_directory(std::move(directory));
  return baseline;
}

absl::StatusOr<GenerationOnDisk> AdoptWhatIsThere(const EngineContext& engine, absl::string_view certificate,
                                                  const GenerationOnDisk& baseline) {
  const Services services = engine.ServicesOf(certificate);
  const std::string& directory = baseline.directory();
  ASSIGN_OR_RETURN(const std::vector<GenerationFile> files, ReadWhatIsThere(engine, services, certificate));
  GenerationRecord record = RecordOf(baseline.generation(), services, files);
  FillInLeaves(files, record);
  RETURN_IF_ERROR(WriteGeneration(engine, certificate, directory, record, files));
  RETURN_IF_ERROR(LeadStaleLinksIntoCopy(engine, certificate, directory, files));
  RETURN_IF_ERROR(SwitchBack(engine, certificate, directory));
  for (const GenerationFile& file : files) RETURN_IF_ERROR(PutPathInPlace(engine, file));
  return OnDisk(record, directory);
}

absl::Status LeaveAsFiles(const EngineContext& engine, const std::vector<UndeclaredLink>& undeclared) {
  for (const auto& [path, target] : undeclared) {
    ASSIGN_OR_RETURN(const VisiblePath now, LookAt(engine.files(), path));
    if (now.kind != VisiblePath::Kind::kLink || now.target != target) continue;
    ASSIGN_OR_RETURN(const std::optional<FoundFile> found, ReadVisible(engine.files(), target));
    if (!found.has_value()) continue;
    ASSIGN_OR_RETURN(const PathParts parts, SplitPath(path));
    ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, engine.files().OpenDirectory(parts.directory));
    RETURN_IF_ERROR(ReplaceFile(*directory, parts.name, found->bytes.ExposeSecret(), found->attributes));
  }
  return absl::OkStatus();
}

absl::Status RemoveLinksOfAbsentFiles(const EngineContext& engine, absl::string_view certificate,
                                      const GenerationRecord& record) {
  for (const GenerationRecord::Service& service : record.services()) {
    for (const GenerationRecord::File& file : service.files()) {
      if (!file.absent()) continue;
      RETURN_IF_ERROR(RemoveLink(engine, file.path(), LinkTargetOf(engine, certificate, service, file)));
    }
  }
  return absl::OkStatus();
}

}  // namespace certcast::node
