// Ends the process in the middle of SQLite's work, for tests of what a power loss or kill -9 leaves.
#ifndef CERTCAST_CONTROLLER_STORE_CRASHING_VFS_H_
#define CERTCAST_CONTROLLER_STORE_CRASHING_VFS_H_

namespace certcast::controller {

// Makes SQLite's default file system one that kills this process (SIGKILL) at the n-th call, counted from 1, that
// writes, truncates, syncs or deletes a file, before that call does anything; a write has then done the first half of
// its bytes. n = 0: counts only. Call once, before the first database is opened.
void CrashAtSqliteOperation(int n);
// So far.
int SqliteOperations();

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_CRASHING_VFS_H_
