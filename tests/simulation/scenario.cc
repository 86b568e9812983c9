#include "tests/simulation/scenario.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "controller/schedule/window.h"
#include "tests/simulation/certificates.h"
#include "tests/simulation/dice.h"

namespace certcast::simulation {
namespace {

using controller::RolloutPolicy;

RolloutPolicy MakePolicy(Dice& dice) {
  RolloutPolicy policy;
  const int shape = dice.Between(0, 3);
  if (shape == 0) policy.waves = {{.percent = 100}};
  if (shape == 1) policy.waves = {{.count = 1}, {.percent = 100}};
  if (shape == 2) policy.waves = {{.count = 1}, {.percent = 50}, {.percent = 100}};
  if (shape == 3) policy.waves = {{.count = 2}, {.percent = 100}};
  policy.parallel = dice.Between(1, 4);
  policy.max_failures = dice.OneIn(2) ? 0 : dice.Between(1, 2);
  if (dice.OneIn(3)) policy.max_unreachable = dice.Between(0, 1);
  policy.on_halt = dice.OneIn(4) ? RolloutPolicy::OnHalt::kStop : RolloutPolicy::OnHalt::kRevert;
  if (dice.OneIn(3)) policy.soak = absl::Milliseconds(dice.Between(100, 900));
  policy.confirm_timeout = absl::Seconds(dice.Between(3, 12));
  policy.node_timeout = absl::Seconds(dice.Between(15, 60));
  if (dice.OneIn(3)) {
    policy.spread_label = "rack";
    policy.spread_in_flight = dice.Between(1, 2);
  }
  return policy;
}

FaultEvent MakeFault(Dice& dice, const Scenario& scenario) {
  FaultEvent fault;
  fault.kind = static_cast<FaultKind>(dice.Between(0, kFaultKinds - 1));
  fault.node = dice.Between(0, static_cast<int>(scenario.nodes.size()) - 1);
  // Most of a rollout is over in a few seconds.
  fault.at =
      dice.Of(scenario.generations).at + dice.Between(absl::ZeroDuration(), absl::Seconds(dice.OneIn(3) ? 15 : 4));
  fault.length = dice.Between(absl::Milliseconds(100), absl::Seconds(dice.OneIn(3) ? 25 : 4));
  fault.dice = dice.Next();
  return fault;
}

OperatorAct MakeAct(Dice& dice, const Scenario& scenario) {
  OperatorAct act;
  act.kind = static_cast<OperatorAct::Kind>(dice.Between(0, kActKinds - 1));
  act.at = dice.Of(scenario.generations).at + dice.Between(absl::ZeroDuration(), absl::Seconds(dice.OneIn(3) ? 20 : 5));
  act.dice = dice.Next();
  return act;
}

std::vector<OperatorAct> MakeActs(Dice dice, const Scenario& scenario) {
  std::vector<OperatorAct> acts;
  if (dice.OneIn(2)) return acts;
  for (int i = dice.Between(1, 4); i > 0; --i) {
    const OperatorAct& act = acts.emplace_back(MakeAct(dice, scenario));
    // Who has it paused wants it to go on later, as a rule.
    if (act.kind != OperatorAct::Kind::kPause || dice.OneIn(3)) continue;
    const absl::Duration at = act.at + dice.Between(absl::Milliseconds(300), absl::Seconds(12));
    acts.push_back({OperatorAct::Kind::kResume, at, dice.Next()});
  }
  std::stable_sort(acts.begin(), acts.end(), [](const OperatorAct& a, const OperatorAct& b) { return a.at < b.at; });
  return acts;
}

// Open every other minute, then for good. The zone's seconds move them against the run's beginning.
std::optional<controller::RolloutWindows> MakeWindows(Dice dice) {
  if (!dice.OneIn(4)) return std::nullopt;
  constexpr int kAlways = 30;
  controller::RolloutWindows windows;
  windows.zone = absl::FixedTimeZone(dice.Between(0, 119));
  for (int minute = 0; minute < kAlways; minute += 2) {
    windows.weekly.push_back({.start = minute, .end = minute + 1});
  }
  windows.weekly.push_back({.start = kAlways, .end = controller::WeeklyWindow::kDay});
  return windows;
}

// A second one, for some of the nodes.
void AddCertificate(Dice dice, Scenario& scenario) {
  if (!dice.OneIn(3)) return;
  scenario.certificates = 2;
  for (Scenario::Node& node : scenario.nodes) node.has_mail = !dice.OneIn(3);
  scenario.nodes[0].has_mail = true;
  absl::Duration at = dice.Between(absl::ZeroDuration(), absl::Seconds(3));
  for (int i = dice.Between(1, 2); i > 0; --i) {
    scenario.generations.push_back({at, 1});
    at += dice.Between(absl::Seconds(1), absl::Seconds(12));
  }
  std::stable_sort(scenario.generations.begin(), scenario.generations.end(),
                   [](const Scenario::Generation& a, const Scenario::Generation& b) { return a.at < b.at; });
}

}  // namespace

int Scenario::Latest(int certificate) const {
  return static_cast<int>(std::count_if(generations.begin(), generations.end(),
                                        [&](const Generation& one) { return one.certificate == certificate; }));
}

absl::string_view NameOf(OperatorAct::Kind kind) {
  static constexpr absl::string_view kNames[kActKinds] = {"pause", "resume", "abort", "undo", "retry"};
  return kNames[static_cast<int>(kind)];
}

absl::string_view NameOf(FaultKind kind) {
  static constexpr absl::string_view kNames[kFaultKinds] = {
      "partition",      "message loss",  "message delay", "late delivery",     "killed agent",      "frozen agent",
      "power loss",     "slow disk",     "full disk",     "clock skew",        "flapping probe",    "lying reload",
      "failing reload", "failing check", "service down",  "killed controller", "frozen controller", "taken lease",
      "stop",           "slow store",    "failing store"};
  return kNames[static_cast<int>(kind)];
}

absl::Duration Scenario::horizon() const {
  absl::Duration end;
  for (const Generation& generation : generations) end = std::max(end, generation.at);
  for (const FaultEvent& fault : faults) end = std::max(end, fault.at + fault.length);
  for (const OperatorAct& act : acts) end = std::max(end, act.at + absl::Seconds(3));
  return end + absl::Seconds(1);
}

std::string Scenario::Describe() const {
  std::string text = absl::StrCat(
      "seed ", seed, ": ", nodes.size(), " nodes, parallel ", policy.parallel, ", max_failures ", policy.max_failures,
      ", ", policy.on_halt == RolloutPolicy::OnHalt::kRevert ? "revert" : "stop", " on halt, ", policy.waves.size(),
      " waves, confirm_timeout ", absl::FormatDuration(policy.confirm_timeout));
  if (policy.max_unreachable.has_value()) absl::StrAppend(&text, ", max_unreachable ", *policy.max_unreachable);
  if (!policy.spread_label.empty()) absl::StrAppend(&text, ", ", policy.spread_in_flight, " a rack");
  if (policy.windows.has_value()) absl::StrAppend(&text, ", windows of a minute in ", policy.windows->zone.name());
  for (size_t i = 0; i < nodes.size(); ++i) {
    absl::StrAppend(&text, "\n  node-", i, ": rack ", nodes[i].rack, ", ", nodes[i].services, " services",
                    nodes[i].copies ? ", copies" : "", nodes[i].is_verified ? "" : ", not seen by the controller",
                    nodes[i].has_mail ? ", mail" : "", nodes[i].is_ssh ? ", over SSH" : "");
  }
  for (size_t i = 0; i < generations.size(); ++i) {
    absl::StrAppendFormat(&text, "\n  %9.3f s a generation of %s is brought", absl::ToDoubleSeconds(generations[i].at),
                          NameOfCertificate(generations[i].certificate));
  }
  for (const FaultEvent& fault : faults) {
    absl::StrAppendFormat(&text, "\n  %9.3f s %s, for %.3f s, node-%d", absl::ToDoubleSeconds(fault.at),
                          std::string(NameOf(fault.kind)), absl::ToDoubleSeconds(fault.length), fault.node);
  }
  for (const OperatorAct& act : acts) {
    absl::StrAppendFormat(&text, "\n  %9.3f s operator: %s", absl::ToDoubleSeconds(act.at),
                          std::string(NameOf(act.kind)));
  }
  return text;
}

Scenario MakeScenario(uint64_t seed, bool with_faults) {
  Dice dice(seed, 1);
  Scenario scenario;
  scenario.seed = seed;
  scenario.policy = MakePolicy(dice);
  const int count = dice.OneIn(4) ? dice.Between(5, 9) : dice.Between(1, 4);
  for (int i = 0; i < count; ++i) {
    scenario.nodes.push_back({.services = dice.OneIn(3) ? 2 : 1,
                              .copies = dice.OneIn(4),
                              .is_verified = !dice.OneIn(3),
                              .rack = dice.Between(0, 1)});
  }
  Dice links(seed, 8);
  const bool has_ssh = links.OneIn(3);
  for (Scenario::Node& node : scenario.nodes) node.is_ssh = has_ssh && links.OneIn(2);
  absl::Duration at;
  for (int i = dice.Between(1, 3); i > 0; --i) {
    scenario.generations.push_back({at});
    at += dice.OneIn(3) ? dice.Between(absl::Seconds(1), absl::Seconds(4)) : absl::Seconds(dice.Between(10, 25));
  }
  if (!with_faults) {
    AddCertificate(Dice(seed, 7), scenario);
    return scenario;
  }
  for (int i = dice.Between(1, 6); i > 0; --i) scenario.faults.push_back(MakeFault(dice, scenario));
  std::stable_sort(scenario.faults.begin(), scenario.faults.end(),
                   [](const FaultEvent& a, const FaultEvent& b) { return a.at < b.at; });
  scenario.acts = MakeActs(Dice(seed, 5), scenario);
  scenario.policy.windows = MakeWindows(Dice(seed, 6));
  AddCertificate(Dice(seed, 7), scenario);
  return scenario;
}

}  // namespace certcast::simulation
