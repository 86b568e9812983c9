#include "controller/cli/plan.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {
namespace {

constexpr size_t kNames = 20;
constexpr int kLines = 10;

using Node = v1::Rollout::Node;

std::string Some(const std::vector<std::string>& names) {
  if (names.size() <= kNames) return absl::StrJoin(names, " ");
  const std::vector<std::string> first(names.begin(), names.begin() + kNames);
  return absl::StrCat(absl::StrJoin(first, " "), " and ", names.size() - kNames, " more");
}

bool IsToCome(const Node& node) {
  return node.wave() > 0 && node.outcome() == v1::Outcome::OUTCOME_UNSPECIFIED;
}

// A line a node, as far as they go.
class Lines {
 public:
  Lines(std::ostream& out, std::string title) : out_(out), title_(std::move(title)) {}
  void Add(const std::string& line) {
    if (count_++ == 0) out_ << "  " << title_ << "\n";
    if (count_ <= kLines) out_ << "    " << Printable(line) << "\n";
  }
  ~Lines() {
    if (count_ > kLines) out_ << "    and " << count_ - kLines << " more\n";
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

 private:
  std::ostream& out_;
  const std::string title_;
  int count_ = 0;
};

void PrintHead(std::ostream& out, const v1::Rollout& rollout, size_t left) {
  out << rollout.certificate() << ": ";
  if (rollout.has_paused_by()) {
    out << "would do nothing before `certcast rollout resume " << rollout.id() << "`: " << Count(left, "node")
        << " left\n";
  } else if (rollout.id().empty()) {
    out << "would roll out generation " << rollout.generation() << " to " << Count(left, "node") << " in "
        << Count(static_cast<size_t>(rollout.waves_size()), "wave") << "\n";
  } else {
    out << "would go on with rollout " << rollout.id() << " of generation " << rollout.generation() << ", which is "
        << v1::Rollout::State_Name(rollout.state()) << ": " << Count(left, "node") << " left\n";
  }
}

void PrintTimes(std::ostream& out, const v1::Rollout& rollout) {
  if (!rollout.window_opens().empty()) {
    out << "  its window is closed and opens " << rollout.window_opens() << "; --now does not wait\n";
  }
  if (rollout.estimated_from() == 0) {
    out << "  estimated time: no history\n";
    return;
  }
  absl::Duration estimate = absl::Milliseconds(rollout.estimated_ms());
  if (estimate > absl::Seconds(10)) estimate = absl::Floor(estimate, absl::Seconds(1));
  out << "  estimated time: " << absl::FormatDuration(estimate) << ", from "
      << Count(static_cast<size_t>(rollout.estimated_from()), "earlier install") << "\n";
}

void PrintServices(std::ostream& out, const std::map<std::string, std::vector<std::string>>& services,
                   absl::string_view does) {
  for (const auto& [service, nodes] : services) {
    out << "  " << does << " " << Printable(service) << " on " << Count(nodes.size(), "node") << ": " << Some(nodes)
        << "\n";
  }
}

void PrintUnreachable(std::ostream& out, const v1::Rollout& rollout) {
  Lines lines(out, "can't be reached now; what runs there is not known:");
  for (const Node& node : rollout.nodes()) {
    if (!IsToCome(node) || node.reason() == Reason::REASON_UNSPECIFIED) continue;
    lines.Add(absl::StrCat(node.name(), ": ", std::string(ReasonName(node.reason())), node.detail().empty() ? "" : ": ",
                           node.detail()));
  }
}

void PrintDrift(std::ostream& out, const v1::Rollout& rollout) {
  Lines lines(out, "is not as it was installed, and would be mended:");
  for (const Node& node : rollout.nodes()) {
    if (!IsToCome(node) || node.reason() != Reason::REASON_UNSPECIFIED || node.detail().empty()) continue;
    lines.Add(absl::StrCat(node.name(), ": ", node.detail()));
  }
}

void PrintObstacles(std::ostream& out, const v1::Rollout& rollout) {
  Lines lines(out, "would refuse it:");
  for (const Node& node : rollout.nodes()) {
    for (const std::string& obstacle : node.obstacles()) lines.Add(absl::StrCat(node.name(), ": ", obstacle));
  }
}

}  // namespace

void PrintPlan(std::ostream& out, const v1::Rollout& rollout) {
  std::map<int, std::vector<std::string>> waves;
  std::map<std::string, std::vector<std::string>> reloads;
  std::map<std::string, std::vector<std::string>> restarts;
  size_t left = 0;
  for (const Node& node : rollout.nodes()) {
    if (!IsToCome(node)) continue;
    ++left;
    waves[node.wave()].push_back(node.name());
    for (const std::string& service : node.reloads()) reloads[service].push_back(node.name());
    for (const std::string& service : node.restarts()) restarts[service].push_back(node.name());
  }
  PrintHead(out, rollout, left);
  if (rollout.has_paused_by()) return;
  for (const auto& [wave, names] : waves) {
    out << "  wave " << wave << ", " << Count(names.size(), "node") << ": " << Some(names) << "\n";
  }
  PrintTimes(out, rollout);
  PrintServices(out, reloads, "would reload");
  PrintServices(out, restarts, "would restart, which loses connections,");
  PrintDrift(out, rollout);
  PrintUnreachable(out, rollout);
  PrintObstacles(out, rollout);
}

}  // namespace certcast::controller::cli
