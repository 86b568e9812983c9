#include "controller/store/sqlite_connection.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kRestoreHint =
    "put the state directory back from a backup; keep the damaged files until it works again";

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteConnection>> SqliteConnection::Open(const std::string& path,
                                                                         absl::Duration busy_timeout) {
  std::unique_ptr<SqliteConnection> connection(new SqliteConnection(path));
  sqlite3* database = nullptr;
  // No mutexes of SQLite's own: the store has one.
  const int code = sqlite3_open_v2(path.c_str(), &database,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, nullptr);
  connection->database_.reset(database);
  if (code != SQLITE_OK) return connection->Error(code, "opening");
  sqlite3_extended_result_codes(database, 1);
  sqlite3_busy_timeout(database, static_cast<int>(absl::ToInt64Milliseconds(busy_timeout)));
  sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection;
}

absl::Status SqliteConnection::Execute(const char* sql) {
  const int code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code, "using");
}

absl::StatusOr<SqliteStatement> SqliteConnection::Prepare(absl::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) return Error(code, "reading");
  return SqliteStatement(*this, statement);
}

absl::StatusOr<int64_t> SqliteConnection::QueryInteger(absl::string_view sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) return Fail(Reason::STORAGE_FAILED, absl::StrCat(path_, " misses its counters"), kRestoreHint);
  return statement.Integer(0);
}

absl::StatusOr<std::string> SqliteConnection::QueryText(absl::string_view sql) {
  ASSIGN_OR_RETURN(SqliteStatement statement, Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Bytes(0) : std::string();
}

absl::Status SqliteConnection::Error(int code, absl::string_view doing) const {
  const std::string what = absl::StrCat(doing, " ", path_);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return FailErrno(ENOSPC, what);
    case SQLITE_NOTADB:
      return Fail(Reason::STORAGE_FAILED, absl::StrCat(path_, " is not a SQLite database"), kRestoreHint);
    case SQLITE_CORRUPT:
      return Fail(Reason::STORAGE_FAILED, absl::StrCat(path_, " is damaged: ", sqlite3_errmsg(database_.get())),
                  kRestoreHint);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Fail(Reason::BUSY, absl::StrCat(what, ": another process has been writing to it for too long"),
                  "find out which: fuser -v names it");
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return Fail(Reason::PERMISSION_DENIED, absl::StrCat(what, ": ", sqlite3_errmsg(database_.get())),
                  "check owner and mode of it, and that its file system is not mounted read-only");
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: {
      const int error = database_ == nullptr ? 0 : sqlite3_system_errno(database_.get());
      if (error != 0) return FailErrno(error, what);
      break;
    }
    default:
      break;
  }
  const char* text = database_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(database_.get());
  return Fail(Reason::STORAGE_FAILED, absl::StrCat(what, ": ", text));
}

void SqliteStatement::BindText(int index, absl::string_view value) {
  sqlite3_bind_text64(statement_.get(), index, value.data(), value.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void SqliteStatement::BindBlob(int index, absl::string_view value) {
  // A null pointer would be NULL, not an empty blob.
  sqlite3_bind_blob64(statement_.get(), index, value.empty() ? "" : value.data(), value.size(), SQLITE_STATIC);
}

void SqliteStatement::BindInteger(int index, int64_t value) {
  sqlite3_bind_int64(statement_.get(), index, value);
}

absl::StatusOr<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_->Error(code, "using");
}

absl::Status SqliteStatement::Run() {
  absl::Status status = Step().status();
  Reset();
  return status;
}

std::string SqliteStatement::Bytes(int column) const {
  const void* bytes = sqlite3_column_blob(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

void SqliteStatement::Reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

}  // namespace certcast::controller
