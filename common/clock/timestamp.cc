#include "common/clock/timestamp.h"

#include <algorithm>
#include <cstdint>

namespace certcast {

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  // The range of the message: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z.
  const absl::Time bounded = std::clamp(time, absl::FromUnixSeconds(-62135596800), absl::FromUnixSeconds(253402300799));
  google::protobuf::Timestamp timestamp;
  const int64_t seconds = absl::ToUnixSeconds(bounded);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(bounded - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

}  // namespace certcast
