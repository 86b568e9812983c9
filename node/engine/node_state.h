// What outlives an install: what is in force, what was accepted, and how the latest commands ended.
#ifndef CERTCAST_NODE_ENGINE_NODE_STATE_H_
#define CERTCAST_NODE_ENGINE_NODE_STATE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "certcast/state/v1/node.pb.h"
#include "common/file/file_system.h"
#include "node/engine/reserved_record.h"

namespace certcast::node {

using NodeState = state::v1::NodeState;

// Thread-safe.
class NodeStateFile {
 public:
  // As JournalFile::Open.
  static absl::StatusOr<std::unique_ptr<NodeStateFile>> Open(std::unique_ptr<Directory> directory, bool read_only);

  // A copy of the whole. Most of it are results, which whoever asks for a part is spared.
  NodeState Get() const;
  std::string FleetId() const;
  uint64_t HighestEpoch() const;
  // The latest time that this node is sure has been.
  std::optional<absl::Time> KnownTime() const;
  std::vector<NodeState::Certificate> Certificates() const;
  // The certificate's record; without one, an empty record with its name.
  NodeState::Certificate Certificate(absl::string_view name) const;
  std::optional<v1::InstallResult> Result(absl::string_view command_id) const;

  // Applies `change` and saves the whole. Durable on return; needs no free space. After an error nothing has changed
  // here, and the disk may hold either. The oldest results go where they don't fit.
  absl::Status Update(const std::function<void(NodeState&)>& change);

 private:
  NodeStateFile(ReservedRecord record, NodeState state) : record_(std::move(record)), state_(std::move(state)) {}

  mutable absl::Mutex mutex_;
  ReservedRecord record_ ABSL_GUARDED_BY(mutex_);
  // What `record_` holds, read.
  NodeState state_ ABSL_GUARDED_BY(mutex_);
};

// For `change`: the certificate's record, made when missing.
NodeState::Certificate& MutableCertificate(NodeState& state, absl::string_view name);
// For `change`: the node belongs to this fleet now. Another fleet's epochs, generations, commands and clock say nothing
// to it: its own start anew, and what is in force counts as generation 0, what was there before. The files stay where
// they are, so services go on with them. A state that names no fleet yet is taken to be this one's. No install is under
// way.
void EnterFleet(NodeState& state, absl::string_view fleet_id);
// What a command of an epoch that is over is refused with.
absl::Status StaleEpoch(uint64_t epoch, uint64_t highest);
// What a node that belongs to no fleet refuses with.
absl::Status NotEnrolled(absl::string_view node);
// For `change`: remembers how a command ended, in place of what was remembered for it before. An empty id: does
// nothing.
void RememberResult(NodeState& state, absl::string_view command_id, const v1::InstallResult& result);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_NODE_STATE_H_
