// Numbers in sentences.
#ifndef CERTCAST_COMMON_STATUS_COUNT_H_
#define CERTCAST_COMMON_STATUS_COUNT_H_

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace certcast {

// `1 node`, `2 nodes`.
inline std::string Count(size_t count, absl::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

}  // namespace certcast

#endif  // CERTCAST_COMMON_STATUS_COUNT_H_
