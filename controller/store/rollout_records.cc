#include "controller/store/rollout_records.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/store/record_io.h"

namespace certcast::controller {
namespace {

using state::v1::Rollout;

// Rollouts of one certificate and generation that begin in the same second.
constexpr int kMaxTries = 100;

std::string HeadKey(absl::string_view id) {
  return absl::StrCat("rollouts/", id);
}
std::string NodesPrefix(absl::string_view id) {
  return absl::StrCat("rollout-nodes/", id, "/");
}
std::string NodeKey(absl::string_view id, absl::string_view node) {
  return absl::StrCat(NodesPrefix(id), node);
}

absl::Status NoSuchRollout(absl::string_view id) {
  return absl::NotFoundError(absl::StrCat("there is no rollout ", id));
}

// Six digits, so that they sort as the times do; until 2088.
std::string Base36(int64_t unix_seconds) {
  constexpr int64_t kFirst = 1577836800;  // 2020-01-01
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string text(6, '0');
  int64_t rest = std::max<int64_t>(0, unix_seconds - kFirst);
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, rest /= 36) *digit = kDigits[rest % 36];
  return text;
}

bool StartedLater(const Rollout& a, const Rollout& b) {
  const auto when = [](const Rollout& r) { return std::pair(r.started_at().seconds(), r.started_at().nanos()); };
  return std::pair(when(a), a.id()) > std::pair(when(b), b.id());
}

absl::Status CheckNew(const Rollout& rollout) {
  RETURN_IF_ERROR(CheckKeyPart("certificate", rollout.certificate()));
  if (rollout.generation() == 0 || !rollout.has_started_at()) {
    return FailInput(absl::StrCat("a rollout of ", rollout.certificate(), " without generation or start"));
  }
  std::set<absl::string_view> names;
  for (const Rollout::Node& node : rollout.nodes()) {
    RETURN_IF_ERROR(CheckKeyPart("node", node.result().name()));
    if (!names.insert(node.result().name()).second) {
      return FailInput(
          absl::StrCat("the node ", node.result().name(), " is twice in a rollout of ", rollout.certificate()));
    }
  }
  return absl::OkStatus();
}

Transaction::Write PutHeadOf(const Rollout& rollout) {
  if (rollout.nodes().empty()) return PutOf(HeadKey(rollout.id()), rollout);
  Rollout head = rollout;
  head.clear_nodes();
  return PutOf(HeadKey(rollout.id()), head);
}

}  // namespace

absl::StatusOr<std::string> RolloutRecords::Create(Rollout rollout, uint64_t epoch) {
  RETURN_IF_ERROR(CheckNew(rollout));
  std::vector<Rollout::Node> nodes(rollout.nodes().begin(), rollout.nodes().end());
  rollout.clear_nodes();
  absl::Status status;
  for (int tries = 0; tries < kMaxTries; ++tries) {
    rollout.set_id(absl::StrCat(rollout.certificate(), "-", rollout.generation(), "-",
                                Base36(rollout.started_at().seconds() + tries)));
    RETURN_IF_ERROR(CheckKeyPart("rollout", rollout.id()));
    Transaction transaction;
    transaction.epoch = epoch;
    transaction.compares.push_back({HeadKey(rollout.id()), 0});
    transaction.writes.push_back(PutHeadOf(rollout));
    for (size_t i = 0; i < nodes.size(); ++i) {
      nodes[i].set_position(static_cast<int32_t>(i));
      transaction.writes.push_back(PutOf(NodeKey(rollout.id(), nodes[i].result().name()), nodes[i]));
    }
    RETURN_IF_ERROR(DropOldest(rollout.certificate(), transaction));
    status = store_.Commit(transaction).status();
    if (status.ok()) return rollout.id();
    if (!absl::IsAborted(status)) return status;
  }
  return status;
}

absl::Status RolloutRecords::DropOldest(absl::string_view certificate, Transaction& transaction) {
  ASSIGN_OR_RETURN(const std::vector<Rollout> heads, List(certificate));
  size_t kept = 0;
  for (const Rollout& head : heads) {
    if (!head.has_finished_at() || ++kept <= kKeptFinished) continue;
    ASSIGN_OR_RETURN(std::vector<StoredRecord> nodes, store_.List(NodesPrefix(head.id())));
    // What does not fit goes with the next rollout.
    if (transaction.writes.size() + nodes.size() >= kMaxTransactionWrites) break;
    transaction.writes.push_back(DeleteOf(HeadKey(head.id())));
    transaction.writes.push_back(DeleteOf(absl::StrCat("rollout-requests/", head.id())));
    for (StoredRecord& node : nodes) transaction.writes.push_back(DeleteOf(std::move(node.key)));
  }
  return absl::OkStatus();
}

absl::Status RolloutRecords::PutHead(const Rollout& rollout, uint64_t epoch) {
  return PutHeadAndNodes(rollout, {}, epoch);
}

absl::Status RolloutRecords::PutHeadAndNodes(const Rollout& rollout, absl::Span<const Rollout::Node> nodes,
                                             uint64_t epoch) {
  RETURN_IF_ERROR(CheckKeyPart("rollout", rollout.id()));
  ASSIGN_OR_RETURN(const auto head, ReadRevisioned<Rollout>(store_, HeadKey(rollout.id())));
  if (head.revision == 0) return NoSuchRollout(rollout.id());
  ASSIGN_OR_RETURN(Transaction transaction, NodeWrites(rollout.id(), nodes));
  transaction.epoch = epoch;
  transaction.writes.push_back(PutHeadOf(rollout));
  return store_.Commit(transaction).status();
}

absl::Status RolloutRecords::PutNodes(absl::string_view id, absl::Span<const Rollout::Node> nodes, uint64_t epoch) {
  RETURN_IF_ERROR(CheckKeyPart("rollout", id));
  ASSIGN_OR_RETURN(Transaction transaction, NodeWrites(id, nodes));
  transaction.epoch = epoch;
  return store_.Commit(transaction).status();
}

absl::StatusOr<Transaction> RolloutRecords::NodeWrites(absl::string_view id, absl::Span<const Rollout::Node> nodes) {
  Transaction transaction;
  for (const Rollout::Node& node : nodes) {
    RETURN_IF_ERROR(CheckKeyPart("node", node.result().name()));
    std::string key = NodeKey(id, node.result().name());
    ASSIGN_OR_RETURN(const auto stored, ReadRevisioned<Rollout::Node>(store_, key));
    if (stored.revision == 0) {
      return absl::NotFoundError(absl::StrCat("the node ", node.result().name(), " is not in the rollout ", id));
    }
    Rollout::Node changed = node;
    changed.set_position(stored.message.position());
    transaction.writes.push_back(PutOf(std::move(key), changed));
  }
  return transaction;
}

absl::StatusOr<std::optional<Rollout>> RolloutRecords::Get(absl::string_view id) {
  RETURN_IF_ERROR(CheckKeyPart("rollout", id));
  ASSIGN_OR_RETURN(std::optional<Rollout> rollout, ReadRecord<Rollout>(store_, HeadKey(id)));
  if (!rollout.has_value()) return rollout;
  ASSIGN_OR_RETURN(std::vector<Rollout::Node> nodes, ListRecords<Rollout::Node>(store_, NodesPrefix(id)));
  std::sort(nodes.begin(), nodes.end(),
            [](const Rollout::Node& a, const Rollout::Node& b) { return a.position() < b.position(); });
  for (Rollout::Node& node : nodes) *rollout->add_nodes() = std::move(node);
  return rollout;
}

absl::StatusOr<std::vector<Rollout>> RolloutRecords::List(absl::string_view certificate) {
  ASSIGN_OR_RETURN(std::vector<Rollout> heads, ListRecords<Rollout>(store_, "rollouts/"));
  std::erase_if(heads, [&](const Rollout& head) { return !certificate.empty() && head.certificate() != certificate; });
  std::sort(heads.begin(), heads.end(), StartedLater);
  return heads;
}

absl::StatusOr<std::vector<Rollout>> RolloutRecords::Unfinished() {
  ASSIGN_OR_RETURN(std::vector<Rollout> heads, List(""));
  std::erase_if(heads, [](const Rollout& head) { return head.has_finished_at(); });
  return heads;
}

}  // namespace certcast::controller
