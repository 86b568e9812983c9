#include "node/engine/node_state.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr size_t kSlotBytes = size_t{256} * 1024;
constexpr uint32_t kSchema = 1;
constexpr int kMaxResults = 64;
// A result that is larger is remembered without its probes.
constexpr size_t kMaxResultBytes = size_t{32} * 1024;

}  // namespace

absl::StatusOr<std::unique_ptr<NodeStateFile>> NodeStateFile::Open(std::unique_ptr<Directory> directory,
                                                                   bool read_only) {
  const std::string path = absl::StrCat(directory == nullptr ? "" : directory->path(), "/state");
  auto record = read_only ? ReservedRecord::OpenReadOnly(std::move(directory), "state", kSlotBytes, kSchema)
                          : ReservedRecord::Open(std::move(directory), "state", kSlotBytes, kSchema);
  if (!record.ok()) return record.status();
  NodeState state;
  if (!state.ParseFromString(record->payload())) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(path, " holds a record that this certcast-node can't read"),
                "it was written by a newer certcast-node: install that version again");
  }
  return absl::WrapUnique(new NodeStateFile(*std::move(record), std::move(state)));
}

NodeState NodeStateFile::Get() const {
  absl::MutexLock lock(&mutex_);
  return state_;
}

std::string NodeStateFile::FleetId() const {
  absl::MutexLock lock(&mutex_);
  return state_.fleet_id();
}

uint64_t NodeStateFile::HighestEpoch() const {
  absl::MutexLock lock(&mutex_);
  return state_.highest_epoch();
}

std::optional<absl::Time> NodeStateFile::KnownTime() const {
  absl::MutexLock lock(&mutex_);
  if (!state_.has_known_time()) return std::nullopt;
  return FromTimestamp(state_.known_time());
}

std::vector<NodeState::Certificate> NodeStateFile::Certificates() const {
  absl::MutexLock lock(&mutex_);
  return {state_.certificates().begin(), state_.certificates().end()};
}

NodeState::Certificate NodeStateFile::Certificate(absl::string_view name) const {
  absl::MutexLock lock(&mutex_);
  for (const NodeState::Certificate& certificate : state_.certificates()) {
    if (certificate.name() == name) return certificate;
  }
  NodeState::Certificate none;
  none.set_name(std::string(name));
  return none;
}

std::optional<v1::InstallResult> NodeStateFile::Result(absl::string_view command_id) const {
  absl::MutexLock lock(&mutex_);
  for (const NodeState::Result& result : state_.results()) {
    if (result.command_id() == command_id) return result.result();
  }
  return std::nullopt;
}

absl::Status NodeStateFile::Update(const std::function<void(NodeState&)>& change) {
  absl::MutexLock lock(&mutex_);
  change(state_);
  state_.set_schema(kSchema);
  const auto forget_oldest = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    state_.mutable_results()->DeleteSubrange(0, 1);
  };
  while (state_.results_size() > kMaxResults) forget_oldest();
  std::string bytes = state_.SerializeAsString();
  while (state_.results_size() > 1 && bytes.size() > record_.capacity()) {
    forget_oldest();
    bytes = state_.SerializeAsString();
  }
  absl::Status written = record_.Write(bytes);
  // Changed in place and read again, since a copy for each change costs as much as writing it does.
  if (!written.ok()) state_.ParseFromString(record_.payload());
  return written;
}

NodeState::Certificate& MutableCertificate(NodeState& state, absl::string_view name) {
  for (NodeState::Certificate& certificate : *state.mutable_certificates()) {
    if (certificate.name() == name) return certificate;
  }
  NodeState::Certificate& certificate = *state.add_certificates();
  certificate.set_name(std::string(name));
  return certificate;
}

absl::Status NotEnrolled(absl::string_view node) {
  return Fail(Reason::NOT_ENROLLED, absl::StrCat("node ", node, " belongs to no fleet yet"),
              "certcast-node csr, then certcast nodes sign, then certcast-node accept");
}

absl::Status StaleEpoch(uint64_t epoch, uint64_t highest) {
  return Fail(
      Reason::STALE_EPOCH,
      absl::StrCat("the command is of epoch ", epoch, "; a controller of epoch ", highest, " has taken over since"),
      "does a second controller run on a copy of the state?");
}

void EnterFleet(NodeState& state, absl::string_view fleet_id) {
  const bool changes = !state.fleet_id().empty() && state.fleet_id() != fleet_id;
  state.set_fleet_id(std::string(fleet_id));
  if (!changes) return;
  state.clear_highest_epoch();
  state.clear_results();
  state.clear_known_time();
  for (NodeState::Certificate& certificate : *state.mutable_certificates()) {
    certificate.clear_highest_generation();
    certificate.clear_highest_digest();
    certificate.clear_previous();
    certificate.clear_unconfirmed();
    if (certificate.has_in_force()) certificate.mutable_in_force()->clear_generation();
  }
}

void RememberResult(NodeState& state, absl::string_view command_id, const v1::InstallResult& result) {
  if (command_id.empty()) return;
  for (int i = 0; i < state.results_size(); ++i) {
    if (state.results(i).command_id() != command_id) continue;
    state.mutable_results()->DeleteSubrange(i, 1);
    break;
  }
  NodeState::Result& entry = *state.add_results();
  entry.set_command_id(std::string(command_id));
  *entry.mutable_result() = result;
  if (result.ByteSizeLong() > kMaxResultBytes) entry.mutable_result()->clear_probes();
}

}  // namespace certcast::node
