#include "controller/api/roll_out.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/manifest/manifest.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "controller/api/note.h"
#include "controller/api/revoked_rollouts.h"
#include "controller/api/windows.h"
#include "controller/keyring/purposes.h"
#include "controller/rollout/executor.h"
#include "controller/rollout/record.h"
#include "controller/rollout/request_watch.h"
#include "controller/rollout/stored_rollout_log.h"
#include "controller/store/records.h"
#include "controller/store/rollout_records.h"

namespace certcast::controller {
namespace {

// Signs the generation's bundle; the private key is open only in here.
absl::StatusOr<v1::Bundle> BundleOf(Session& session, const Clock& clock, const std::string& certificate,
                                    uint64_t number) {
  ASSIGN_OR_RETURN(auto generation, GenerationRecords(*session.store).Get(certificate, number));
  if (!generation.has_value()) {
    return Fail(Reason::STORAGE_FAILED,
                absl::StrCat("generation ", number, " of ", certificate, " is not in the store"));
  }
  ASSIGN_OR_RETURN(Secret key,
                   session.keyring->Open(GenerationKeyPurpose(certificate, number), generation->private_key()));
  BundleInput input;
  input.fleet_id = session.keyring->fleet_id();
  input.certificate = certificate;
  input.generation = number;
  input.fullchain_pem = generation->fullchain_pem();
  input.private_key_pem = &key;
  input.signed_at = clock.Now();
  return MakeBundle(input, session.keyring->manifest_key());
}

// Until the node is asked again: it has the rollout's generation, or may have it.
void NoteInForce(const state::v1::Rollout& rollout, v1::Inventory& inventory) {
  auto& all = *inventory.mutable_certificates();
  auto has = std::find_if(all.begin(), all.end(), [&](const v1::Inventory::Certificate& certificate) {
    return certificate.name() == rollout.certificate();
  });
  v1::Inventory::Certificate& noted = has == all.end() ? *all.Add() : *has;
  if (noted.generation() == rollout.generation()) return;
  const uint64_t previous = noted.generation();
  noted.Clear();
  noted.set_name(rollout.certificate());
  noted.set_generation(rollout.generation());
  noted.set_leaf_sha256(rollout.leaf_sha256());
  noted.set_previous_generation(previous);
}

// Until the node is asked again: it went back from the rollout's generation.
void NoteBack(const state::v1::Rollout& rollout, v1::Inventory& inventory) {
  for (v1::Inventory::Certificate& noted : *inventory.mutable_certificates()) {
    if (noted.name() != rollout.certificate() || noted.generation() != rollout.generation()) continue;
    const uint64_t previous = noted.previous_generation();
    noted.Clear();
    noted.set_name(rollout.certificate());
    noted.set_generation(previous);
  }
}

// Whether the node had its turn, forwards or back, since the rollout was as `before`.
bool HadItsTurn(const state::v1::Rollout::Node& before, const state::v1::Rollout::Node& ended) {
  return before.step() != state::v1::Rollout::Node::DONE || before.attempt() != ended.attempt() ||
         before.result().outcome() != ended.result().outcome();
}

}  // namespace

std::vector<FleetMember> MembersOf(const Config& config, const CertificateConfig& certificate, const FleetView& view) {
  using Row = v1::StatusResponse::Node;
  std::map<std::string, const Row*> rows;
  for (const Row* row : RowsOf(view, certificate.name)) rows[row->name()] = row;
  std::vector<FleetMember> fleet;
  for (const NodeConfig* node : config.NodesOf(certificate)) {
    FleetMember& member = fleet.emplace_back();
    member.name = node->name;
    member.labels = node->labels;
    const auto row = rows.find(node->name);
    if (row == rows.end()) continue;
    member.settled = row->second->state() == Row::CONVERGED;
    // One that is FAILED may have refused to say; one that waits for Confirm may still get it.
    member.unseen = row->second->state() == Row::UNREACHABLE || row->second->state() == Row::FAILED ||
                    row->second->reason() == Reason::NOT_CONFIRMED;
    // Other reasons for DRIFTED are another generation, or one that was not confirmed.
    member.has_it = row->second->state() == Row::DRIFTED && row->second->reason() == Reason::REASON_UNSPECIFIED;
  }
  return fleet;
}

bool AllSettled(const std::vector<FleetMember>& fleet) {
  return std::all_of(fleet.begin(), fleet.end(), [](const FleetMember& member) { return member.settled; });
}

bool IsAtRest(const state::v1::Rollout& rollout) {
  return rollout.state() == v1::Rollout::PAUSED || rollout.state() == v1::Rollout::WAITING_FOR_WINDOW;
}

std::string SayHeld(const v1::Rollout& rollout) {
  return absl::StrCat("rollout ", rollout.id(), " was ", rollout.because(), " on ",
                      ShowUtc(FromTimestamp(rollout.paused_by().at())), ": nothing is done with ",
                      rollout.certificate(), ", its renewal included, before `certcast rollout resume ", rollout.id(),
                      "`");
}

uint64_t SeedOf(const std::string& certificate, uint64_t generation) {
  return std::stoull(Sha256Hex(absl::StrCat(certificate, "/", generation)).substr(0, 16), nullptr, 16);
}

absl::StatusOr<RolloutRunner> RolloutRunner::Make(const Config& config, const Machine& machine, Session& session,
                                                  const OnProgress& on_progress, const std::atomic<bool>& stop) {
  RolloutRunner runner(config, machine, session, on_progress, stop);
  RETURN_IF_ERROR(runner.Reconnect());
  return runner;
}

absl::Status RolloutRunner::Reconnect() {
  ASSIGN_OR_RETURN(ControllerIdentity identity, session_->keyring->LoadControllerIdentity());
  ASSIGN_OR_RETURN(transport_, machine_->make_transport(session_->keyring->fleet_id(), std::move(identity)));
  return absl::OkStatus();
}

void RolloutRunner::Note(const state::v1::Rollout& rollout, const std::string& text) {
  (*on_progress_)(MakeNote(text, rollout.certificate(), rollout.id()));
}

absl::Status RolloutRunner::RecordOverride(const CertificateConfig& certificate, state::v1::Rollout& rollout) {
  *rollout.add_windows_overridden() = *windows_overridden_by_;
  RETURN_IF_ERROR(RolloutRecords(*session_->store).PutHead(rollout, session_->epoch()));
  if (MayBeginAt(certificate, machine_->clock->Now()) <= machine_->clock->Now()) return absl::OkStatus();
  Note(rollout, absl::StrCat("its window is closed; ", windows_overridden_by_->user(), " wants it now"));
  return absl::OkStatus();
}

// Why a rollout must not be gone on with, as it stands, since something is revoked; nullopt: it may.
absl::StatusOr<std::optional<std::string>> RolloutRunner::WhyNotOn(const state::v1::Rollout& rollout) {
  if (rollout.state() == v1::Rollout::REVERTING) return WhyNotBack(*session_->store, rollout);
  // It goes back, as far as KeepFromRevoked lets it, or ends where it is.
  if (rollout.state() == v1::Rollout::HALTED) return std::nullopt;
  return WhyNotForwards(*session_->store, rollout);
}

// Why one that was left is ended, not gone on with.
absl::StatusOr<std::optional<std::string>> RolloutRunner::WhyPointless(const state::v1::Rollout& rollout) {
  ASSIGN_OR_RETURN(std::optional<std::string> revoked, WhyNotOn(rollout));
  if (revoked.has_value() || !IsAtRest(rollout)) return revoked;
  ASSIGN_OR_RETURN(auto wanted, GenerationRecords(*session_->store).Wanted(rollout.certificate()));
  if (wanted.has_value() && wanted->generation() == rollout.generation()) return std::nullopt;
  return absl::StrCat("generation ", wanted.has_value() ? wanted->generation() : 0, " is wanted instead of ",
                      rollout.generation());
}

absl::Status RolloutRunner::End(const state::v1::Rollout& rollout, const std::string& because) {
  const state::v1::Rollout ended = EndPaused(rollout, because, machine_->clock->Now());
  const std::vector<state::v1::Rollout::Node> nodes(ended.nodes().begin(), ended.nodes().end());
  RETURN_IF_ERROR(RolloutRecords(*session_->store).PutHeadAndNodes(ended, nodes, session_->epoch()));
  Note(rollout,
       absl::StrCat("rollout ", rollout.id(), IsAtRest(rollout) ? " is not gone on with: " : " ends here: ", because));
  return absl::OkStatus();
}

absl::StatusOr<bool> RolloutRunner::EndIfPointless(const state::v1::Rollout& rollout) {
  ASSIGN_OR_RETURN(const std::optional<std::string> because, WhyPointless(rollout));
  if (because.has_value()) RETURN_IF_ERROR(End(rollout, *because));
  return because.has_value();
}

absl::Status RolloutRunner::EndOthers(const CertificateConfig& certificate, uint64_t generation) {
  RolloutRecords records(*session_->store);
  ASSIGN_OR_RETURN(const std::vector<state::v1::Rollout> heads, records.Unfinished());
  for (const state::v1::Rollout& head : heads) {
    if (head.certificate() != certificate.name || head.generation() == generation) continue;
    ASSIGN_OR_RETURN(const std::optional<state::v1::Rollout> rollout, records.Get(head.id()));
    if (!rollout.has_value()) continue;
    RETURN_IF_ERROR(End(*rollout, absl::StrCat("generation ", generation, " replaces it, since a key is out")));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Rollout>> RolloutRunner::ResumeUnfinished(const CertificateConfig& certificate) {
  RolloutRecords records(*session_->store);
  ASSIGN_OR_RETURN(std::vector<state::v1::Rollout> heads, records.Unfinished());
  std::vector<v1::Rollout> resumed;
  for (const state::v1::Rollout& head : heads) {
    if (head.certificate() != certificate.name || !head.has_paused_by()) continue;
    ASSIGN_OR_RETURN(const std::optional<state::v1::Rollout> rollout, records.Get(head.id()));
    resumed.push_back(ShowRollout(rollout.value_or(head)));
    return resumed;
  }
  for (auto head = heads.rbegin(); head != heads.rend(); ++head) {
    if (head->certificate() != certificate.name) continue;
    ASSIGN_OR_RETURN(std::optional<state::v1::Rollout> rollout, records.Get(head->id()));
    if (!rollout.has_value()) continue;
    ASSIGN_OR_RETURN(const bool ended, EndIfPointless(*rollout));
    if (ended) continue;
    const absl::string_view was = rollout->state() == v1::Rollout::PAUSED               ? "was paused"
                                  : rollout->state() == v1::Rollout::WAITING_FOR_WINDOW ? "waits for its window"
                                                                                        : "was left unfinished";
    Note(*rollout, absl::StrCat("going on with rollout ", rollout->id(), ", which ", was));
    ASSIGN_OR_RETURN(v1::Rollout shown, Execute(certificate, *rollout));
    resumed.push_back(std::move(shown));
    if (*stop_) break;
  }
  return resumed;
}

absl::StatusOr<v1::Rollout> RolloutRunner::Run(const CertificateConfig& certificate,
                                               const state::v1::Generation& generation,
                                               const std::vector<FleetMember>& fleet) {
  const RolloutSubject subject{certificate.name, generation.generation(), generation.leaf_sha256()};
  state::v1::Rollout rollout = MakeRollout(subject, fleet, certificate.rollout,
                                           SeedOf(certificate.name, generation.generation()), machine_->clock->Now());
  ASSIGN_OR_RETURN(const std::string id, RolloutRecords(*session_->store).Create(rollout, session_->epoch()));
  rollout.set_id(id);
  return Execute(certificate, rollout);
}

void RolloutRunner::SaveSeen(const state::v1::Rollout& before, const state::v1::Rollout& ended) {
  std::set<std::string> answered;
  std::set<std::string> may_have_it;
  std::set<std::string> back;
  std::vector<std::string> names;
  for (int i = 0; i < ended.nodes_size(); ++i) {
    if (!HadItsTurn(before.nodes(i), ended.nodes(i))) continue;
    const v1::Rollout::Node& result = ended.nodes(i).result();
    const bool stays = result.outcome() == v1::Outcome::INSTALLED || result.outcome() == v1::Outcome::UNCHANGED;
    // One that could not be told to go back has failed too, and may be silent.
    const bool refused = result.outcome() == v1::Outcome::FAILED && result.reason() != Reason::REVERT_FAILED;
    const bool went_back = result.outcome() == v1::Outcome::REVERTED;
    if (stays || refused || went_back) answered.insert(result.name());
    if (stays || ended.nodes(i).changed()) may_have_it.insert(result.name());
    if (went_back && !ended.nodes(i).changed()) back.insert(result.name());
    if (answered.count(result.name()) + may_have_it.count(result.name()) > 0) names.push_back(result.name());
  }
  if (names.empty()) return;
  const absl::Time now = machine_->clock->Now();
  const absl::Status saved =
      NodeRecords(*session_->store).Update(names, session_->epoch(), [&](state::v1::Node& record) {
        if (answered.count(record.name()) > 0) *record.mutable_last_seen() = ToTimestamp(now);
        if (may_have_it.count(record.name()) > 0) NoteInForce(ended, *record.mutable_inventory());
        if (back.count(record.name()) > 0) NoteBack(ended, *record.mutable_inventory());
      });
  // The rollout has ended as it has all the same.
  if (!saved.ok()) Note(ended, absl::StrCat("when nodes were seen could not be saved: ", saved.message()));
}

// Where nodes would go back to a generation that is revoked, a halt leaves them where they are.
absl::StatusOr<state::v1::Rollout> RolloutRunner::KeepFromRevoked(state::v1::Rollout rollout) {
  if (!rollout.policy().revert_on_halt() || rollout.state() == v1::Rollout::REVERTING) return rollout;
  ASSIGN_OR_RETURN(const std::optional<std::string> because, WhyNotBack(*session_->store, rollout));
  if (!because.has_value()) return rollout;
  rollout.mutable_policy()->set_revert_on_halt(false);
  Note(rollout, absl::StrCat("a halt will not put nodes back: ", *because));
  return rollout;
}

absl::StatusOr<v1::Rollout> RolloutRunner::Execute(const CertificateConfig& certificate, state::v1::Rollout rollout) {
  ASSIGN_OR_RETURN(const std::optional<std::string> revoked, WhyNotOn(rollout));
  if (revoked.has_value()) {
    return Fail(Reason::REVOKED, absl::StrCat("rollout ", rollout.id(), " is not gone on with: ", *revoked),
                absl::StrCat("certcast apply ", certificate.name, " brings nodes to the generation that is wanted"));
  }
  // The way back needs none.
  const bool forwards = rollout.state() != v1::Rollout::HALTED && rollout.state() != v1::Rollout::REVERTING;
  const bool override = forwards && certificate.rollout.windows.has_value() && windows_overridden_by_.has_value();
  if (override) RETURN_IF_ERROR(RecordOverride(certificate, rollout));
  StoredRolloutLog log(*session_->store, rollout.id(), session_->epoch());
  RolloutInputs inputs;
  inputs.bundle = [this, name = certificate.name, number = rollout.generation()] {
    return BundleOf(*session_, *machine_->clock, name, number);
  };
  inputs.find_node = [this](absl::string_view name) { return config_->FindNode(name); };
  std::set<std::string> wanting;
  for (const NodeConfig* node : config_->NodesOf(certificate)) wanting.insert(node->name);
  inputs.still_wants = [&wanting](absl::string_view name) { return wanting.count(std::string(name)) > 0; };
  if (!override) {
    inputs.may_begin = [&certificate](absl::Time now) { return MayBeginAt(certificate, now); };
  }
  // An operator may want them back who does not know, after all that was planned.
  inputs.why_not_back = [this, &rollout] { return WhyNotBack(*session_->store, rollout); };
  inputs.default_server_name = certificate.DefaultServerName();
  inputs.epoch = session_->epoch();
  RequestWatch requests(*session_->store, *machine_->clock, rollout.id());
  requests.AttachTo(inputs);
  const RolloutEnvironment environment{transport_.get(), machine_->prober, machine_->clock, &log};
  ASSIGN_OR_RETURN(const state::v1::Rollout allowed, KeepFromRevoked(rollout));
  ASSIGN_OR_RETURN(state::v1::Rollout ended, ExecuteRollout(allowed, inputs, environment, *on_progress_, *stop_));
  SaveSeen(rollout, ended);
  return ShowRolloutAt(ended, &certificate, machine_->clock->Now());
}

}  // namespace certcast::controller
