// What holds of any plan, for random fleets, policies and seeds.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/rollout/planner.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

constexpr int kRounds = 2000;

struct Draw {
  explicit Draw(uint64_t seed) : random(seed) {
    const int nodes = Below(80);
    const int racks = 1 + Below(8);
    for (int i = 0; i < nodes; ++i) {
      FleetMember member{.name = absl::StrCat("node-", i)};
      if (Below(8) != 0) member.labels["rack"] = absl::StrCat("r", Below(racks));
      member.labels["tier"] = absl::StrCat("t", Below(3));
      member.settled = Below(5) == 0;
      fleet.push_back(std::move(member));
    }
    policy.waves.clear();
    for (int i = Below(5); i > 0; --i) {
      if (Below(2) == 0) {
        policy.waves.push_back({.count = 1 + Below(60)});
      } else {
        policy.waves.push_back({.percent = (1 + Below(1000)) / 10.0});
      }
    }
    if (Below(3) != 0) policy.spread_label = "rack";
    policy.parallel = 1 + Below(12);
    policy.spread_in_flight = 1 + Below(3);
  }

  int Below(int bound) { return static_cast<int>(random() % static_cast<uint64_t>(bound)); }

  std::mt19937_64 random;
  std::vector<FleetMember> fleet;
  RolloutPolicy policy;
};

// Names by wave, and those that are settled last.
std::vector<std::vector<std::string>> NamesOf(const std::vector<FleetMember>& fleet, const RolloutPlan& plan) {
  std::vector<std::vector<std::string>> names;
  for (const std::vector<size_t>& wave : plan.waves) {
    names.emplace_back();
    for (size_t member : wave) names.back().push_back(fleet[member].name);
  }
  names.emplace_back();
  for (size_t member : plan.settled) names.back().push_back(fleet[member].name);
  return names;
}

TEST(PlanProperty, EachNodeIsThereOnce) {
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    const Draw draw(seed);
    const RolloutPlan plan = PlanRollout(draw.fleet, draw.policy, seed);
    std::vector<int> times(draw.fleet.size());
    for (const auto& wave : plan.waves) {
      ASSERT_FALSE(wave.empty()) << "seed " << seed;
      for (size_t member : wave) {
        ++times[member];
        ASSERT_FALSE(draw.fleet[member].settled) << "seed " << seed;
      }
    }
    for (size_t member : plan.settled) {
      ++times[member];
      ASSERT_TRUE(draw.fleet[member].settled) << "seed " << seed;
    }
    ASSERT_EQ(std::count(times.begin(), times.end(), 1), static_cast<int>(times.size())) << "seed " << seed;
  }
}

// In tenths of a percent, so that no rounding of binary fractions is in it.
TEST(PlanProperty, WavesAreCumulative) {
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    const Draw draw(seed);
    const RolloutPlan plan = PlanRollout(draw.fleet, draw.policy, seed);
    const int64_t nodes = static_cast<int64_t>(draw.fleet.size());
    std::set<int64_t> wanted;
    int64_t highest = static_cast<int64_t>(plan.settled.size());
    for (const WaveSize& size : draw.policy.waves) {
      const int64_t tenths = std::llround(size.percent * 10);
      const int64_t end = std::min(nodes, size.count > 0 ? size.count : (nodes * tenths + 999) / 1000);
      // One that adds nobody is no wave.
      if (end > highest) wanted.insert(highest = end);
    }
    if (nodes > highest) wanted.insert(nodes);
    std::set<int64_t> ends;
    int64_t end = static_cast<int64_t>(plan.settled.size());
    for (const auto& wave : plan.waves) ends.insert(end += static_cast<int64_t>(wave.size()));
    ASSERT_EQ(ends, wanted) << "seed " << seed;
  }
}

TEST(PlanProperty, DependsOnSeedNamesAndLabelAlone) {
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    Draw draw(seed);
    const auto plan = NamesOf(draw.fleet, PlanRollout(draw.fleet, draw.policy, seed));
    ASSERT_EQ(plan, NamesOf(draw.fleet, PlanRollout(draw.fleet, draw.policy, seed)));
    std::shuffle(draw.fleet.begin(), draw.fleet.end(), draw.random);
    for (FleetMember& member : draw.fleet) {
      member.labels["tier"] = "other";
      if (draw.policy.spread_label.empty()) member.labels.erase("rack");
    }
    ASSERT_EQ(plan, NamesOf(draw.fleet, PlanRollout(draw.fleet, draw.policy, seed))) << "seed " << seed;
  }
}

// Each wave begins with as many racks as there can be, so that no rack holds all of the canaries.
TEST(PlanProperty, TheFirstWaveIsOverAsManyRacksAsItHasNodes) {
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    Draw draw(seed);
    draw.policy.spread_label = "rack";
    const RolloutPlan plan = PlanRollout(draw.fleet, draw.policy, seed);
    if (plan.waves.empty()) continue;
    const std::vector<int> groups = SpreadGroups(draw.fleet, "rack");
    // A node without the label is a group of its own.
    const auto count = [&](const std::vector<size_t>& members) {
      std::set<std::pair<int, size_t>> different;
      for (size_t member : members) different.insert({groups[member], groups[member] == kNoGroup ? member : 0});
      return different.size();
    };
    std::vector<size_t> all;
    for (const auto& wave : plan.waves) all.insert(all.end(), wave.begin(), wave.end());
    ASSERT_EQ(count(plan.waves[0]), std::min(plan.waves[0].size(), count(all))) << "seed " << seed;
  }
}

TEST(PlanProperty, WavesAreCarriedOutWithinTheirLimitsWhateverEndsWhen) {
  for (uint64_t seed = 0; seed < kRounds; ++seed) {
    Draw draw(seed);
    const RolloutPlan plan = PlanRollout(draw.fleet, draw.policy, seed);
    const std::vector<int> groups = SpreadGroups(draw.fleet, draw.policy.spread_label);
    const AdmissionLimits limits{.parallel = draw.policy.parallel, .per_group = draw.policy.spread_in_flight};
    size_t ended = 0;
    for (const std::vector<size_t>& wave : plan.waves) {
      std::vector<size_t> pending = wave;
      std::vector<size_t> in_flight;
      while (!pending.empty() || !in_flight.empty()) {
        for (size_t member : AdmitNodes(pending, in_flight, groups, limits)) {
          in_flight.push_back(member);
          ASSERT_EQ(std::erase(pending, member), 1u);
        }
        ASSERT_FALSE(in_flight.empty()) << "seed " << seed << " gets stuck";
        ASSERT_LE(in_flight.size(), static_cast<size_t>(limits.parallel));
        std::map<int, int> together;
        for (size_t member : in_flight) {
          if (groups[member] == kNoGroup) continue;
          ASSERT_LE(++together[groups[member]], limits.per_group) << "seed " << seed;
        }
        // Some of them end.
        for (int i = 1 + draw.Below(3); i > 0 && !in_flight.empty(); --i, ++ended) {
          in_flight.erase(in_flight.begin() + draw.Below(static_cast<int>(in_flight.size())));
        }
      }
    }
    ASSERT_EQ(ended + plan.settled.size(), draw.fleet.size());
  }
}

}  // namespace
}  // namespace certcast::controller
