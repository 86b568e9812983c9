#include "controller/store/sqlite_schema.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

// PRAGMA application_id: "cert".
constexpr int64_t kApplicationId = 0x63657274;

constexpr char kSchema[] = R"sql(
CREATE TABLE record (
  key TEXT NOT NULL PRIMARY KEY,
  value BLOB NOT NULL,
  revision INTEGER NOT NULL
) STRICT;
CREATE TABLE counter (
  name TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counter (name, value) VALUES ('revision', 0), ('epoch', 0);
)sql";

struct Header {
  int64_t application_id = 0;
  int64_t version = 0;
  int64_t tables = 0;
};

// Within a transaction: all three as of one moment, since another process may be making the database.
absl::StatusOr<Header> ReadHeader(SqliteConnection& connection) {
  Header header;
  ASSIGN_OR_RETURN(header.application_id, connection.QueryInteger("PRAGMA application_id"));
  ASSIGN_OR_RETURN(header.version, connection.QueryInteger("PRAGMA user_version"));
  ASSIGN_OR_RETURN(header.tables, connection.QueryInteger("SELECT count(*) FROM sqlite_schema"));
  return header;
}

bool IsEmpty(const Header& header) {
  return header.application_id == 0 && header.version == 0 && header.tables == 0;
}

absl::Status CheckHeader(const Header& header, const std::string& path) {
  if (header.application_id != kApplicationId) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(path, " is another program's database, not certcast's"),
                "let `state` in the configuration name certcast's own directory");
  }
  if (header.version > kSchemaVersion) {
    return Fail(Reason::STORAGE_FAILED,
                absl::StrCat(path, " was written by a newer certcast: it has schema ", header.version,
                             ", this one knows up to ", kSchemaVersion),
                "run the newer certcast, or put a backup from before the upgrade back");
  }
  return absl::OkStatus();
}

// The end of a transaction whose last call ended with `status`.
absl::Status Finish(SqliteConnection& connection, absl::Status status) {
  if (status.ok()) status = connection.Execute("COMMIT");
  if (!status.ok() && connection.in_transaction()) return KeepFirst(status, connection.Execute("ROLLBACK"));
  return status;
}

absl::StatusOr<Header> LookAtHeader(SqliteConnection& connection) {
  RETURN_IF_ERROR(connection.Execute("BEGIN"));
  absl::StatusOr<Header> header = ReadHeader(connection);
  RETURN_IF_ERROR(Finish(connection, header.status()));
  return header;
}

absl::Status MakeSchema(SqliteConnection& connection) {
  RETURN_IF_ERROR(connection.Execute("BEGIN IMMEDIATE"));
  // Another process may have made it since we looked.
  const absl::StatusOr<Header> header = ReadHeader(connection);
  absl::Status status = header.status();
  if (status.ok() && IsEmpty(*header)) {
    status = connection.Execute(absl::StrCat(kSchema, "PRAGMA application_id = ", kApplicationId,
                                             "; PRAGMA user_version = ", kSchemaVersion, ";")
                                    .c_str());
  }
  return Finish(connection, std::move(status));
}

absl::Status CheckStructure(SqliteConnection& connection) {
  ASSIGN_OR_RETURN(const std::string result, connection.QueryText("PRAGMA quick_check(1)"));
  if (result == "ok") return absl::OkStatus();
  return Fail(Reason::STORAGE_FAILED, absl::StrCat(connection.path(), " is damaged: ", result),
              "put the state directory back from a backup; keep the damaged files until it works again");
}

}  // namespace

absl::Status CheckOrMakeSchema(SqliteConnection& connection, bool make) {
  ASSIGN_OR_RETURN(const Header header, LookAtHeader(connection));
  if (!IsEmpty(header)) {
    RETURN_IF_ERROR(CheckHeader(header, connection.path()));
    return CheckStructure(connection);
  }
  if (!make) {
    return WithHint(absl::FailedPreconditionError(absl::StrCat(connection.path(), " is empty")), "run `certcast init`");
  }
  return MakeSchema(connection);
}

}  // namespace certcast::controller
