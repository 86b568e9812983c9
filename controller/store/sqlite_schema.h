// What the store's database looks like, and whether a file is one.
#ifndef CERTCAST_CONTROLLER_STORE_SQLITE_SCHEMA_H_
#define CERTCAST_CONTROLLER_STORE_SQLITE_SCHEMA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "controller/store/sqlite_connection.h"

namespace certcast::controller {

// In the database's header (PRAGMA user_version). Grows with every change that an older certcast must not write over.
constexpr int64_t kSchemaVersion = 1;

// Refuses what is not certcast's, is damaged, or was written by a newer certcast, before anything in it is changed. An
// empty database gets the schema when `make`, and is kFailedPrecondition otherwise.
absl::Status CheckOrMakeSchema(SqliteConnection& connection, bool make);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_STORE_SQLITE_SCHEMA_H_
