// Time zones by their name.
#ifndef CERTCAST_CONTROLLER_SCHEDULE_TIME_ZONE_H_
#define CERTCAST_CONTROLLER_SCHEDULE_TIME_ZONE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::controller {

// A name of the IANA time zone database, `Europe/Berlin` or `UTC`; what means another zone on another machine, as
// `localtime`, is none. Reads the machine's copy of the database ($TZDIR, else /usr/share/zoneinfo).
//
// Errors are kInvalidArgument, `found "Europe/Berlni", expected ...`, with a hint; that the machine has no database at
// all is told apart from a name that is not in it.
absl::StatusOr<absl::TimeZone> FindTimeZone(absl::string_view name);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_SCHEDULE_TIME_ZONE_H_
