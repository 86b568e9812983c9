#include "node/engine/verify.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "google/protobuf/util/time_util.h"
#include "node/engine/activate.h"
#include "node/engine/drift.h"
#include "node/engine/strangers.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

constexpr absl::Duration kMinConfirmTimeout = absl::Seconds(1);
constexpr absl::Duration kMaxConfirmTimeout = absl::Hours(1);

absl::Status CheckConfirmTimeout(const v1::Install& command) {
  const absl::Duration timeout =
      absl::Seconds(command.confirm_timeout().seconds()) + absl::Nanoseconds(command.confirm_timeout().nanos());
  if (timeout >= kMinConfirmTimeout && timeout <= kMaxConfirmTimeout) return absl::OkStatus();
  return Fail(Reason::MALFORMED,
              absl::StrCat("confirm_timeout is ", absl::FormatDuration(timeout), "; it must be from 1s to 1h"));
}

absl::StatusOr<VerifiedBundle> CheckBundle(const EngineContext& engine, const v1::Bundle& bundle) {
  const absl::Time now = engine.clock().Now();
  absl::StatusOr<VerifiedBundle> verified =
      VerifyBundle(bundle, engine.config.fleet->key,
                   {.fleet_id = engine.config.fleet->id, .allow_names = engine.config.allow_names, .now = now});
  if (verified.ok()) return verified;
  switch (ReasonOf(verified.status())) {
    case Reason::MANIFEST_EXPIRED:
    case Reason::EXPIRED:
    case Reason::NOT_YET_VALID:
      return WithHint(verified.status(), absl::StrCat("compare clocks: this node's says ",
                                                      absl::FormatTime(absl::RFC3339_sec, now, absl::UTCTimeZone())));
    default:
      return verified;
  }
}

absl::Status CheckGenerationRule(const NodeState::Certificate& known, const VerifiedBundle& bundle) {
  const uint64_t generation = bundle.manifest.generation();
  if (generation == 0) return Fail(Reason::MALFORMED, "the manifest has generation 0; they count from 1");
  if (generation < known.highest_generation()) {
    return Fail(Reason::DOWNGRADE,
                absl::StrCat("generation ", generation, " of ", known.name(), " is below ", known.highest_generation(),
                             ", which this node has accepted before"),
                "to go back to an old certificate, import it as a new generation");
  }
  if (generation == known.highest_generation() && bundle.digest != known.highest_digest()) {
    return Fail(Reason::DOWNGRADE,
                absl::StrCat("generation ", generation, " of ", known.name(),
                             " has other contents than the one of that number that this node has accepted before"),
                "was the controller's store restored from a backup? Issue a new generation");
  }
  return absl::OkStatus();
}

// Whether what services read is, file by file, what would be staged, and was confirmed: what was not is proven anew.
absl::StatusOr<bool> IsInPlace(const EngineContext& engine, const NodeState::Certificate& known,
                               const VerifiedInstall& install) {
  const GenerationOnDisk& in_force = known.in_force();
  if (in_force.directory().empty() || in_force.generation() != install.bundle.manifest.generation()) return false;
  if (known.unconfirmed()) return false;
  ASSIGN_OR_RETURN(const std::string current, CurrentDirectory(engine, known.name()));
  if (current != in_force.directory()) return false;
  for (const Service* service : install.services) {
    if (!FindDrift(engine, *service, known.name(), install.generation.record).empty()) return false;
  }
  return true;
}

absl::Status CheckPaths(const EngineContext& engine, const VerifiedInstall& install) {
  for (const Service* service : install.services) {
    for (const ServiceFile* declared : service->FilesOf(install.bundle.manifest.certificate())) {
      const ServiceFile& file = *declared;
      RETURN_IF_ERROR(CheckFileName(FileNameOf(*service, file)));
      // A link that is there stays as it is.
      ASSIGN_OR_RETURN(const bool linked, IsOurLink(engine, *service, file));
      if (linked && file.install == FileInstall::kLink) continue;
      // It is taken in as what to go back to.
      RETURN_IF_ERROR(Annotate(ReadDeclared(engine, *service, file).status(),
                               absl::StrCat("service ", service->name, ", reading what is at ", file.path)));
      absl::Status usable = CheckNoStranger(engine, file.path, *service, install.generation.record);
      if (usable.ok()) usable = CheckCanReplace(engine, file);
      RETURN_IF_ERROR(Annotate(std::move(usable), absl::StrCat("service ", service->name)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<VerifiedInstall> VerifyInstall(const EngineContext& engine, const v1::Install& command) {
  RETURN_IF_ERROR(CheckConfirmTimeout(command));
  ASSIGN_OR_RETURN(VerifiedBundle bundle, CheckBundle(engine, command.bundle()));

  const std::string certificate = bundle.manifest.certificate();
  VerifiedInstall install{.bundle = std::move(bundle), .services = engine.ServicesOf(certificate)};
  if (install.services.empty()) {
    return Fail(Reason::NOT_DECLARED,
                absl::StrCat("no service of node ", engine.config.node, " uses the certificate ", certificate),
                absl::StrCat("add it under services in ", engine.config.file(),
                             ", or take the node out of the certificate's nodes"));
  }
  const NodeState::Certificate known = engine.state->Certificate(certificate);
  RETURN_IF_ERROR(CheckGenerationRule(known, install.bundle));
  ASSIGN_OR_RETURN(install.generation, PlanGeneration(engine, install.services, install.bundle));
  ASSIGN_OR_RETURN(install.is_in_place, IsInPlace(engine, known, install));
  if (!install.is_in_place) RETURN_IF_ERROR(CheckPaths(engine, install));
  return install;
}

}  // namespace certcast::node
