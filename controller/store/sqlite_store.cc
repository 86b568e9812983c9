#include "controller/store/sqlite_store.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "controller/store/lease_file.h"
#include "controller/store/sqlite_connection.h"
#include "controller/store/sqlite_schema.h"

namespace certcast::controller {
namespace {

constexpr char kDatabaseName[] = "certcast.db";
constexpr char kLockName[] = "lock";
// Commits that share an fsync; bounds how long the first of them waits.
constexpr size_t kMaxBatch = 256;

struct Statements {
  SqliteStatement get;
  SqliteStatement list;
  SqliteStatement revision_of;
  SqliteStatement put;
  SqliteStatement remove;
  SqliteStatement read_counter;
  SqliteStatement write_counter;

  static absl::StatusOr<Statements> Prepare(SqliteConnection& connection);
};

absl::StatusOr<Statements> Statements::Prepare(SqliteConnection& connection) {
  ASSIGN_OR_RETURN(auto get, connection.Prepare("SELECT value, revision FROM record WHERE key = ?1"));
  // Keys are ASCII, so 0x7f is above every character of one.
  ASSIGN_OR_RETURN(auto list, connection.Prepare("SELECT key, value, revision FROM record "
                                                 "WHERE key >= ?1 AND key < ?1 || x'7f' ORDER BY key"));
  ASSIGN_OR_RETURN(auto revision_of, connection.Prepare("SELECT revision FROM record WHERE key = ?1"));
  ASSIGN_OR_RETURN(auto put, connection.Prepare("INSERT INTO record (key, value, revision) VALUES (?1, ?2, ?3) "
                                                "ON CONFLICT (key) DO UPDATE SET value = ?2, revision = ?3"));
  ASSIGN_OR_RETURN(auto remove, connection.Prepare("DELETE FROM record WHERE key = ?1"));
  ASSIGN_OR_RETURN(auto read_counter, connection.Prepare("SELECT value FROM counter WHERE name = ?1"));
  ASSIGN_OR_RETURN(auto write_counter, connection.Prepare("UPDATE counter SET value = ?2 WHERE name = ?1"));
  return Statements{std::move(get),    std::move(list),         std::move(revision_of),  std::move(put),
                    std::move(remove), std::move(read_counter), std::move(write_counter)};
}

// The database itself, one call at a time.
class Database {
 public:
  Database(std::unique_ptr<SqliteConnection> connection, Statements statements)
      : connection_(std::move(connection)), statements_(std::move(statements)) {}

  absl::StatusOr<StoredRecord> Get(absl::string_view key);
  absl::StatusOr<std::vector<StoredRecord>> List(absl::string_view prefix);
  absl::StatusOr<uint64_t> NextEpoch();
  // Each transaction succeeds or fails for itself; what succeeds is durable at the end. When writing or the common
  // commit fails, all of them fail with that.
  std::vector<absl::StatusOr<int64_t>> CommitAll(const std::vector<const Transaction*>& transactions);

 private:
  absl::Status Begin() { return connection_->Execute("BEGIN IMMEDIATE"); }
  // `status`, and the end of the transaction that goes with it.
  absl::Status End(absl::Status status);
  absl::StatusOr<int64_t> Counter(absl::string_view name);
  absl::Status SetCounter(absl::string_view name, int64_t value);
  // Whether the transaction may be applied; nothing is written.
  absl::Status CheckCompares(const Transaction& transaction);
  absl::Status Write(const Transaction& transaction, int64_t revision);

  std::unique_ptr<SqliteConnection> connection_;
  Statements statements_;
};

absl::StatusOr<StoredRecord> Database::Get(absl::string_view key) {
  ResetAtEnd reset(statements_.get);
  statements_.get.BindText(1, key);
  ASSIGN_OR_RETURN(const bool found, statements_.get.Step());
  if (!found) return absl::NotFoundError(absl::StrCat("no record ", key));
  return StoredRecord{std::string(key), statements_.get.Bytes(0), statements_.get.Integer(1)};
}

absl::StatusOr<std::vector<StoredRecord>> Database::List(absl::string_view prefix) {
  ResetAtEnd reset(statements_.list);
  statements_.list.BindText(1, prefix);
  std::vector<StoredRecord> records;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, statements_.list.Step());
    if (!row) return records;
    records.push_back({statements_.list.Bytes(0), statements_.list.Bytes(1), statements_.list.Integer(2)});
  }
}

absl::StatusOr<uint64_t> Database::NextEpoch() {
  RETURN_IF_ERROR(Begin());
  const absl::StatusOr<int64_t> epoch = Counter("epoch");
  absl::Status status = epoch.status();
  if (status.ok()) status = SetCounter("epoch", *epoch + 1);
  RETURN_IF_ERROR(End(std::move(status)));
  return static_cast<uint64_t>(*epoch + 1);
}

absl::Status Database::End(absl::Status status) {
  if (status.ok()) status = connection_->Execute("COMMIT");
  if (!status.ok() && connection_->in_transaction()) return KeepFirst(status, connection_->Execute("ROLLBACK"));
  return status;
}

absl::StatusOr<int64_t> Database::Counter(absl::string_view name) {
  ResetAtEnd reset(statements_.read_counter);
  statements_.read_counter.BindText(1, name);
  ASSIGN_OR_RETURN(const bool row, statements_.read_counter.Step());
  if (!row) return Fail(Reason::STORAGE_FAILED, absl::StrCat(connection_->path(), " misses its counter ", name));
  return statements_.read_counter.Integer(0);
}

absl::Status Database::SetCounter(absl::string_view name, int64_t value) {
  statements_.write_counter.BindText(1, name);
  statements_.write_counter.BindInteger(2, value);
  return statements_.write_counter.Run();
}

absl::Status Database::CheckCompares(const Transaction& transaction) {
  if (transaction.epoch != 0) {
    ASSIGN_OR_RETURN(const int64_t epoch, Counter("epoch"));
    RETURN_IF_ERROR(CheckEpoch(transaction.epoch, static_cast<uint64_t>(epoch)));
  }
  for (const Transaction::Compare& compare : transaction.compares) {
    ResetAtEnd reset(statements_.revision_of);
    statements_.revision_of.BindText(1, compare.key);
    ASSIGN_OR_RETURN(const bool found, statements_.revision_of.Step());
    RETURN_IF_ERROR(CheckRevision(compare, found ? statements_.revision_of.Integer(0) : 0));
  }
  return absl::OkStatus();
}

absl::Status Database::Write(const Transaction& transaction, int64_t revision) {
  for (const Transaction::Write& write : transaction.writes) {
    SqliteStatement& statement = write.value.has_value() ? statements_.put : statements_.remove;
    statement.BindText(1, write.key);
    if (write.value.has_value()) {
      statement.BindBlob(2, *write.value);
      statement.BindInteger(3, revision);
    }
    RETURN_IF_ERROR(statement.Run());
  }
  return absl::OkStatus();
}

std::vector<absl::StatusOr<int64_t>> Database::CommitAll(const std::vector<const Transaction*>& transactions) {
  std::vector<absl::StatusOr<int64_t>> results(transactions.size(), absl::UnknownError("not run"));
  absl::Status status = Begin();
  if (!status.ok()) {
    std::fill(results.begin(), results.end(), status);
    return results;
  }
  const absl::StatusOr<int64_t> before = Counter("revision");
  status = before.status();
  int64_t revision = status.ok() ? *before : 0;
  for (size_t i = 0; i < transactions.size() && status.ok(); ++i) {
    // All compares come before the first write, so that one that does not hold leaves nothing to undo.
    if (absl::Status check = CheckCompares(*transactions[i]); !check.ok()) {
      results[i] = std::move(check);
      continue;
    }
    status = Write(*transactions[i], revision + 1);
    if (status.ok()) results[i] = ++revision;
  }
  if (status.ok() && revision != *before) status = SetCounter("revision", revision);
  status = End(std::move(status));
  if (!status.ok()) std::fill(results.begin(), results.end(), status);
  return results;
}

class SqliteStoreImpl : public SqliteStore {
 public:
  SqliteStoreImpl(std::string directory, Database database, const Clock& clock)
      : directory_(std::move(directory)), clock_(clock), database_(std::move(database)) {}

  absl::StatusOr<StoredRecord> Get(absl::string_view key) override;
  absl::StatusOr<std::vector<StoredRecord>> List(absl::string_view prefix) override;
  absl::StatusOr<int64_t> Commit(const Transaction& transaction) override;
  absl::StatusOr<std::unique_ptr<Lease>> TakeLease(absl::string_view holder) override;

 private:
  struct Waiting {
    const Transaction* transaction;
    std::optional<absl::StatusOr<int64_t>> result;
  };

  // What waits now, at most kMaxBatch.
  std::vector<Waiting*> TakeBatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(queue_mutex_);
  std::vector<absl::StatusOr<int64_t>> RunBatch(const std::vector<Waiting*>& batch);

  const std::string directory_;
  const Clock& clock_;
  // Taken for one batch at a time.
  absl::Mutex database_mutex_ ABSL_ACQUIRED_AFTER(queue_mutex_);
  Database database_ ABSL_GUARDED_BY(database_mutex_);
  absl::Mutex queue_mutex_;
  std::vector<Waiting*> queue_ ABSL_GUARDED_BY(queue_mutex_);
  // One of the committing threads runs a batch, its own transaction in it.
  bool committing_ ABSL_GUARDED_BY(queue_mutex_) = false;
};

class SqliteLease : public Lease {
 public:
  SqliteLease(LeaseFile file, uint64_t epoch) : file_(std::move(file)), epoch_(epoch) {}
  uint64_t epoch() const override { return epoch_; }

 private:
  LeaseFile file_;
  uint64_t epoch_;
};

absl::StatusOr<StoredRecord> SqliteStoreImpl::Get(absl::string_view key) {
  RETURN_IF_ERROR(CheckKey(key));
  absl::MutexLock lock(&database_mutex_);
  return database_.Get(key);
}

absl::StatusOr<std::vector<StoredRecord>> SqliteStoreImpl::List(absl::string_view prefix) {
  if (!prefix.empty()) RETURN_IF_ERROR(CheckKey(prefix));
  absl::MutexLock lock(&database_mutex_);
  return database_.List(prefix);
}

absl::StatusOr<int64_t> SqliteStoreImpl::Commit(const Transaction& transaction) {
  RETURN_IF_ERROR(CheckTransaction(transaction));
  Waiting waiting{&transaction, std::nullopt};
  absl::MutexLock lock(&queue_mutex_);
  queue_.push_back(&waiting);
  const auto done_or_next = [&] {
    queue_mutex_.AssertReaderHeld();
    return waiting.result.has_value() || !committing_;
  };
  while (!waiting.result.has_value()) {
    queue_mutex_.Await(absl::Condition(&done_or_next));
    if (waiting.result.has_value()) break;
    committing_ = true;
    const std::vector<Waiting*> batch = TakeBatch();
    queue_mutex_.Unlock();
    std::vector<absl::StatusOr<int64_t>> results = RunBatch(batch);
    queue_mutex_.Lock();
    for (size_t i = 0; i < batch.size(); ++i) batch[i]->result = std::move(results[i]);
    committing_ = false;
  }
  return *std::move(waiting.result);
}

std::vector<SqliteStoreImpl::Waiting*> SqliteStoreImpl::TakeBatch() {
  const size_t size = std::min(queue_.size(), kMaxBatch);
  std::vector<Waiting*> batch(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(size));
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(size));
  return batch;
}

std::vector<absl::StatusOr<int64_t>> SqliteStoreImpl::RunBatch(const std::vector<Waiting*>& batch) {
  std::vector<const Transaction*> transactions;
  transactions.reserve(batch.size());
  for (const Waiting* waiting : batch) transactions.push_back(waiting->transaction);
  absl::MutexLock lock(&database_mutex_);
  return database_.CommitAll(transactions);
}

absl::StatusOr<std::unique_ptr<Lease>> SqliteStoreImpl::TakeLease(absl::string_view holder) {
  absl::StatusOr<LeaseFile> file = LeaseFile::Take(absl::StrCat(directory_, "/", kLockName), holder, clock_.Now());
  if (!file.ok()) return Annotate(file.status(), absl::StrCat("the state directory ", directory_));
  absl::MutexLock lock(&database_mutex_);
  ASSIGN_OR_RETURN(const uint64_t epoch, database_.NextEpoch());
  return std::make_unique<SqliteLease>(*std::move(file), epoch);
}

// Others may not be able to put another database, or a link, in the place of ours.
absl::Status CheckDirectory(Directory& directory) {
  ASSIGN_OR_RETURN(const FileInfo info, directory.StatSelf());
  if (info.attributes.owner != geteuid() && info.attributes.owner != 0) {
    return Fail(Reason::PERMISSION_DENIED,
                absl::StrCat("the state directory ", directory.path(), " belongs to user ", info.attributes.owner),
                "it must belong to root or to the user that certcast runs as");
  }
  if ((info.attributes.mode & 022) != 0) {
    return Fail(Reason::PERMISSION_DENIED,
                absl::StrFormat("the state directory %s can be written by group or others (mode %04o)",
                                directory.path(), info.attributes.mode),
                absl::StrCat("chmod 0700 ", directory.path()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Directory>> OpenStateDirectory(const std::string& path,
                                                              const SqliteStoreOptions& options) {
  absl::StatusOr<std::unique_ptr<Directory>> directory =
      options.make ? OpenOrMakeDirectory(*options.files, path, {0700, geteuid(), getegid()})
                   : options.files->OpenDirectory(path);
  if (absl::IsNotFound(directory.status())) {
    return WithHint(absl::FailedPreconditionError(absl::StrCat("there is no state directory ", path)),
                    "run `certcast init`");
  }
  return directory;
}

// An empty file with its final mode, which SQLite gives to the files beside it too.
absl::Status FindOrMakeFile(Directory& directory, bool make) {
  const absl::StatusOr<FileInfo> info = directory.Stat(kDatabaseName);
  if (info.ok()) {
    if (info->kind == FileInfo::Kind::kFile) return absl::OkStatus();
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(directory.path(), "/", kDatabaseName, " is not a regular file"));
  }
  if (!absl::IsNotFound(info.status())) return info.status();
  if (!make) {
    return WithHint(absl::FailedPreconditionError(absl::StrCat("there is no ", directory.path(), "/", kDatabaseName)),
                    "run `certcast init`");
  }
  absl::Status created = directory.CreateFile(kDatabaseName, "", {0600, geteuid(), getegid()});
  if (!created.ok() && !absl::IsAlreadyExists(created)) return created;
  return directory.Sync();
}

absl::StatusOr<std::string> CanonicalPath(const std::string& path) {
  char* canonical = realpath(path.c_str(), nullptr);
  if (canonical == nullptr) return FailErrno(errno, absl::StrCat("resolving ", path));
  std::string result = canonical;
  free(canonical);
  return result;
}

// Where another process is at the same for a new database, SQLite says that it is busy at once, whatever the timeout.
absl::Status SwitchToWal(SqliteConnection& connection, absl::Duration timeout) {
  constexpr absl::Duration kPause = absl::Milliseconds(10);
  absl::Duration waited;
  while (true) {
    absl::Status switched = connection.Execute("PRAGMA journal_mode = WAL;");
    if (ReasonOf(switched) != Reason::BUSY || waited >= timeout) return switched;
    sqlite3_sleep(static_cast<int>(absl::ToInt64Milliseconds(kPause)));
    waited += kPause;
  }
}

absl::Status Configure(SqliteConnection& connection, const SqliteStoreOptions& options) {
  RETURN_IF_ERROR(SwitchToWal(connection, options.busy_timeout));
  RETURN_IF_ERROR(connection.Execute("PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON;"));
  ASSIGN_OR_RETURN(const std::string mode, connection.QueryText("PRAGMA journal_mode"));
  if (mode != "wal") {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(connection.path(), " can't be put into WAL mode, only ", mode),
                "its file system must support shared memory maps: no network file system");
  }
  ASSIGN_OR_RETURN(const int64_t page_size, connection.QueryInteger("PRAGMA page_size"));
  return connection.Execute(
      absl::StrCat("PRAGMA max_page_count = ", std::max<int64_t>(1, options.max_bytes / page_size)).c_str());
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& state_directory,
                                                               const SqliteStoreOptions& options) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, OpenStateDirectory(state_directory, options));
  RETURN_IF_ERROR(CheckDirectory(*directory));
  RETURN_IF_ERROR(FindOrMakeFile(*directory, options.make));
  ASSIGN_OR_RETURN(std::string path, CanonicalPath(state_directory));
  ASSIGN_OR_RETURN(std::unique_ptr<SqliteConnection> connection,
                   SqliteConnection::Open(absl::StrCat(path, "/", kDatabaseName), options.busy_timeout));
  RETURN_IF_ERROR(CheckOrMakeSchema(*connection, options.make));
  RETURN_IF_ERROR(Configure(*connection, options));
  ASSIGN_OR_RETURN(Statements statements, Statements::Prepare(*connection));
  return std::make_unique<SqliteStoreImpl>(std::move(path), Database(std::move(connection), std::move(statements)),
                                           *options.clock);
}

}  // namespace certcast::controller
