// Who writes the TXT records of dns-01: the part of `challenge` that is named after its solver.
#ifndef CERTCAST_CONTROLLER_CONFIG_READ_TXT_WRITER_H_
#define CERTCAST_CONTROLLER_CONFIG_READ_TXT_WRITER_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/yaml/value.h"
#include "controller/config/challenge.h"

namespace certcast::controller {

// What `solver` may be.
const std::vector<absl::string_view>& TxtWriterNames();
// `value`: what stands under the solver's name. Another solver than those above: nothing is read.
void ReadTxtWriter(const std::string& solver, const yaml::Value& value, ChallengeConfig& challenge);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_READ_TXT_WRITER_H_
