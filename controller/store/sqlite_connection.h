// SQLite as RAII: a connection, prepared statements, and errors that operators understand.
#ifndef CERTCAST_CONTROLLER_STORE_SQLITE_CONNECTION_H_
#define CERTCAST_CONTROLLER_STORE_SQLITE_CONNECTION_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::controller {

class SqliteStatement;

// Thread-compatible; its statements count as the connection.
class SqliteConnection {
 public:
  // Opens an existing file. A symbolic link anywhere in `path` is refused, so it is to be canonical.
  static absl::StatusOr<std::unique_ptr<SqliteConnection>> Open(const std::string& path, absl::Duration busy_timeout);

  // Runs statements that give no rows, or whose rows don't matter.
  absl::Status Execute(const char* sql);
  absl::StatusOr<SqliteStatement> Prepare(absl::string_view sql);
  // The first column of the only row.
  absl::StatusOr<int64_t> QueryInteger(absl::string_view sql);
  absl::StatusOr<std::string> QueryText(absl::string_view sql);

  // SQLite ends a transaction by itself after some errors (full disk).
  bool in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }
  const std::string& path() const { return path_; }

  // NO_SPACE, BUSY, PERMISSION_DENIED or STORAGE_FAILED, with the path and, for a damaged database, what to do.
  absl::Status Error(int code, absl::string_view doing) const;

 private:
  struct Closer {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };

  explicit SqliteConnection(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::unique_ptr<sqlite3, Closer> database_;
};

// A prepared statement. Must not outlive its connection.
class SqliteStatement {
 public:
  // Indexes from 1. Bound text and blobs are not copied: they must live until Reset.
  void BindText(int index, absl::string_view value);
  void BindBlob(int index, absl::string_view value);
  void BindInteger(int index, int64_t value);

  // Whether there is a row.
  absl::StatusOr<bool> Step();
  // Steps a statement that gives no rows.
  absl::Status Run();

  // Columns from 0; valid until the next Step.
  int64_t Integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::string Bytes(int column) const;

  // Ready to be bound and run again. An error of the last Step was given by Step already.
  void Reset();

 private:
  friend class SqliteConnection;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  SqliteStatement(const SqliteConnection& connection, sqlite3_stmt* statement)
      : connection_(&connection), statement_(statement) {}

  const SqliteConnection* connection_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// Resets a statement at the end of a scope, whatever happened in it.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(SqliteStatement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.Reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  SqliteStatement& statement_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_SQLITE_CONNECTION_H_
