// The way back of an install: the generation in force where services read that, else a copy of what they read now,
// taken in before anything is switched.
//
// A copy is needed for files from the days of scp, for a service that was added since, where an administrator replaced
// a link or changed a file. It is generation 0 before the first install and `<n>.<k>` later. Then, in this order:
//   1. the copy is written, durably;
//   2. paths that are links into certcast's state, but not the right ones (a service was renamed), are made links
//   straight
//      into the copy;
//   3. `current` is moved to the copy;
//   4. every path is made a link into `current`, or where it is a link and declared `install: copy`, a regular file
//   with what was read there.
// At each point a service reads what it read before, and after 1 there is nothing left to lose.
//
// Paths that node.yaml does not name any more for this certificate are not certcast's business, but their links lead
// through `current` and would lead nowhere after the switch. They become files of their own, with what they read now.
#ifndef CERTCAST_NODE_ENGINE_ADOPT_H_
#define CERTCAST_NODE_ENGINE_ADOPT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "node/engine/context.h"
#include "node/engine/generation.h"

namespace certcast::node {

struct UndeclaredLink {
  std::string path;
  std::string target;
};

struct Baseline {
  // The generation in force, or what a copy will be (without its leaf).
  GenerationOnDisk generation;
  bool needs_copy = false;
  // Certcast's links of this certificate that are not in node.yaml any more.
  std::vector<UndeclaredLink> undeclared;
  // Why one of their paths could not be looked at, and will not be soon: that is no reason to keep the others from
  // being renewed. Where certcast's link is still there it will lead nowhere.
  absl::Status unseen;
};

// Writes nothing. `target`: the name that the new generation's directory will have. Fails for what may pass by itself.
absl::StatusOr<Baseline> PlanBaseline(const EngineContext& engine, absl::string_view certificate,
                                      absl::string_view target);

// Steps 1 to 4. Returns the copy with its leaf.
absl::StatusOr<GenerationOnDisk> AdoptWhatIsThere(const EngineContext& engine, absl::string_view certificate,
                                                  const GenerationOnDisk& baseline);

// Makes each of these links a file with the contents, owner, group and mode that a service reads there now. Before
// `current` is moved. Durable on return. Idempotent.
absl::Status LeaveAsFiles(const EngineContext& engine, const std::vector<UndeclaredLink>& undeclared);

// The other way: removes certcast's links for files that `record` has as absent. Durable on return. Idempotent.
absl::Status RemoveLinksOfAbsentFiles(const EngineContext& engine, absl::string_view certificate,
                                      const GenerationRecord& record);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_ADOPT_H_
