#include "controller/cli/status_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/rollout_result.h"
#include "controller/cli/table.h"

namespace certcast::controller::cli {
namespace {

using Row = v1::StatusResponse::Node;

// What a screen holds: the first by name of those that are not as they should be.
std::vector<const Row*> RowsForAScreen(const v1::StatusResponse& response) {
  constexpr size_t kMost = 20;
  std::vector<const Row*> rows;
  for (const Row& row : response.nodes()) {
    if (row.state() != Row::CONVERGED) rows.push_back(&row);
  }
  std::sort(rows.begin(), rows.end(), [](const Row* a, const Row* b) { return a->name() < b->name(); });
  rows.resize(std::min(rows.size(), kMost));
  return rows;
}

std::vector<const Row*> AllRows(const v1::StatusResponse& response) {
  std::vector<const Row*> rows;
  for (const Row& row : response.nodes()) rows.push_back(&row);
  return rows;
}

// It ended otherwise, and a node came to it by itself, or by hand.
bool IsMendedSince(const v1::Rollout& rollout, const v1::StatusResponse::Certificate& certificate) {
  const bool ended_badly = rollout.state() == v1::Rollout::INCOMPLETE || rollout.state() == v1::Rollout::HALTED ||
                           rollout.state() == v1::Rollout::REVERTED;
  return ended_badly && certificate.total() > 0 && certificate.converged() == certificate.total();
}

std::string NextStep(const v1::Rollout& rollout, uint64_t wanted) {
  const std::string look = absl::StrCat("`certcast rollout status ", rollout.id());
  const std::string why = absl::StrCat(look, "` says which nodes and why; `certcast apply` ");
  const std::string again = wanted == rollout.generation() ? "" : absl::StrCat("brings generation ", wanted);
  switch (rollout.state()) {
    case v1::Rollout::COMPLETED:
      return "";
    case v1::Rollout::PAUSED:
    case v1::Rollout::WAITING_FOR_WINDOW:
      return HowToGoOn(rollout);
    case v1::Rollout::INCOMPLETE:
      return absl::StrCat(why, again.empty() ? "tries them again" : again);
    case v1::Rollout::HALTED:
    case v1::Rollout::REVERTED:
      if (!again.empty()) return why + again;
      return absl::StrCat(why, "tries generation ", wanted, " again, which is still the wanted one");
    default:
      return absl::StrCat(look, " --watch` follows it; where nobody is at work on it, `certcast apply` goes on");
  }
}

void PrintLastRollout(std::ostream& out, const v1::StatusResponse::Certificate& certificate, const Rollouts& rollouts) {
  if (certificate.rollout_id().empty()) return;
  const auto found = rollouts.find(certificate.rollout_id());
  if (found == rollouts.end()) {
    out << "; last rollout " << certificate.rollout_id() << " " << v1::Rollout::State_Name(certificate.rollout_state());
    return;
  }
  const v1::Rollout& rollout = found->second;
  out << "\n  rollout " << rollout.id() << " " << v1::Rollout::State_Name(rollout.state()) << ", "
      << ShowHowFar(rollout);
  if (!rollout.because().empty()) out << "\n    because: " << rollout.because();
  if (IsMendedSince(rollout, certificate)) {
    out << "\n    since then every node has come to generation " << certificate.generation();
    return;
  }
  if (const std::string next = NextStep(rollout, certificate.generation()); !next.empty()) {
    out << "\n    hint: " << next;
  }
}

std::string ShowDetail(const Row& node) {
  std::string detail = node.reason() == Reason::REASON_UNSPECIFIED ? "" : std::string(ReasonName(node.reason()));
  absl::StrAppend(&detail, detail.empty() || node.detail().empty() ? "" : ": ", node.detail());
  if (node.state() != Row::UNREACHABLE || !node.has_last_seen()) return detail;
  return absl::StrCat(detail, "; last seen ", ShowTime(node.last_seen()));
}

}  // namespace

void PrintStatus(std::ostream& out, const v1::StatusResponse& response, const Rollouts& rollouts, bool watched) {
  for (const auto& certificate : response.certificates()) {
    out << certificate.name() << ": " << certificate.converged() << " of " << certificate.total() << " nodes serve ";
    if (certificate.generation() == 0) {
      out << "it: nothing was issued or imported yet\n";
      continue;
    }
    out << "generation " << certificate.generation() << ", SHA-256 " << certificate.leaf_sha256() << "\n  expires "
        << ShowTime(certificate.not_after());
    if (certificate.has_renew_at()) out << ", renewal due " << ShowTime(certificate.renew_at());
    if (!certificate.renew_reason().empty()) out << " (" << Printable(certificate.renew_reason()) << ")";
    PrintLastRollout(out, certificate, rollouts);
    out << "\n";
  }
  const std::vector<const Row*> rows = watched ? RowsForAScreen(response) : AllRows(response);
  if (rows.empty()) return;
  Table table({"NODE", "CERTIFICATE", "STATE", "GENERATION", "INSTALLED", "SERVED", "SINCE", "DETAIL"});
  for (const Row* row : rows) {
    const Row& node = *row;
    table.AddRow({node.name(), node.certificate(), v1::StatusResponse::Node::State_Name(node.state()),
                  node.state() == Row::UNREACHABLE ? "-" : absl::StrCat(node.generation()),
                  ShortFingerprint(node.installed_sha256()), ShortFingerprint(node.served_sha256()),
                  ShowTime(node.since()), ShowDetail(node)});
  }
  out << "\n";
  table.Print(out);
  const int missing = response.total() - response.converged();
  if (watched && static_cast<size_t>(missing) > rows.size()) {
    out << "and " << static_cast<size_t>(missing) - rows.size() << " more\n";
  }
}

}  // namespace certcast::controller::cli
