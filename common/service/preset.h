// How well-known servers check their configuration and reload it.
#ifndef CERTCAST_COMMON_SERVICE_PRESET_H_
#define CERTCAST_COMMON_SERVICE_PRESET_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace certcast {

struct Preset {
  absl::string_view name;
  std::vector<std::string> check;
  std::vector<std::string> reload;
};

// With the paths that Debian's packages use.
const std::vector<Preset>& Presets();

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_PRESET_H_
