#include "node/engine/visible.h"

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "node/engine/content.h"
#include "node/engine/layout.h"

namespace certcast::node {
namespace {

// Named as atomic.h names its own, so that RemoveTemporaries takes it away after a crash.
constexpr char kTrialLink[] = ".certcast-0000000000000000";

// Whoever put it there goes on without knowing of what is put there now: an agent of its own, or this one, by the
// `state` that it had.
absl::Status CheckNotOfAnotherState(const EngineContext& engine, const ServiceFile& file) {
  ASSIGN_OR_RETURN(const VisiblePath found, LookAt(engine.files(), file.path));
  if (found.kind != VisiblePath::Kind::kLink) return absl::OkStatus();
  const std::string state = StateOfLinkTarget(found.target).value_or(engine.layout.state());
  if (state == engine.layout.state()) return absl::OkStatus();
  // Where it is gone, so is what it knew.
  if (absl::IsNotFound(engine.files().OpenDirectory(state).status())) return absl::OkStatus();
  return Fail(Reason::PERMISSION_DENIED,
              absl::StrCat(file.path, " leads into ", state, ", which is another state directory than this one, ",
                           engine.layout.state()),
              absl::StrCat("let `state` in ", engine.config.file(), " be ", state,
                           " again; docs/operations.md, \"Where the agent keeps its state\", says how to move it"));
}

absl::StatusOr<std::unique_ptr<Directory>> OpenToReplace(const EngineContext& engine, const PathParts& parts,
                                                         absl::string_view path) {
  auto directory = engine.files().OpenDirectory(parts.directory);
  if (!absl::IsNotFound(directory.status())) return directory;
  return Fail(Reason::PERMISSION_DENIED, absl::StrCat(parts.directory, " is not there, so ", path, " can't be made"),
              absl::StrCat("mkdir -p ", parts.directory, ", or correct the path in ", engine.config.file()));
}

absl::Status WithHintToWrite(absl::Status tried, const PathParts& parts, absl::string_view path) {
  return WithHint(
      Annotate(std::move(tried), absl::StrCat(path, " can't be put in place")),
      absl::StrCat("certcast-node must be able to write to ", parts.directory,
                   ": check its owner and mode, its mount options, and ReadWritePaths= of the systemd unit"));
}

}  // namespace

absl::StatusOr<VisiblePath> LookAt(FileSystem& files, absl::string_view path) {
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(path));
  const auto directory = files.OpenDirectory(parts.directory);
  if (absl::IsNotFound(directory.status())) return VisiblePath();
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<FileInfo> info = (*directory)->Stat(parts.name);
  if (absl::IsNotFound(info.status())) return VisiblePath();
  if (!info.ok()) return info.status();
  switch (info->kind) {
    case FileInfo::Kind::kFile:
      return VisiblePath{VisiblePath::Kind::kFile, ""};
    case FileInfo::Kind::kLink: {
      ASSIGN_OR_RETURN(std::string target, (*directory)->ReadLink(parts.name));
      return VisiblePath{VisiblePath::Kind::kLink, std::move(target)};
    }
    case FileInfo::Kind::kDirectory:
    case FileInfo::Kind::kOther:
      break;
  }
  return Fail(Reason::STORAGE_FAILED, absl::StrCat(path, " is neither a file nor a link"),
              "a service's path must be a file: remove what is there, or give the service another path");
}

bool LeadsIntoCertificate(const EngineContext& engine, const Service& service, absl::string_view certificate) {
  const std::string inside = absl::StrCat(engine.layout.Certificate(certificate), "/");
  for (const ServiceFile* file : service.FilesOf(certificate)) {
    const absl::StatusOr<VisiblePath> found = LookAt(engine.files(), file->path);
    if (!found.ok()) return true;
    if (found->kind == VisiblePath::Kind::kLink && absl::StartsWith(found->target, inside)) return true;
  }
  return false;
}

absl::StatusOr<bool> IsOurLink(const EngineContext& engine, const Service& service, const ServiceFile& file) {
  ASSIGN_OR_RETURN(const VisiblePath found, LookAt(engine.files(), file.path));
  return found.kind == VisiblePath::Kind::kLink && found.target == engine.layout.LinkTarget(service, file);
}

absl::StatusOr<std::optional<FoundFile>> ReadVisible(FileSystem& files, absl::string_view path) {
  const absl::StatusOr<FoundEntry> found = FindThroughLinks(files, path);
  if (absl::IsNotFound(found.status())) return std::optional<FoundFile>();
  if (!found.ok()) return found.status();
  ASSIGN_OR_RETURN(Secret bytes, ReadSecretFile(*found->directory, found->name));
  return std::make_optional(FoundFile{std::move(bytes), found->info.attributes});
}

absl::StatusOr<std::optional<FoundFile>> ReadDeclared(const EngineContext& engine, const Service& service,
                                                      const ServiceFile& file) {
  ASSIGN_OR_RETURN(const bool ours, IsOurLink(engine, service, file));
  return ReadVisible(engine.files(), ours ? engine.layout.LinkTarget(service, file) : file.path);
}

absl::Status CheckCouldReplace(const EngineContext& engine, const ServiceFile& file) {
  RETURN_IF_ERROR(CheckNotOfAnotherState(engine, file));
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(file.path));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, OpenToReplace(engine, parts, file.path));
  return WithHintToWrite(directory->CheckWritable(), parts, file.path);
}

absl::Status CheckCanReplace(const EngineContext& engine, const ServiceFile& file) {
  RETURN_IF_ERROR(CheckNotOfAnotherState(engine, file));
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(file.path));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, OpenToReplace(engine, parts, file.path));
  absl::Status tried = directory->MakeLink(kTrialLink, "trial");
  if (absl::IsAlreadyExists(tried)) tried = absl::OkStatus();
  if (tried.ok()) tried = directory->Remove(kTrialLink);
  return WithHintToWrite(std::move(tried), parts, file.path);
}

}  // namespace certcast::node
