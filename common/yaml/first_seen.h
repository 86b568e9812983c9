// Finds what may be there only once: names, paths, addresses.
#ifndef CERTCAST_COMMON_YAML_FIRST_SEEN_H_
#define CERTCAST_COMMON_YAML_FIRST_SEEN_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/yaml/value.h"

namespace certcast::yaml {

class FirstSeen {
 public:
  // `what`, for messages: "the node name".
  explicit FirstSeen(absl::string_view what) : what_(what) {}

  // False, and an error that names both places, when `text` was added before. An empty text is not counted: it has its
  // own error.
  bool Add(const std::string& text, const Value& value);

  // The texts and where each was first.
  const absl::flat_hash_map<std::string, Value>& seen() const { return seen_; }

 private:
  std::string what_;
  absl::flat_hash_map<std::string, Value> seen_;
};

}  // namespace certcast::yaml

#endif  // CERTCAST_COMMON_YAML_FIRST_SEEN_H_
