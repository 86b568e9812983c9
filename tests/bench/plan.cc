// How long planning takes, from 1,000 to 100,000 nodes.
//
// Measured: the plan itself (`Plan`), with a spread label and without; the record of a rollout that is made of it
// (`Record`); the estimate of its time (`Estimate`). What grows faster than the fleet shows in the fit that Google
// Benchmark prints (BigO).
//
// Not measured: asking the nodes what they have, which --dry-run does first (see fanout), and writing the record (see
// store).
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "controller/rollout/estimate.h"
#include "controller/rollout/planner.h"
#include "controller/rollout/record.h"

namespace certcast::bench {
namespace {

using controller::FleetMember;
using controller::RolloutPlan;
using controller::RolloutPolicy;

constexpr uint64_t kSeed = 20300101;
constexpr int kNodesARack = 40;

std::vector<FleetMember> Fleet(int64_t nodes) {
  std::vector<FleetMember> fleet;
  for (int64_t i = 0; i < nodes; ++i) {
    FleetMember member{.name = absl::StrCat("node-", i, ".rack-", i % (nodes / kNodesARack), ".example.com")};
    member.labels = {{"rack", absl::StrCat("rack-", i % (nodes / kNodesARack))}, {"role", "web"}};
    // As after a rollout that did not reach everybody.
    member.settled = i % 100 == 0;
    fleet.push_back(std::move(member));
  }
  return fleet;
}

RolloutPolicy Policy(bool spread) {
  RolloutPolicy policy;
  policy.waves = {{.count = 1}, {.percent = 10}, {.percent = 100}};
  if (spread) policy.spread_label = "rack";
  return policy;
}

void Plan(benchmark::State& state, bool spread) {
  const std::vector<FleetMember> fleet = Fleet(state.range(0));
  const RolloutPolicy policy = Policy(spread);
  for (auto _ : state) {
    RolloutPlan plan = PlanRollout(fleet, policy, kSeed);
    benchmark::DoNotOptimize(plan);
  }
  state.SetComplexityN(state.range(0));
}
BENCHMARK_CAPTURE(Plan, plain, false)->RangeMultiplier(10)->Range(1'000, 100'000)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Plan, spread, true)
    ->RangeMultiplier(10)
    ->Range(1'000, 100'000)
    ->Unit(benchmark::kMillisecond)
    ->Complexity();

void Record(benchmark::State& state) {
  const std::vector<FleetMember> fleet = Fleet(state.range(0));
  const RolloutPolicy policy = Policy(true);
  for (auto _ : state) {
    auto rollout = controller::MakeRollout({"wildcard", 7, std::string(64, 'a')}, fleet, policy, kSeed,
                                           absl::FromUnixSeconds(1893456000));
    benchmark::DoNotOptimize(rollout);
  }
}
BENCHMARK(Record)->RangeMultiplier(10)->Range(1'000, 100'000)->Unit(benchmark::kMillisecond);

void Estimate(benchmark::State& state) {
  const std::vector<FleetMember> fleet = Fleet(state.range(0));
  const RolloutPolicy policy = Policy(true);
  const RolloutPlan plan = PlanRollout(fleet, policy, kSeed);
  for (auto _ : state) {
    const std::vector<int> groups = SpreadGroups(fleet, policy.spread_label);
    benchmark::DoNotOptimize(EstimateRollout(plan.waves, groups, policy, absl::Seconds(2)));
  }
}
BENCHMARK(Estimate)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace certcast::bench

// Flags are Google Benchmark's: bazel run -c opt //tests/bench:plan -- --benchmark_format=json
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
