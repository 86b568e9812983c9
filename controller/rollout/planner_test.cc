#include "controller/rollout/planner.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<FleetMember> Fleet(int nodes, int racks = 0) {
  std::vector<FleetMember> fleet;
  for (int i = 0; i < nodes; ++i) {
    fleet.push_back({.name = absl::StrCat("node-", i)});
    if (racks > 0) fleet.back().labels["rack"] = absl::StrCat("r", i % racks);
  }
  return fleet;
}

RolloutPolicy Waves(std::vector<WaveSize> waves) {
  RolloutPolicy policy;
  policy.waves = std::move(waves);
  return policy;
}

std::vector<size_t> Sizes(const RolloutPlan& plan) {
  std::vector<size_t> sizes;
  for (const auto& wave : plan.waves) sizes.push_back(wave.size());
  return sizes;
}

std::vector<std::string> Names(const std::vector<FleetMember>& fleet, const RolloutPlan& plan) {
  std::vector<std::string> names;
  for (const auto& wave : plan.waves) {
    for (size_t member : wave) names.push_back(fleet[member].name);
  }
  return names;
}

TEST(PlanRollout, CutsWavesAtCumulativeSizes) {
  const RolloutPolicy policy = Waves({{.count = 1}, {.percent = 10}, {.percent = 100}});
  EXPECT_THAT(Sizes(PlanRollout(Fleet(100), policy, 1)), ElementsAre(1, 9, 90));
}

TEST(PlanRollout, RoundsSharesUp) {
  EXPECT_THAT(Sizes(PlanRollout(Fleet(11), Waves({{.percent = 10}, {.percent = 50}, {.percent = 100}}), 1)),
              ElementsAre(2, 4, 5));
}

TEST(PlanRollout, DoesNotRoundUpForWhatBinaryFractionsAdd) {
  // 0.07 * 100 is 7.000000000000001.
  EXPECT_THAT(Sizes(PlanRollout(Fleet(100), Waves({{.percent = 0.07 * 100}, {.percent = 100}}), 1)),
              ElementsAre(7, 93));
}

TEST(PlanRollout, DropsEmptyWaves) {
  const RolloutPolicy policy = Waves({{.count = 1}, {.percent = 10}, {.percent = 100}});
  EXPECT_THAT(Sizes(PlanRollout(Fleet(3), policy, 1)), ElementsAre(1, 2));
  EXPECT_THAT(Sizes(PlanRollout(Fleet(1), policy, 1)), ElementsAre(1));
  EXPECT_THAT(PlanRollout({}, policy, 1).waves, IsEmpty());
}

TEST(PlanRollout, EndsWithEverybodyWhateverThePolicySays) {
  EXPECT_THAT(Sizes(PlanRollout(Fleet(10), Waves({{.count = 2}}), 1)), ElementsAre(2, 8));
  EXPECT_THAT(Sizes(PlanRollout(Fleet(10), Waves({}), 1)), ElementsAre(10));
  EXPECT_THAT(Sizes(PlanRollout(Fleet(10), Waves({{.count = 500}}), 1)), ElementsAre(10));
}

TEST(PlanRollout, LeavesSettledNodesAloneAndCountsThemAsProof) {
  std::vector<FleetMember> fleet = Fleet(100);
  for (int i = 0; i < 5; ++i) fleet[i].settled = true;
  const RolloutPlan plan = PlanRollout(fleet, Waves({{.count = 1}, {.percent = 10}, {.percent = 100}}), 1);
  EXPECT_THAT(plan.settled, SizeIs(5));
  EXPECT_THAT(Sizes(plan), ElementsAre(5, 90));
}

TEST(PlanRollout, HasNothingToDoForAConvergedFleet) {
  std::vector<FleetMember> fleet = Fleet(10);
  for (FleetMember& member : fleet) member.settled = true;
  EXPECT_THAT(PlanRollout(fleet, {}, 1).waves, IsEmpty());
}

TEST(PlanRollout, DependsOnTheSeedAndNotOnTheOrderOfTheFleet) {
  std::vector<FleetMember> fleet = Fleet(50, 5);
  RolloutPolicy policy;
  policy.spread_label = "rack";
  const std::vector<std::string> once = Names(fleet, PlanRollout(fleet, policy, 7));
  EXPECT_EQ(once, Names(fleet, PlanRollout(fleet, policy, 7)));
  EXPECT_NE(once, Names(fleet, PlanRollout(fleet, policy, 8)));
  std::reverse(fleet.begin(), fleet.end());
  EXPECT_EQ(once, Names(fleet, PlanRollout(fleet, policy, 7)));
}

TEST(PlanRollout, GivesEachNodeTheCanarysPlaceForSomeSeed) {
  const std::vector<FleetMember> fleet = Fleet(5);
  std::set<size_t> canaries;
  for (uint64_t seed = 0; seed < 200; ++seed) canaries.insert(PlanRollout(fleet, {}, seed).waves[0][0]);
  EXPECT_THAT(canaries, SizeIs(5));
}

TEST(PlanRollout, IsThePlanThatWasPrintedForThisSeedBefore) {
  // A change here changes what a stored seed means.
  const std::vector<FleetMember> fleet = Fleet(6, 3);
  RolloutPolicy policy = Waves({{.count = 1}, {.percent = 50}, {.percent = 100}});
  policy.spread_label = "rack";
  EXPECT_THAT(Names(fleet, PlanRollout(fleet, policy, 42)),
              ElementsAre("node-1", "node-3", "node-5", "node-4", "node-0", "node-2"));
}

TEST(PlanRollout, TakesTheCanariesFromDifferentRacks) {
  const std::vector<FleetMember> fleet = Fleet(40, 4);
  RolloutPolicy policy = Waves({{.count = 4}, {.percent = 100}});
  policy.spread_label = "rack";
  for (uint64_t seed = 0; seed < 50; ++seed) {
    std::set<std::string> racks;
    const RolloutPlan plan = PlanRollout(fleet, policy, seed);
    for (size_t member : plan.waves[0]) racks.insert(fleet[member].labels.at("rack"));
    EXPECT_THAT(racks, SizeIs(4)) << "seed " << seed;
  }
}

TEST(PlanRollout, TakesEachNodeOfAnyFleetExactlyOnce) {
  std::mt19937_64 random(20300101);
  for (int round = 0; round < 500; ++round) {
    std::vector<FleetMember> fleet = Fleet(random() % 60, random() % 6);
    for (FleetMember& member : fleet) {
      member.settled = random() % 4 == 0;
      if (random() % 8 == 0) member.labels.clear();
    }
    RolloutPolicy policy = Waves({});
    for (uint64_t i = random() % 5; i > 0; --i) {
      if (random() % 2 == 0) {
        policy.waves.push_back({.count = static_cast<int>(1 + random() % 40)});
      } else {
        policy.waves.push_back({.percent = static_cast<double>(random() % 1000) / 10});
      }
    }
    if (random() % 2 == 0) policy.spread_label = "rack";
    const RolloutPlan plan = PlanRollout(fleet, policy, random());

    std::multiset<size_t> seen(plan.settled.begin(), plan.settled.end());
    for (size_t member : plan.settled) EXPECT_TRUE(fleet[member].settled);
    size_t cumulative = plan.settled.size();
    std::set<size_t> ends;
    for (const auto& wave : plan.waves) {
      EXPECT_FALSE(wave.empty());
      for (size_t member : wave) EXPECT_FALSE(fleet[member].settled);
      seen.insert(wave.begin(), wave.end());
      ends.insert(cumulative += wave.size());
    }
    EXPECT_EQ(seen.size(), fleet.size());
    for (size_t member = 0; member < fleet.size(); ++member) EXPECT_EQ(seen.count(member), 1u);
    // A wave ends where the policy says or with the fleet.
    for (size_t end : ends) {
      const bool wanted = std::any_of(policy.waves.begin(), policy.waves.end(), [&](const WaveSize& size) {
        const double target = size.count > 0 ? size.count : std::ceil(fleet.size() * size.percent / 100 - 1e-9);
        return end == static_cast<size_t>(target);
      });
      EXPECT_TRUE(wanted || end == fleet.size()) << "round " << round << " ends a wave at " << end;
    }
  }
}

TEST(SpreadGroups, NumbersByValueAndLeavesTheUnlabelledAlone) {
  std::vector<FleetMember> fleet = Fleet(4);
  fleet[0].labels["rack"] = "b";
  fleet[1].labels["rack"] = "a";
  fleet[3].labels["rack"] = "b";
  EXPECT_THAT(SpreadGroups(fleet, "rack"), ElementsAre(1, 0, kNoGroup, 1));
  EXPECT_THAT(SpreadGroups(fleet, ""), ElementsAre(kNoGroup, kNoGroup, kNoGroup, kNoGroup));
}

TEST(AdmitNodes, FillsUpToParallel) {
  const std::vector<int> groups(6, kNoGroup);
  EXPECT_THAT(AdmitNodes({0, 1, 2, 3}, {4, 5}, groups, {.parallel = 4}), ElementsAre(0, 1));
  EXPECT_THAT(AdmitNodes({0, 1}, {2, 3, 4, 5}, groups, {.parallel = 4}), IsEmpty());
}

TEST(AdmitNodes, PassesOverNodesWhoseRackIsBusy) {
  const std::vector<int> groups = {0, 0, 1, kNoGroup, 0};
  EXPECT_THAT(AdmitNodes({0, 1, 2, 3}, {4}, groups, {.parallel = 10, .per_group = 1}), ElementsAre(2, 3));
  EXPECT_THAT(AdmitNodes({0, 1, 2, 3}, {4}, groups, {.parallel = 10, .per_group = 2}), ElementsAre(0, 2, 3));
}

TEST(AdmitNodes, AlwaysGetsOn) {
  const std::vector<int> groups = {0, 0};
  EXPECT_THAT(AdmitNodes({0, 1}, {}, groups, {.parallel = 0, .per_group = 0}), ElementsAre(0));
}

TEST(AdmitNodes, KeepsItsBoundsInAnyOrderOfEvents) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    const AdmissionLimits limits = {.parallel = static_cast<int>(1 + random() % 8),
                                    .per_group = static_cast<int>(1 + random() % 3)};
    std::vector<size_t> pending;
    std::vector<int> groups;
    for (size_t i = 0; i < 1 + random() % 40; ++i) {
      pending.push_back(i);
      groups.push_back(static_cast<int>(random() % 5) - 1);
    }
    std::vector<size_t> in_flight;
    std::set<size_t> begun;
    while (!pending.empty() || !in_flight.empty()) {
      for (size_t member : AdmitNodes(pending, in_flight, groups, limits)) {
        EXPECT_TRUE(begun.insert(member).second);
        in_flight.push_back(member);
        std::erase(pending, member);
      }
      std::map<int, int> in_group;
      for (size_t member : in_flight) ++in_group[groups[member]];
      EXPECT_LE(in_flight.size(), static_cast<size_t>(limits.parallel));
      for (const auto& [group, count] : in_group) EXPECT_TRUE(group == kNoGroup || count <= limits.per_group);
      ASSERT_FALSE(in_flight.empty());
      in_flight.erase(in_flight.begin() + random() % in_flight.size());
    }
    EXPECT_EQ(begun.size(), groups.size());
  }
}

TEST(Planner, TakesTenThousandNodesInItsStride) {
  const std::vector<FleetMember> fleet = Fleet(10000, 100);
  RolloutPolicy policy;
  policy.spread_label = "rack";
  const RolloutPlan plan = PlanRollout(fleet, policy, 1);
  EXPECT_THAT(Sizes(plan), ElementsAre(1, 999, 9000));
  // Every node's end asks anew who may begin.
  std::vector<size_t> pending = plan.waves[2];
  std::vector<size_t> in_flight;
  const std::vector<int> groups = SpreadGroups(fleet, policy.spread_label);
  size_t begun = 0;
  while (!pending.empty() || !in_flight.empty()) {
    for (size_t member : AdmitNodes(pending, in_flight, groups, {.parallel = 64, .per_group = 1})) {
      ++begun;
      in_flight.push_back(member);
      pending.erase(std::find(pending.begin(), pending.end(), member));
    }
    in_flight.erase(in_flight.begin());
  }
  EXPECT_EQ(begun, 9000u);
}

}  // namespace
}  // namespace certcast::controller
