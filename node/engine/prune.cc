#include "node/engine/prune.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/status/status.h"
#include "node/engine/activate.h"
#include "node/engine/generation.h"

namespace certcast::node {
namespace {

// A generation was taken in as it was found, since others had changed it. What it was made of is no way back to
// anything, and where its keys were opened to others they would stay so.
absl::Status RemoveOpened(const EngineContext& engine, absl::string_view certificate, uint64_t generation,
                          std::vector<std::string>& others) {
  std::vector<std::string> stay;
  for (const std::string& name : others) {
    if (ParseGenerationDirectoryName(name)->first == generation) {
      const absl::StatusOr<GenerationRecord> record = ReadRecord(engine, certificate, name);
      if (record.ok() && !HasAttributesOfRecord(engine, certificate, name, *record)) {
        RETURN_IF_ERROR(RemoveGeneration(engine, certificate, name));
        continue;
      }
    }
    stay.push_back(name);
  }
  others = std::move(stay);
  return absl::OkStatus();
}

// What a crash cut off and no journal knows of any more holds a key, and is no way back to anything.
absl::Status RemoveIncomplete(const EngineContext& engine, absl::string_view certificate,
                              std::vector<std::string>& others) {
  std::vector<std::string> stay;
  for (const std::string& name : others) {
    if (absl::IsNotFound(ReadRecord(engine, certificate, name).status())) {
      RETURN_IF_ERROR(RemoveGeneration(engine, certificate, name));
    } else {
      stay.push_back(name);
    }
  }
  others = std::move(stay);
  return absl::OkStatus();
}

}  // namespace

absl::Status Prune(const EngineContext& engine, absl::string_view certificate) {
  const NodeState::Certificate known = engine.state->Certificate(certificate);
  ASSIGN_OR_RETURN(const std::string current, CurrentDirectory(engine, certificate));
  ASSIGN_OR_RETURN(std::vector<std::string> others, ListGenerations(engine, certificate));
  const auto is_needed = [&](const std::string& name) {
    return name == current || name == known.in_force().directory() || name == known.previous().directory();
  };
  others.erase(std::remove_if(others.begin(), others.end(), is_needed), others.end());
  RETURN_IF_ERROR(RemoveIncomplete(engine, certificate, others));
  RETURN_IF_ERROR(RemoveOpened(engine, certificate, known.in_force().generation(), others));
  RETURN_IF_ERROR(RemoveOpened(engine, certificate, known.previous().generation(), others));
  std::sort(others.begin(), others.end(), [](const std::string& a, const std::string& b) {
    return ParseGenerationDirectoryName(a) > ParseGenerationDirectoryName(b);
  });
  // What another fleet left: this one never accepted such a number.
  const auto first_known = std::find_if(others.begin(), others.end(), [&](const std::string& name) {
    return ParseGenerationDirectoryName(name)->first <= known.highest_generation();
  });
  for (auto foreign = others.begin(); foreign != first_known; ++foreign) {
    RETURN_IF_ERROR(RemoveGeneration(engine, certificate, *foreign));
  }
  others.erase(others.begin(), first_known);
  const size_t keep = static_cast<size_t>(std::max(0, engine.config.keep - (known.has_previous() ? 1 : 0)));
  for (size_t i = keep; i < others.size(); ++i) RETURN_IF_ERROR(RemoveGeneration(engine, certificate, others[i]));
  return absl::OkStatus();
}

}  // namespace certcast::node
