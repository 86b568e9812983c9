#include "tests/simulation/shrink.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace certcast::simulation {
namespace {

constexpr int kMostRuns = 300;

Scenario WithoutNode(Scenario scenario, size_t index) {
  const int gone = static_cast<int>(index);
  scenario.nodes.erase(scenario.nodes.begin() + gone);
  std::vector<FaultEvent>& faults = scenario.faults;
  faults.erase(
      std::remove_if(faults.begin(), faults.end(), [gone](const FaultEvent& fault) { return fault.node == gone; }),
      faults.end());
  for (FaultEvent& fault : faults) {
    if (fault.node > gone) --fault.node;
  }
  return scenario;
}

void WithoutMail(Scenario& scenario) {
  scenario.certificates = 1;
  for (Scenario::Node& node : scenario.nodes) node.has_mail = false;
  std::erase_if(scenario.generations, [](const Scenario::Generation& one) { return one.certificate > 0; });
}

// Each is a little shorter, or less special; what takes most away comes first.
std::vector<Scenario> Candidates(const Scenario& scenario) {
  std::vector<Scenario> candidates;
  const auto add = [&](auto change) {
    Scenario candidate = scenario;
    change(candidate);
    candidates.push_back(std::move(candidate));
  };
  for (size_t i = 0; i < scenario.nodes.size() && scenario.nodes.size() > 1; ++i) {
    Scenario candidate = WithoutNode(scenario, i);
    const auto has_mail = [](const Scenario::Node& node) { return node.has_mail; };
    if (std::none_of(candidate.nodes.begin(), candidate.nodes.end(), has_mail)) WithoutMail(candidate);
    if (!candidate.generations.empty()) candidates.push_back(std::move(candidate));
  }
  for (size_t i = 0; i < scenario.faults.size(); ++i) {
    add([i](Scenario& with) { with.faults.erase(with.faults.begin() + static_cast<int>(i)); });
  }
  for (size_t i = 0; i < scenario.acts.size(); ++i) {
    add([i](Scenario& with) { with.acts.erase(with.acts.begin() + static_cast<int>(i)); });
  }
  if (scenario.certificates > 1) add(WithoutMail);
  if (scenario.generations.size() > 1 && scenario.Latest(scenario.generations.back().certificate) > 1) {
    add([](Scenario& with) { with.generations.pop_back(); });
  }
  if (scenario.policy.windows.has_value()) add([](Scenario& with) { with.policy.windows.reset(); });
  for (size_t i = 0; i < scenario.nodes.size(); ++i) {
    if (scenario.nodes[i].services > 1) add([i](Scenario& with) { with.nodes[i].services = 1; });
    if (scenario.nodes[i].copies) add([i](Scenario& with) { with.nodes[i].copies = false; });
    if (scenario.nodes[i].is_ssh) add([i](Scenario& with) { with.nodes[i].is_ssh = false; });
    if (scenario.nodes[i].is_verified) add([i](Scenario& with) { with.nodes[i].is_verified = false; });
  }
  if (scenario.policy.soak > absl::ZeroDuration()) {
    add([](Scenario& with) { with.policy.soak = absl::ZeroDuration(); });
  }
  if (!scenario.policy.spread_label.empty()) add([](Scenario& with) { with.policy.spread_label.clear(); });
  if (scenario.policy.parallel > 1) add([](Scenario& with) { --with.policy.parallel; });
  for (size_t i = 0; i < scenario.faults.size(); ++i) {
    if (scenario.faults[i].length < absl::Seconds(1)) continue;
    add([i](Scenario& with) { with.faults[i].length /= 2; });
  }
  return candidates;
}

}  // namespace

Shrunk Shrink(const Scenario& scenario, Mutation mutation) {
  Shrunk best = {scenario, RunScenario(scenario, mutation)};
  const std::string rule = best.outcome.violation.rule;
  if (rule.empty()) return best;
  int runs = 0;
  for (bool found = true; found && runs < kMostRuns;) {
    found = false;
    for (Scenario& candidate : Candidates(best.scenario)) {
      if (++runs > kMostRuns) break;
      Outcome outcome = RunScenario(candidate, mutation);
      if (outcome.violation.rule != rule) continue;
      best = {std::move(candidate), std::move(outcome)};
      found = true;
      break;
    }
  }
  return best;
}

}  // namespace certcast::simulation
