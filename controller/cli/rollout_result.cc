#include "controller/cli/rollout_result.h"

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {
namespace {

// Of those that did not get there.
constexpr size_t kMostNodes = 20;

bool Good(v1::Outcome::Code outcome) {
  return outcome == v1::Outcome::INSTALLED || outcome == v1::Outcome::UNCHANGED;
}

// It did nothing wrong: the rollout did not get to it, or put it back.
bool IsBystander(const v1::Rollout::Node& node) {
  return node.outcome() == v1::Outcome::SKIPPED ||
         (node.outcome() == v1::Outcome::REVERTED && node.reason() == Reason::ROLLOUT_HALTED);
}

std::string Ending(const v1::Rollout::Node& node) {
  std::string text = v1::Outcome::Code_Name(node.outcome());
  if (node.reason() != Reason::REASON_UNSPECIFIED) absl::StrAppend(&text, " ", std::string(ReasonName(node.reason())));
  if (!node.step().empty()) absl::StrAppend(&text, " in ", node.step());
  if (!node.detail().empty()) absl::StrAppend(&text, ": ", node.detail());
  return text;
}

}  // namespace

std::string HowToGoOn(const v1::Rollout& rollout) {
  if (rollout.state() == v1::Rollout::WAITING_FOR_WINDOW) {
    return "`certcast apply` goes on in its window; --wait stays until then, --now does not wait";
  }
  if (rollout.state() != v1::Rollout::PAUSED) return "";
  return absl::StrCat("no further node is touched; ",
                      rollout.has_paused_by() ? absl::StrCat("`certcast rollout resume ", rollout.id(), "`")
                                              : "look at that service, then `certcast apply`",
                      " goes on");
}

int NodesOf(const v1::Rollout::Counts& counts) {
  return counts.open() + counts.good() + counts.failed() + counts.missing() + counts.inconclusive() + counts.skipped();
}

std::string ShowHowFar(const v1::Rollout& rollout) {
  const v1::Rollout::Counts& counts = rollout.counts();
  const int bad = counts.failed() + counts.missing() + counts.inconclusive() + counts.skipped();
  std::string text;
  if (rollout.wave() > 0) text = absl::StrCat("wave ", rollout.wave(), " of ", rollout.waves_size(), ", ");
  absl::StrAppend(&text, counts.good(), " of ", NodesOf(counts), " nodes serve generation ", rollout.generation());
  if (bad > 0) absl::StrAppend(&text, ", ", bad, " do not");
  if (counts.open() > 0) absl::StrAppend(&text, ", ", counts.open(), " to do");
  return text;
}

void PrintRollout(std::ostream& out, const v1::Rollout& rollout) {
  size_t good = 0;
  // Those that could not be reached come last.
  std::map<std::pair<bool, std::string>, const v1::Rollout::Node*> named;
  std::map<std::string, size_t> bystanders;
  for (const v1::Rollout::Node& node : rollout.nodes()) {
    if (Good(node.outcome())) {
      ++good;
    } else if (IsBystander(node)) {
      ++bystanders[Ending(node)];
    } else if (node.outcome() != v1::Outcome::OUTCOME_UNSPECIFIED) {
      named[{node.outcome() == v1::Outcome::UNREACHABLE, node.name()}] = &node;
    }
  }
  out << rollout.certificate() << ": rollout " << rollout.id() << " " << v1::Rollout::State_Name(rollout.state())
      << ", " << good << " of " << rollout.nodes_size() << " nodes serve generation " << rollout.generation() << "\n";
  if (!rollout.because().empty()) out << "  because: " << rollout.because() << "\n";
  if (const std::string hint = HowToGoOn(rollout); !hint.empty()) out << "    hint: " << hint << "\n";
  size_t shown = 0;
  for (const auto& [key, node] : named) {
    if (shown++ == kMostNodes) {
      out << "  and " << named.size() - kMostNodes << " more: `-o json` has all\n";
      break;
    }
    out << "  " << node->name() << ": " << Ending(*node) << "\n";
    PrintLines(out, "    | ", node->stderr());
    if (!node->hint().empty()) out << "    hint: " << node->hint() << "\n";
  }
  for (const auto& [ending, nodes] : bystanders) out << "  " << Count(nodes, "node") << ": " << ending << "\n";
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
