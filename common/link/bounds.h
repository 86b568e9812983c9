// What both ends of the link hold each other to (link.proto, design section 4).
#ifndef CERTCAST_COMMON_LINK_BOUNDS_H_
#define CERTCAST_COMMON_LINK_BOUNDS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace certcast {

inline constexpr size_t kMaxLinkMessage = size_t{1024} * 1024;
inline constexpr int kMaxLinkMetadata = 8 * 1024;
inline constexpr int kMaxStreamsPerConnection = 16;
inline constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);
// A peer that is gone without a word is noticed after the two of them.
inline constexpr absl::Duration kKeepaliveTime = absl::Seconds(30);
inline constexpr absl::Duration kKeepaliveTimeout = absl::Seconds(10);

}  // namespace certcast

#endif  // CERTCAST_COMMON_LINK_BOUNDS_H_
