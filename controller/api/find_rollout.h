// Which rollout a person means.
#ifndef CERTCAST_CONTROLLER_API_FIND_ROLLOUT_H_
#define CERTCAST_CONTROLLER_API_FIND_ROLLOUT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/config/config.h"

namespace certcast::controller {

// What is meant where no id is given, or only a certificate.
enum class RolloutDefault { kLatest, kUnfinished };

// Heads that `text` names (certcast/v1/api.proto says how), of `heads`, which are sorted with the one that started last
// first. kInvalidArgument where there is none, with the ones that there are.
absl::StatusOr<std::vector<state::v1::Rollout>> MatchRollouts(const std::vector<state::v1::Rollout>& heads,
                                                              const Config& config, absl::string_view text);

// The one that `text` names. kInvalidArgument also where several are meant, with their ids. kUnfinished falls back on
// the latest where none is unfinished.
absl::StatusOr<state::v1::Rollout> FindRollout(const std::vector<state::v1::Rollout>& heads, const Config& config,
                                               absl::string_view text, RolloutDefault meant);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_FIND_ROLLOUT_H_
