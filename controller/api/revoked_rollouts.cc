#include "controller/api/revoked_rollouts.h"

#include <cstdint>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/store/records.h"

namespace certcast::controller {

absl::StatusOr<std::optional<std::string>> WhyNotForwards(Store& store, const state::v1::Rollout& rollout) {
  ASSIGN_OR_RETURN(const auto generation, GenerationRecords(store).Get(rollout.certificate(), rollout.generation()));
  if (!generation.has_value() || !MayBeRevoked(*generation)) return std::nullopt;
  return absl::StrCat("generation ", rollout.generation(), generation->has_revoked_at() ? " is" : " may be",
                      " revoked");
}

absl::StatusOr<std::optional<std::string>> WhyNotBack(Store& store, const state::v1::Rollout& rollout) {
  ASSIGN_OR_RETURN(const std::vector<state::v1::Generation> generations,
                   GenerationRecords(store).List(rollout.certificate()));
  std::set<uint64_t> revoked;
  for (const state::v1::Generation& generation : generations) {
    if (MayBeRevoked(generation)) revoked.insert(generation.generation());
  }
  if (revoked.empty()) return std::nullopt;
  std::set<std::string> members;
  for (const state::v1::Rollout::Node& node : rollout.nodes()) members.insert(node.result().name());
  ASSIGN_OR_RETURN(const std::vector<state::v1::Node> records, NodeRecords(store).List());
  for (const state::v1::Node& record : records) {
    if (members.count(record.name()) == 0) continue;
    for (const auto& has : record.inventory().certificates()) {
      if (has.name() != rollout.certificate()) continue;
      const bool arrived = has.generation() == rollout.generation();
      const uint64_t before = arrived ? has.previous_generation() : has.generation();
      if (revoked.count(before) == 0) continue;
      return absl::StrCat("node ", record.name(), " would go back to generation ", before, ", which is revoked");
    }
  }
  return std::nullopt;
}

}  // namespace certcast::controller
