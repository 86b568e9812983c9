// Writes a value of a document as text again.
#ifndef CERTCAST_COMMON_YAML_WRITE_H_
#define CERTCAST_COMMON_YAML_WRITE_H_

#include <string>

#include "common/yaml/value.h"

namespace certcast::yaml {

// On one line, in flow style: `{"files": [{"path": "/etc/x", "mode": "0644"}], "timeout": 10}`. Read again it has the
// same kinds, keys and texts, and a number or word stands without quotes where it did. Keys must be shorter than 1000
// characters, as those of known schemas are (YAML 1.2.2 section 7.4.2 allows no more).
std::string WriteFlow(const Value& value);

}  // namespace certcast::yaml

#endif  // CERTCAST_COMMON_YAML_WRITE_H_
