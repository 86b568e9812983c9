#include "controller/rollout/planner.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

namespace certcast::controller {
namespace {

// Not std::shuffle: what it does with a generator is each library's own, and a stored seed must give the same plan
// later.
void Shuffle(std::vector<size_t>& members, std::mt19937_64& random) {
  for (size_t i = members.size(); i > 1; --i) std::swap(members[i - 1], members[random() % i]);
}

// Deals the members out one group after the other, the larger groups' surplus last.
std::vector<size_t> Interleave(const std::vector<size_t>& members, const std::vector<int>& groups,
                               std::mt19937_64& random) {
  // Each member without a group is a group of its own.
  std::map<std::pair<int, size_t>, std::vector<size_t>> by_group;
  for (size_t i = 0; i < members.size(); ++i) {
    const int group = groups[members[i]];
    // By its place here, not by its index, which is the configuration's.
    by_group[{group, group == kNoGroup ? i : 0}].push_back(members[i]);
  }
  std::vector<const std::vector<size_t>*> order;
  order.reserve(by_group.size());
  for (const auto& [key, list] : by_group) order.push_back(&list);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);

  std::vector<size_t> dealt;
  dealt.reserve(members.size());
  for (size_t round = 0; dealt.size() < members.size(); ++round) {
    for (const std::vector<size_t>* list : order) {
      if (round < list->size()) dealt.push_back((*list)[round]);
    }
  }
  return dealt;
}

size_t CumulativeSize(const WaveSize& wave, size_t fleet) {
  if (wave.count > 0) return std::min(static_cast<size_t>(wave.count), fleet);
  // 7 % of 100 is 7.000000000000001 in binary; that is not a reason for an eighth node.
  const double exact = static_cast<double>(fleet) * wave.percent / 100.0;
  const double rounded = std::ceil(exact - 1e-9);
  return rounded <= 0 ? 0 : std::min(static_cast<size_t>(rounded), fleet);
}

}  // namespace

RolloutPlan PlanRollout(const std::vector<FleetMember>& fleet, const RolloutPolicy& policy, uint64_t seed) {
  std::vector<size_t> by_name(fleet.size());
  for (size_t i = 0; i < fleet.size(); ++i) by_name[i] = i;
  std::sort(by_name.begin(), by_name.end(), [&](size_t a, size_t b) { return fleet[a].name < fleet[b].name; });

  RolloutPlan plan;
  std::vector<size_t> order;
  for (size_t member : by_name) (fleet[member].settled ? plan.settled : order).push_back(member);
  std::mt19937_64 random(seed);
  Shuffle(order, random);
  if (!policy.spread_label.empty()) order = Interleave(order, SpreadGroups(fleet, policy.spread_label), random);

  std::vector<WaveSize> sizes = policy.waves;
  sizes.push_back({.percent = 100});
  size_t begin = 0;
  for (const WaveSize& size : sizes) {
    const size_t target = CumulativeSize(size, fleet.size());
    const size_t end = target > plan.settled.size() ? target - plan.settled.size() : 0;
    if (end <= begin) continue;
    plan.waves.emplace_back(order.begin() + begin, order.begin() + end);
    begin = end;
  }
  return plan;
}

std::vector<int> SpreadGroups(const std::vector<FleetMember>& fleet, const std::string& spread_label) {
  std::vector<int> groups(fleet.size(), kNoGroup);
  if (spread_label.empty()) return groups;
  // Numbered by value, not by first use, so that the order of the fleet doesn't matter.
  std::map<std::string, int> numbers;
  for (const FleetMember& member : fleet) {
    if (auto label = member.labels.find(spread_label); label != member.labels.end()) numbers[label->second] = 0;
  }
  int next = 0;
  for (auto& [value, number] : numbers) number = next++;
  for (size_t i = 0; i < fleet.size(); ++i) {
    auto label = fleet[i].labels.find(spread_label);
    if (label != fleet[i].labels.end()) groups[i] = numbers[label->second];
  }
  return groups;
}

std::vector<size_t> AdmitNodes(const std::vector<size_t>& pending, const std::vector<size_t>& in_flight,
                               const std::vector<int>& groups, const AdmissionLimits& limits) {
  const size_t parallel = std::max(limits.parallel, 1);
  const int per_group = std::max(limits.per_group, 1);
  // By group; not a map, since a wave of thousands asks this once a node.
  std::vector<int> in_group;
  const auto count_of = [&](size_t member) -> int& {
    const size_t group = static_cast<size_t>(groups[member]);
    if (group >= in_group.size()) in_group.resize(group + 1, 0);
    return in_group[group];
  };
  for (size_t member : in_flight) {
    if (groups[member] != kNoGroup) ++count_of(member);
  }
  std::vector<size_t> admitted;
  for (size_t member : pending) {
    if (in_flight.size() + admitted.size() >= parallel) break;
    if (groups[member] != kNoGroup) {
      int& count = count_of(member);
      if (count >= per_group) continue;
      ++count;
    }
    admitted.push_back(member);
  }
  return admitted;
}

}  // namespace certcast::controller
