#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"
#include "controller/config/sections.h"

namespace certcast::controller {
namespace {

constexpr absl::string_view kWaves = R"(cumulative sizes such as ["1", "10%", "100%"])";
constexpr size_t kMaxWaves = 32;
constexpr int kMaxNodes = 100'000;
constexpr int kMaxParallel = 10'000;

// `1` or `10%`. Nothing after an error.
std::optional<WaveSize> ReadWave(const yaml::Value& value) {
  constexpr absl::string_view kExpected = "a number of nodes such as 1, or a share such as 10%";
  const std::string text = value.Text(kExpected);
  if (text.empty()) return std::nullopt;
  if (absl::EndsWith(text, "%")) {
    const auto percent = ParsePercent(text);
    value.Fail(percent.status());
    return percent.ok() ? std::optional<WaveSize>({.percent = *percent}) : std::nullopt;
  }
  const auto count = ParseWholeNumber(text);
  if (count.ok() && *count >= 1 && *count <= kMaxNodes) return WaveSize{.count = *count};
  value.FailExpected(kExpected);
  return std::nullopt;
}

// How big a share of a fleet is depends on the fleet, so numbers are compared with numbers and shares with shares.
bool IsAbove(const WaveSize& next, const WaveSize& before) {
  if (next.count != 0) return before.count != 0 && next.count > before.count;
  return before.count != 0 || next.percent > before.percent;
}

std::vector<WaveSize> ReadWaves(const yaml::Value& value) {
  std::vector<WaveSize> waves;
  const std::vector<yaml::Value> items = value.Items(kWaves, 1, kMaxWaves);
  for (const yaml::Value& item : items) {
    const std::optional<WaveSize> wave = ReadWave(item);
    if (!wave) return waves;
    if (!waves.empty() && !IsAbove(*wave, waves.back())) {
      item.FailExpected("more than in the wave before, and numbers before shares", "waves are cumulative");
      return waves;
    }
    waves.push_back(*wave);
  }
  if (!waves.empty() && waves.back().percent != 100) {
    items.back().FailExpected("100% as the last wave", R"(add "100%": the rollout ends when every node has it)");
  }
  return waves;
}

void ReadSpread(const yaml::Value& value, RolloutPolicy& policy) {
  if (!value) return;
  const yaml::Map map = value.ReadMap("a map with label and in_flight", {"label", "in_flight"});
  policy.spread_label = map.Require("label", "nodes that share its value are spread over time").Text("a label");
  policy.spread_in_flight = map.Find("in_flight").Integer(1, kMaxParallel, policy.spread_in_flight);
}

}  // namespace

RolloutPolicy ReadRolloutPolicy(const yaml::Value& value) {
  RolloutPolicy policy;
  if (!value) return policy;
  const yaml::Map map = value.ReadMap("a map of rollout settings",
                                      {"waves", "parallel", "max_failures", "max_unreachable", "on_halt", "soak",
                                       "confirm_timeout", "node_timeout", "timeout", "spread", "windows"});
  if (const yaml::Value waves = map.Find("waves")) policy.waves = ReadWaves(waves);
  policy.parallel = map.Find("parallel").Integer(1, kMaxParallel, policy.parallel);
  policy.max_failures = map.Find("max_failures").Integer(0, kMaxNodes, policy.max_failures);
  if (const yaml::Value most = map.Find("max_unreachable")) policy.max_unreachable = most.Integer(0, kMaxNodes, 0);
  if (const yaml::Value on_halt = map.Find("on_halt")) {
    policy.on_halt =
        on_halt.Word({"revert", "stop"}) == "stop" ? RolloutPolicy::OnHalt::kStop : RolloutPolicy::OnHalt::kRevert;
  }
  policy.soak = map.Find("soak").Duration(absl::ZeroDuration(), absl::Hours(24 * 7), policy.soak);
  policy.confirm_timeout =
      map.Find("confirm_timeout").Duration(absl::Seconds(1), absl::Hours(1), policy.confirm_timeout);
  policy.node_timeout = map.Find("node_timeout").Duration(absl::Seconds(1), absl::Hours(1), policy.node_timeout);
  if (const yaml::Value timeout = map.Find("timeout")) {
    policy.timeout = timeout.Duration(absl::Seconds(1), absl::Hours(24 * 30), policy.timeout);
  }
  ReadSpread(map.Find("spread"), policy);
  if (const yaml::Value windows = map.Find("windows")) policy.windows = ReadWindows(windows);
  return policy;
}

}  // namespace certcast::controller
