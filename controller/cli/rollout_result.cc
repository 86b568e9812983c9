#include "controller/cli/rollout_result.h"

#include <cstddef>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {
namespace {

// Of those that did not get there: the first by name.
constexpr size_t kMostNodes = 20;

bool Good(v1::Outcome::Code outcome) {
  return outcome == v1::Outcome::INSTALLED || outcome == v1::Outcome::UNCHANGED;
}

}  // namespace

void PrintRollout(std::ostream& out, const v1::Rollout& rollout) {
  int good = 0;
  for (const auto& node : rollout.nodes()) good += Good(node.outcome());
  out << rollout.certificate() << ": rollout " << rollout.id() << " " << v1::Rollout::State_Name(rollout.state())
      << ", " << good << " of " << rollout.nodes_size() << " nodes serve generation " << rollout.generation() << "\n";
  if (!rollout.because().empty()) out << "  because: " << rollout.because() << "\n";
  if (rollout.state() == v1::Rollout::PAUSED) {
    const std::string verb = rollout.has_paused_by() ? absl::StrCat("rollout resume ", rollout.id()) : "apply";
    out << "    hint: no further node is touched; " << (rollout.has_paused_by() ? "" : "look at that service, then ")
        << "`certcast " << verb << "` goes on\n";
  }
  if (rollout.state() == v1::Rollout::WAITING_FOR_WINDOW) {
    out << "    hint: `certcast apply` goes on in its window; --wait stays until then, --now does not wait\n";
  }
  std::map<std::string, const v1::Rollout::Node*> others;
  for (const auto& node : rollout.nodes()) {
    if (!Good(node.outcome()) && node.outcome() != v1::Outcome::OUTCOME_UNSPECIFIED) others[node.name()] = &node;
  }
  size_t shown = 0;
  for (const auto& [name, other] : others) {
    if (shown++ == kMostNodes) {
      out << "  and " << others.size() - kMostNodes << " more: `-o json` has all\n";
      break;
    }
    const v1::Rollout::Node& node = *other;
    out << "  " << node.name() << ": " << v1::Outcome::Code_Name(node.outcome());
    if (node.reason() != Reason::REASON_UNSPECIFIED) out << " " << ReasonName(node.reason());
    if (!node.step().empty()) out << " in " << node.step();
    if (!node.detail().empty()) out << ": " << node.detail();
    out << "\n";
    PrintLines(out, "    | ", node.stderr());
    if (!node.hint().empty()) out << "    hint: " << node.hint() << "\n";
  }
}

ExitCode ExitCodeOfRollout(const v1::Rollout& rollout) {
  switch (rollout.state()) {
    case v1::Rollout::COMPLETED:
      return kDone;
    case v1::Rollout::HALTED:
    case v1::Rollout::REVERTING:
    case v1::Rollout::REVERTED:
      return kHalted;
    default:
      return kNotConverged;
  }
}

}  // namespace certcast::controller::cli
