// Times on the wire and on disk.
#ifndef CERTCAST_COMMON_CLOCK_TIMESTAMP_H_
#define CERTCAST_COMMON_CLOCK_TIMESTAMP_H_

#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

namespace certcast {

// To the nanosecond; what is beyond years 1 to 9999 is cut to them.
google::protobuf::Timestamp ToTimestamp(absl::Time time);
absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp);

}  // namespace certcast

#endif  // CERTCAST_COMMON_CLOCK_TIMESTAMP_H_
