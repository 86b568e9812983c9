// Files of `install: copy`, for software that refuses links: regular files that hold what `current` leads to.
//
// A link moves with `current`; a copy is renamed into its place right after, in the order of node.yaml. What is needed
// is written beside the places before `current` moves, the new copies and the old ones, so that both ways are renames,
// which a full disk allows. (A restart removes what was prepared: after one, going back takes space for the copies.)
//
// Promised: each copy is the old file or the new one, whole, with its owner, group and mode, at any time; and after the
// switch, after going back, and after recovery all copies of a certificate are of the generation that `current` holds.
// Not promised: that a service which opens two copies, or a copy and a link, between two of the renames gets a matching
// pair. Where it may restart by itself at any time, one file that holds all (`combined`, `pkcs12`) is safe.
//
// What is touched is what the generations' records say is a copy, whatever node.yaml says since.
#ifndef CERTCAST_NODE_ENGINE_COPIES_H_
#define CERTCAST_NODE_ENGINE_COPIES_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"
#include "common/secret/secret.h"
#include "node/engine/context.h"
#include "node/engine/generation.h"

namespace certcast::node {

// What has to be done to bring the copies to one generation. All that can be read or found wrong beforehand has been.
class Copies {
 public:
  // Brings the copies to that generation, and makes it durable. Where one operation fails it is tried another way;
  // where that fails too, the rest is done all the same, and the first error returned. Idempotent.
  absl::Status Place();

 private:
  friend class CopyPlan;

  struct Copy {
    Directory* directory = nullptr;
    std::string name;
    // Where it may lie beside its place.
    std::string prepared;
    // None: to be removed.
    std::optional<Secret> bytes;
    FileAttributes attributes;
    std::string sha256;
    bool in_place = false;
    // Both generations have the same.
    bool never_changes = false;
  };

  std::vector<Copy> copies_;
  // By path.
  std::map<std::string, std::unique_ptr<Directory>> directories_;
};

// The copies of `to`, which is in `directory`. A file that `leaving` has not as a copy is left alone, and where nothing
// was in `to`, only a file that is as `leaving` has it is removed. `leaving`: a directory; where it is empty or has no
// record, all of `to` is brought there and nothing removed. A copy whose directory is gone is left out: it is drift.
// Writes nothing.
absl::StatusOr<Copies> PlanCopies(const EngineContext& engine, absl::string_view certificate,
                                  absl::string_view directory, const GenerationRecord& to, absl::string_view leaving);

// The same, and writes the copies of both generations beside their places. Idempotent. On an error some may be there.
absl::StatusOr<Copies> PrepareCopies(const EngineContext& engine, absl::string_view certificate,
                                     absl::string_view directory, const GenerationRecord& to,
                                     absl::string_view leaving);

// Removes what PrepareCopies wrote for these two and was not used. Not durable: what a power loss brings back goes at
// the next start. Where `leaving` has no record, nothing was prepared.
absl::Status RemovePreparedCopies(const EngineContext& engine, absl::string_view certificate,
                                  absl::string_view directory, absl::string_view leaving);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_COPIES_H_
