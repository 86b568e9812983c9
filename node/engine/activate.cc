#include "node/engine/activate.h"

#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

absl::StatusOr<std::unique_ptr<Directory>> OpenCertificate(const EngineContext& engine, absl::string_view certificate) {
  return engine.files().OpenDirectory(engine.layout.Certificate(certificate));
}

}  // namespace

absl::StatusOr<std::string> CurrentDirectory(const EngineContext& engine, absl::string_view certificate) {
  const auto directory = OpenCertificate(engine, certificate);
  if (absl::IsNotFound(directory.status())) return std::string();
  if (!directory.ok()) return directory.status();
  const absl::StatusOr<std::string> target = (*directory)->ReadLink(kCurrentLink);
  if (absl::IsNotFound(target.status())) return std::string();
  if (!target.ok()) return target.status();
  const std::optional<std::string> name = ParseGenerationLink(*target);
  if (name.has_value()) return *name;
  return Fail(Reason::STORAGE_FAILED,
              absl::StrCat((*directory)->path(), "/", kCurrentLink, " leads to ", *target, ", which is no generation"),
              "somebody changed it by hand: make it lead to generations/<n> again, or remove it");
}

absl::Status SwitchForward(const EngineContext& engine, absl::string_view certificate, absl::string_view baseline,
                           absl::string_view target) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, OpenCertificate(engine, certificate));
  RETURN_IF_ERROR(ReplaceLink(*directory, kBackLink, GenerationLink(baseline)));
  return ReplaceLink(*directory, kCurrentLink, GenerationLink(target));
}

absl::Status SwitchBack(const EngineContext& engine, absl::string_view certificate, absl::string_view to) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, OpenCertificate(engine, certificate));
  const std::string link = GenerationLink(to);
  const absl::StatusOr<std::string> current = directory->ReadLink(kCurrentLink);
  // The rename may have been done before, and its fsync not.
  if (current.ok() && *current == link) return directory->Sync();
  const absl::StatusOr<std::string> back = directory->ReadLink(kBackLink);
  if (!back.ok() || *back != link) return ReplaceLink(*directory, kCurrentLink, link);
  RETURN_IF_ERROR(directory->Rename(kBackLink, kCurrentLink));
  return directory->Sync();
}

absl::Status RemoveWayBack(const EngineContext& engine, absl::string_view certificate) {
  const auto directory = OpenCertificate(engine, certificate);
  if (absl::IsNotFound(directory.status())) return absl::OkStatus();
  if (!directory.ok()) return directory.status();
  absl::Status removed = (*directory)->Remove(kBackLink);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

}  // namespace certcast::node
