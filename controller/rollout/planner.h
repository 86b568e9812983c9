// Who gets a generation when. Pure functions: the same input gives the same plan, on every machine.
#ifndef CERTCAST_CONTROLLER_ROLLOUT_PLANNER_H_
#define CERTCAST_CONTROLLER_ROLLOUT_PLANNER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "controller/config/config.h"

namespace certcast::controller {

// A node that should have the certificate.
struct FleetMember {
  std::string name;
  std::map<std::string, std::string> labels;
  // Has the generation already, and serves it: there is nothing to do.
  bool settled = false;
  // Has it confirmed, but not all is as it was installed.
  bool has_it = false;
  // What it has is not known, or may have changed by its turn: it is asked then.
  bool unseen = false;
};

// Indexes into the fleet. Each member is in exactly one place.
struct RolloutPlan {
  // In the order in which they begin.
  std::vector<std::vector<size_t>> waves;
  std::vector<size_t> settled;
};

// Waves end at the policy's cumulative sizes, shares of the whole fleet rounded up. Settled members count towards these
// sizes, since they prove the generation as well as a canary would; so a rollout that is tried again goes on where the
// last one got to. A wave with nobody in it is dropped, and where the policy ends below 100 % a last wave takes the
// rest.
//
// The order is drawn from the seed and the members' names; the order of `fleet` doesn't matter. With a spread label,
// neighbours have different values of it as far as there are such, so that a wave, the first above all, is spread over
// them.
RolloutPlan PlanRollout(const std::vector<FleetMember>& fleet, const RolloutPolicy& policy, uint64_t seed);

// Members by the value of the spread label: those of one group share a number from 0. kNoGroup: without that label, or
// no label is set.
inline constexpr int kNoGroup = -1;
std::vector<int> SpreadGroups(const std::vector<FleetMember>& fleet, const std::string& spread_label);

struct AdmissionLimits {
  // In flight at once: all in all, and of one group.
  int parallel = 1;
  int per_group = 1;
};

// Of `pending`, in its order, those that may begin now beside the ones in flight. `groups` as from SpreadGroups, by
// index. With nothing in flight at least one may (limits below 1 are taken as 1), so a wave always gets on.
std::vector<size_t> AdmitNodes(const std::vector<size_t>& pending, const std::vector<size_t>& in_flight,
                               const std::vector<int>& groups, const AdmissionLimits& limits);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ROLLOUT_PLANNER_H_
