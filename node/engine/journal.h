// The install under way, saved before each of its steps.
#ifndef CERTCAST_NODE_ENGINE_JOURNAL_H_
#define CERTCAST_NODE_ENGINE_JOURNAL_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "certcast/state/v1/node.pb.h"
#include "common/file/file_system.h"
#include "node/engine/reserved_record.h"

namespace certcast::node {

using Journal = state::v1::Journal;

// Thread-safe.
class JournalFile {
 public:
  // In `directory`, the state directory. One that is not there is IDLE, and is made unless `read_only`: then
  // `directory` may be null, and Save must not be called.
  static absl::StatusOr<std::unique_ptr<JournalFile>> Open(std::unique_ptr<Directory> directory, bool read_only);

  // What was saved last.
  Journal Get() const;

  // Durable on return; needs no free space. After an error the disk may hold either: both are right, since the step
  // that `record` names was not taken.
  absl::Status Save(Journal record);

 private:
  JournalFile(ReservedRecord record, Journal journal) : record_(std::move(record)), journal_(std::move(journal)) {}

  mutable absl::Mutex mutex_;
  ReservedRecord record_ ABSL_GUARDED_BY(mutex_);
  Journal journal_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_JOURNAL_H_
