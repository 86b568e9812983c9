#include "controller/api/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/clock/show_utc.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/api/counted_progress.h"
#include "controller/store/records.h"
#include "controller/store/rollout_records.h"

namespace certcast::controller {

absl::StatusOr<Session> OpenToRead(const Config& config, const Machine& machine) {
  Session session;
  ASSIGN_OR_RETURN(session.store, machine.open_store(config.state, /*make=*/false));
  ASSIGN_OR_RETURN(session.keyring,
                   Keyring::Open(config.master_key, {session.store.get(), machine.files, machine.clock}));
  return session;
}

absl::StatusOr<Session> OpenToChange(const Config& config, const Machine& machine, absl::string_view verb) {
  ASSIGN_OR_RETURN(Session session, OpenToRead(config, machine));
  ASSIGN_OR_RETURN(session.lease, session.store->TakeLease(verb));
  return session;
}

absl::StatusOr<std::vector<const CertificateConfig*>> SelectCertificates(const Config& config,
                                                                         const std::vector<std::string>& names) {
  std::vector<const CertificateConfig*> selected;
  if (names.empty()) {
    for (const CertificateConfig& certificate : config.certificates) selected.push_back(&certificate);
    return selected;
  }
  for (const std::string& name : names) {
    const CertificateConfig* certificate = config.FindCertificate(name);
    if (certificate == nullptr) {
      return FailInput(absl::StrCat("there is no certificate ", name, " in ", config.path),
                       absl::StrCat("it has: ", absl::StrJoin(config.certificates, ", ",
                                                              [](std::string* out, const CertificateConfig& known) {
                                                                absl::StrAppend(out, known.name);
                                                              })));
    }
    if (std::find(selected.begin(), selected.end(), certificate) == selected.end()) selected.push_back(certificate);
  }
  return selected;
}

absl::Status CheckUsable(const state::v1::Generation& generation, absl::Time now) {
  const auto day = [](const google::protobuf::Timestamp& time) { return ShowUtc(FromTimestamp(time)); };
  const bool imported = generation.account().empty();
  const std::string what = absl::StrCat("generation ", generation.generation());
  const std::string hint = imported ? "bring the next one: certcast import" : "";
  if (generation.has_revoked_at()) {
    return Fail(Reason::REVOKED, absl::StrCat(what, " was revoked on ", day(generation.revoked_at())), hint);
  }
  if (MayBeRevoked(generation)) {
    return Fail(Reason::REVOKED,
                absl::StrCat(what, " may be revoked: the CA was asked to on ",
                             day(generation.revocation_requested_at()), " and did not answer"),
                absl::StrCat("certcast revoke ", generation.certificate(), " --generation ", generation.generation()));
  }
  if (now < FromTimestamp(generation.not_after())) return absl::OkStatus();
  return Fail(Reason::EXPIRED, absl::StrCat(what, " expired on ", day(generation.not_after())), hint);
}

namespace {

// As long before its end as `doctor` warns of it.
constexpr absl::Duration kIdentityLeft = absl::Hours(24 * 7);

void WarnOfIdentities(FleetView& view) {
  for (const SeenNode& seen : view.status.seen) {
    if (!seen.inventory.has_identity_not_after()) continue;
    const absl::Time end = FromTimestamp(seen.inventory.identity_not_after());
    if (end - seen.at >= kIdentityLeft) continue;
    view.warnings.push_back(absl::StrCat("the identity of node ", seen.name, " expires on ", ShowUtc(end),
                                         ": sign it again with `certcast nodes sign ", seen.name, "`"));
  }
}

void WarnOfClocks(FleetView& view) {
  for (const SeenNode& seen : view.status.seen) {
    if (!seen.inventory.has_clock_failure()) continue;
    const v1::Failure& failure = seen.inventory.clock_failure();
    view.warnings.push_back(absl::StrCat("node ", seen.name, " installs nothing: ", ReasonName(failure.reason()), ": ",
                                         failure.detail(), " (", failure.hint(), ")"));
  }
}

// A generation that is wanted, and is no good any more.
void MarkUnusable(FleetView& view, absl::Time now) {
  std::map<std::string, v1::Failure> unusable;
  for (size_t i = 0; i < view.certificates.size(); ++i) {
    if (!view.generations[i].has_value()) continue;
    const absl::Status usable = CheckUsable(*view.generations[i], now);
    if (!usable.ok()) unusable[view.certificates[i]->name] = FailureOf(usable);
  }
  for (v1::StatusResponse::Node& row : view.status.rows) {
    const auto failure = unusable.find(row.certificate());
    if (failure == unusable.end() || row.state() != v1::StatusResponse::Node::CONVERGED) continue;
    row.set_state(v1::StatusResponse::Node::FAILED);
    row.set_reason(failure->second.reason());
    row.set_detail(absl::StrCat("what it serves is no good: ", failure->second.detail()));
    --view.status.converged;
  }
}

// Keeps what nodes answered.
absl::Status SaveSeen(Session& session, const std::vector<SeenNode>& seen) {
  std::map<std::string, const SeenNode*> by_name;
  std::vector<std::string> names;
  for (const SeenNode& node : seen) {
    by_name[node.name] = &node;
    names.push_back(node.name);
  }
  if (names.empty()) return absl::OkStatus();
  return NodeRecords(*session.store).Update(names, session.epoch(), [&](state::v1::Node& record) {
    const SeenNode& node = *by_name.at(record.name());
    // Another call has seen it since.
    if (record.has_last_seen() && FromTimestamp(record.last_seen()) > node.at) return;
    *record.mutable_last_seen() = ToTimestamp(node.at);
    *record.mutable_inventory() = node.inventory;
  });
}

absl::StatusOr<std::optional<state::v1::Rollout>> LatestRollout(Store& store, const std::string& certificate) {
  RolloutRecords records(store);
  ASSIGN_OR_RETURN(std::vector<state::v1::Rollout> heads, records.List(certificate));
  if (heads.empty()) return std::optional<state::v1::Rollout>();
  return records.Get(heads.front().id());
}

}  // namespace

absl::StatusOr<FleetView> ViewFleet(const Config& config, const Machine& machine, Session& session,
                                    std::vector<const CertificateConfig*> certificates, const OnProgress& on_progress) {
  FleetView view;
  view.certificates = std::move(certificates);
  std::vector<WantedCertificate> wanted;
  for (const CertificateConfig* certificate : view.certificates) {
    ASSIGN_OR_RETURN(auto generation, GenerationRecords(*session.store).Wanted(certificate->name));
    ASSIGN_OR_RETURN(auto rollout, LatestRollout(*session.store, certificate->name));
    view.generations.push_back(std::move(generation));
    view.rollouts.push_back(std::move(rollout));
  }
  for (size_t i = 0; i < view.certificates.size(); ++i) {
    WantedCertificate entry;
    entry.name = view.certificates[i]->name;
    if (view.generations[i].has_value()) {
      entry.generation = view.generations[i]->generation();
      entry.leaf_sha256 = view.generations[i]->leaf_sha256();
    }
    entry.nodes = config.NodesOf(*view.certificates[i]);
    if (view.rollouts[i].has_value()) entry.latest_rollout = &*view.rollouts[i];
    wanted.push_back(std::move(entry));
  }

  ASSIGN_OR_RETURN(ControllerIdentity identity, session.keyring->LoadControllerIdentity());
  ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport,
                   machine.make_transport(session.keyring->fleet_id(), std::move(identity)));
  FleetStatusOptions options;
  options.epoch = session.epoch();
  ASSIGN_OR_RETURN(std::vector<state::v1::Node> records, NodeRecords(*session.store).List());
  for (const state::v1::Node& record : records) {
    if (record.has_last_seen()) options.last_seen[record.name()] = FromTimestamp(record.last_seen());
  }
  CountedProgress progress(v1::ApplyEvent::Progress::ASKING, on_progress);
  options.on_begin = [&](size_t nodes) { progress.Begin(nodes); };
  options.on_answer = [&](const std::string& node, bool answered) { progress.End(node, answered); };
  view.status = AskFleet(wanted, *transport, *machine.clock, options);
  MarkUnusable(view, machine.clock->Now());
  WarnOfIdentities(view);
  WarnOfClocks(view);
  // The answer is right all the same, and needed most when something is wrong with the controller.
  if (absl::Status saved = SaveSeen(session, view.status.seen); !saved.ok()) {
    view.warnings.push_back(absl::StrCat("when nodes were seen could not be saved: ", saved.message()));
  }
  return view;
}

std::vector<const v1::StatusResponse::Node*> RowsOf(const FleetView& view, absl::string_view certificate) {
  std::vector<const v1::StatusResponse::Node*> rows;
  for (const v1::StatusResponse::Node& row : view.status.rows) {
    if (row.certificate() == certificate) rows.push_back(&row);
  }
  return rows;
}

}  // namespace certcast::controller
