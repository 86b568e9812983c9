#include "node/hosted/kept.h"

#include <sys/types.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "common/file/atomic.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "node/engine/layout.h"

namespace certcast::node {
namespace {

constexpr absl::string_view kPin = "pinned-fleet";
constexpr absl::string_view kDefinition = "definition";
// What the controller knows as well.
constexpr absl::string_view kAskController =
    "run certcast apply: it says anew what this host is, and ends what was begun";
constexpr size_t kMaxPin = 8192;
// NodeDefinition's parts are bounded; together they stay below.
constexpr size_t kMaxDefinition = 1 << 20;

// `fleet ID`, a line, then the manifest key as PEM.
std::string PinOf(const EngineConfig::Fleet& fleet) {
  return absl::StrCat("fleet ", fleet.id, "\n", fleet.key.ToPem());
}

// What lies in it decides what is run, so nobody else may put something there.
absl::Status CheckIsOurs(Directory& directory) {
  constexpr mode_t kWrittenByOthers = 022;
  ASSIGN_OR_RETURN(const FileInfo info, directory.StatSelf());
  if (info.attributes.owner != geteuid()) {
    return Fail(
        Reason::PERMISSION_DENIED,
        absl::StrCat(directory.path(), " belongs to the user number ", info.attributes.owner,
                     ", certcast-node runs as number ", geteuid()),
        "was it made with, or without, sudo? Give it to the user that is to have it (chown -R), or name another "
        "`state`");
  }
  if ((info.attributes.mode & kWrittenByOthers) != 0) {
    return Fail(Reason::PERMISSION_DENIED, absl::StrCat(directory.path(), " may be written by others"),
                absl::StrCat("chmod go-w ", directory.path()));
  }
  return absl::OkStatus();
}

// nullopt where there is nothing.
absl::StatusOr<std::optional<std::string>> ReadIfThere(FileSystem& files, const std::string& state,
                                                       absl::string_view name, size_t limit) {
  auto directory = files.OpenDirectory(state);
  if (absl::IsNotFound(directory.status())) return std::nullopt;
  RETURN_IF_ERROR(directory.status());
  RETURN_IF_ERROR(CheckIsOurs(**directory));
  absl::StatusOr<std::string> bytes = (*directory)->ReadFile(name, limit);
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  RETURN_IF_ERROR(bytes.status());
  return std::optional<std::string>(*std::move(bytes));
}

absl::Status Foreign(const std::string& state, absl::string_view pin, const EngineConfig::Fleet& fleet) {
  const std::string path = absl::StrCat(state, "/", kPin);
  const std::string hint = absl::StrCat("if this host really changes hands: rm ", path);
  absl::string_view id = pin.substr(0, pin.find('\n'));
  if (!absl::ConsumePrefix(&id, "fleet ")) {
    return Fail(Reason::FOREIGN_FLEET, absl::StrCat(path, " does not say which fleet this host belongs to"), hint);
  }
  if (id == fleet.id) {
    return Fail(Reason::FOREIGN_FLEET,
                absl::StrCat("the controller says it is of fleet ", fleet.id,
                             ", but its manifest key is not the one that this host pinned"),
                hint);
  }
  return Fail(Reason::FOREIGN_FLEET,
              absl::StrCat("this host belongs to fleet ", id, ", the controller is of fleet ", fleet.id), hint);
}

// Whether there is a pin, and it is this fleet's.
absl::StatusOr<bool> IsPinned(FileSystem& files, const std::string& state, const EngineConfig::Fleet& fleet) {
  ASSIGN_OR_RETURN(const std::optional<std::string> pin, ReadIfThere(files, state, kPin, kMaxPin));
  if (!pin.has_value()) return false;
  if (*pin != PinOf(fleet)) return Foreign(state, *pin, fleet);
  return true;
}

absl::Status Replace(FileSystem& files, const std::string& state, absl::string_view name, absl::string_view bytes) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, files.OpenDirectory(state));
  return ReplaceFile(*directory, name, bytes, PrivateFileAttributes());
}

}  // namespace

absl::Status CheckPinnedFleet(FileSystem& files, const std::string& state, const EngineConfig::Fleet& fleet) {
  return IsPinned(files, state, fleet).status();
}

absl::Status PinFleet(FileSystem& files, const std::string& state, const EngineConfig::Fleet& fleet) {
  ASSIGN_OR_RETURN(const bool pinned, IsPinned(files, state, fleet));
  return pinned ? absl::OkStatus() : Replace(files, state, kPin, PinOf(fleet));
}

absl::StatusOr<std::optional<v1::NodeDefinition>> ReadKeptDefinition(FileSystem& files, const std::string& state) {
  ASSIGN_OR_RETURN(const std::optional<std::string> bytes, ReadIfThere(files, state, kDefinition, kMaxDefinition));
  if (!bytes.has_value()) return std::nullopt;
  v1::NodeDefinition definition;
  if (!definition.ParseFromString(*bytes)) {
    return Fail(Reason::MALFORMED, absl::StrCat(state, "/", kDefinition, " does not parse"), kAskController);
  }
  // The state may have been moved since.
  if (definition.state() != state) {
    return Fail(Reason::MALFORMED,
                absl::StrCat(state, "/", kDefinition, " is of another state directory, ", definition.state()),
                kAskController);
  }
  return std::optional<v1::NodeDefinition>(std::move(definition));
}

absl::Status KeepDefinition(FileSystem& files, const v1::NodeDefinition& definition) {
  return Replace(files, definition.state(), kDefinition, definition.SerializeAsString());
}

bool IsSameDefinition(const v1::NodeDefinition& a, const v1::NodeDefinition& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

}  // namespace certcast::node
