// The store in one SQLite database below the state directory.
//
//   <state>/                   0700
//   <state>/certcast.db        0600, with certcast.db-wal and certcast.db-shm beside it
//   <state>/lock               0600; flock(2) on it is the lease, its text says who holds it
//
// The database is in WAL mode with synchronous=FULL: a commit has been fsynced when it returns. Several processes may
// have it open; one of them at a time holds the lease. Commits that threads of one process make at the same time share
// an fsync.
#ifndef CERTCAST_CONTROLLER_STORE_SQLITE_STORE_H_
#define CERTCAST_CONTROLLER_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "controller/store/store.h"

namespace certcast::controller {

struct SqliteStoreOptions {
  // Makes directory and database where they are missing (`certcast init`). Without it their absence is an error that
  // says so.
  bool make = false;
  // How long a commit waits for another process's commit.
  absl::Duration busy_timeout = absl::Seconds(10);
  // The database may not grow beyond it: NO_SPACE.
  int64_t max_bytes = int64_t{8} << 30;
  FileSystem* files = &FileSystem::Real();
  // For the lease's "since".
  const Clock* clock = &Clock::Real();
};

class SqliteStore : public Store {
 public:
  // Opens and checks the database: its structure (PRAGMA quick_check), that it is certcast's, and its schema version.
  // One that a newer certcast wrote is refused and not touched. Errors: kFailedPrecondition with the hint `certcast
  // init` when there is none, PERMISSION_DENIED when the directory can be written by group or others, STORAGE_FAILED
  // when it is damaged, NO_SPACE.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& state_directory,
                                                           const SqliteStoreOptions& options = {});
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_SQLITE_STORE_H_
