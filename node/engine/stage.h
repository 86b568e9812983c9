// What a bundle becomes on this node.
#ifndef CERTCAST_NODE_ENGINE_STAGE_H_
#define CERTCAST_NODE_ENGINE_STAGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/manifest/manifest.h"
#include "node/engine/context.h"
#include "node/engine/generation.h"

namespace certcast::node {

// Everything that staging writes, decided before anything is written.
struct StagedGeneration {
  std::vector<GenerationFile> files;
  GenerationRecord record;
};

// The files of `services` from a verified bundle. Writes nothing. Fails for an owner or group that is not there.
absl::StatusOr<StagedGeneration> PlanGeneration(const EngineContext& engine,
                                                const std::vector<const Service*>& services,
                                                const VerifiedBundle& bundle);

// Writes it as `directory`, where nothing leads yet. Durable on return.
absl::Status StageGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                             const StagedGeneration& generation);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_STAGE_H_
