// Rollouts in the store: a head (the message without its nodes) and a record for each node, so that one node's step is
// one small write however large the fleet is.
//
//   rollouts/<id>                    the head
//   rollout-nodes/<id>/<node name>   not below the head's key, so that listing heads reads no nodes
//
// See records.h for what holds of all records.
#ifndef CERTCAST_CONTROLLER_STORE_ROLLOUT_RECORDS_H_
#define CERTCAST_CONTROLLER_STORE_ROLLOUT_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/store/store.h"

namespace certcast::controller {

class RolloutRecords {
 public:
  // Finished rollouts of one certificate that are kept.
  static constexpr size_t kKeptFinished = 50;

  explicit RolloutRecords(Store& store) : store_(store) {}

  // Writes a new rollout with all its nodes and drops the oldest finished ones of the certificate beyond kKeptFinished,
  // in one transaction. `certificate`, `generation` and `started_at` must be set, each node's result named, no name
  // twice. Returns its id, which is set here: `wildcard-7-33m8z0`, made of certificate, generation and the second it
  // started (since 2020 in base 36, a later one where that is taken), so that the last part sorts by start time.
  absl::StatusOr<std::string> Create(state::v1::Rollout rollout, uint64_t epoch);

  // Replaces the head; `rollout.nodes` is not looked at. kNotFound when there is no rollout of that id.
  absl::Status PutHead(const state::v1::Rollout& rollout, uint64_t epoch);
  // Replaces these nodes of the rollout, in one transaction. kNotFound when one is not of it.
  absl::Status PutNodes(absl::string_view id, absl::Span<const state::v1::Rollout::Node> nodes, uint64_t epoch);
  // Both in one transaction.
  absl::Status PutHeadAndNodes(const state::v1::Rollout& rollout, absl::Span<const state::v1::Rollout::Node> nodes,
                               uint64_t epoch);

  // Whole, its nodes in the order that Create was given.
  absl::StatusOr<std::optional<state::v1::Rollout>> Get(absl::string_view id);
  // Heads without nodes, of one certificate or (empty) of all, the one that started last first.
  absl::StatusOr<std::vector<state::v1::Rollout>> List(absl::string_view certificate);
  // Heads without finished_at, the one that started last first: what a controller takes up again after a crash.
  absl::StatusOr<std::vector<state::v1::Rollout>> Unfinished();

 private:
  // Adds the removal of finished rollouts beyond kKeptFinished.
  absl::Status DropOldest(absl::string_view certificate, Transaction& transaction);
  // Writes of these nodes, each of which must be in the rollout, at the place it has there.
  absl::StatusOr<Transaction> NodeWrites(absl::string_view id, absl::Span<const state::v1::Rollout::Node> nodes);

  Store& store_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_ROLLOUT_RECORDS_H_
