#include "node/engine/install.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"
#include "google/protobuf/util/time_util.h"
#include "node/engine/activate.h"
#include "node/engine/adopt.h"
#include "node/engine/check.h"
#include "node/engine/clock_check.h"
#include "node/engine/copies.h"
#include "node/engine/elapsed.h"
#include "node/engine/probe.h"
#include "node/engine/reload.h"
#include "node/engine/revert.h"
#include "node/engine/stage.h"
#include "node/engine/verify.h"

namespace certcast::node {
namespace {

using google::protobuf::util::TimeUtil;

// For a look at what is served before anything is done.
constexpr absl::Duration kGlance = absl::Seconds(2);

// That read their files from there, and can.
std::vector<const Service*> ServicesThatServe(const EngineContext& engine, absl::string_view certificate,
                                              const GenerationRecord& record) {
  std::vector<const Service*> services;
  for (const Service* service : engine.ServicesOf(certificate)) {
    if (ConcernOf(engine, certificate, record, *service) == Concern::kServesIt) services.push_back(service);
  }
  return services;
}

std::vector<Expectation> AllExpectations(const EngineContext& engine, absl::string_view certificate,
                                         const GenerationRecord& record) {
  std::vector<Expectation> all;
  for (const Service* service : ServicesThatServe(engine, certificate, record)) {
    for (Expectation& one : ExpectationsOf(engine, certificate, record, *service)) all.push_back(std::move(one));
  }
  return all;
}

void AddOnce(google::protobuf::RepeatedPtrField<std::string>& names, const std::string& name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) *names.Add() = name;
}

// The end of a command that did nothing: refused, or nothing to do.
v1::InstallResult Unswitched(Transaction& t, v1::Outcome::Code outcome, const absl::Status& why) {
  t.result.set_outcome(outcome);
  if (!why.ok()) *t.result.mutable_failure() = FailureOf(why);
  t.NoteInForce();
  return t.result;
}

// What the command says that it is about, as far as the node knows of it: for the result alone, nothing is verified
// yet.
void NoteSubject(Transaction& t, const v1::Install& command) {
  v1::Manifest manifest;
  if (!manifest.ParseFromString(command.bundle().manifest())) return;
  if (t.engine.ServicesOf(manifest.certificate()).empty()) return;
  t.result.set_certificate(manifest.certificate());
  t.result.set_generation(manifest.generation());
}

// Whether every probe sees it already.
bool IsServed(Transaction& t, const VerifiedInstall& install) {
  std::vector<v1::ProbeResult> results = LookOnce(
      t.engine, AllExpectations(t.engine, install.bundle.manifest.certificate(), install.generation.record), kGlance);
  bool all = true;
  for (v1::ProbeResult& result : results) {
    result.set_served_before_sha256(result.served_sha256());
    all = all && result.ok();
  }
  if (all) t.result.mutable_probes()->Assign(results.begin(), results.end());
  return all;
}

// The journal's record of what is about to be done. From here on the generation counts as accepted: none below it is
// taken any more, whatever comes of this install.
absl::Status Begin(Transaction& t, const std::string& command_id, const v1::Install& command,
                   const VerifiedInstall& install, Baseline* baseline) {
  const EngineContext& engine = t.engine;
  const std::string& certificate = install.bundle.manifest.certificate();
  const uint64_t generation = install.bundle.manifest.generation();
  ASSIGN_OR_RETURN(const std::string directory, NewDirectoryName(engine, certificate, generation, ""));
  ASSIGN_OR_RETURN(*baseline, PlanBaseline(engine, certificate, directory));

  Journal& journal = t.journal;
  journal.set_command_id(command_id);
  journal.set_certificate(certificate);
  *journal.mutable_target() = OnDisk(install.generation.record, directory);
  *journal.mutable_baseline() = baseline->generation;
  journal.set_digest(install.bundle.digest);
  *journal.mutable_confirm_timeout() = command.confirm_timeout();
  for (v1::ProbeResult& seen :
       LookOnce(engine, AllExpectations(engine, certificate, install.generation.record), kGlance)) {
    seen.set_served_before_sha256(seen.served_sha256());
    seen.clear_served_sha256();
    seen.set_ok(false);
    seen.set_detail("not probed after the switch");
    *journal.add_before() = seen;
    *t.result.add_probes() = seen;
  }

  return engine.state->Update([&](NodeState& state) {
    NodeState::Certificate& known = MutableCertificate(state, certificate);
    known.set_highest_generation(generation);
    known.set_highest_digest(install.bundle.digest);
    NoteKnownTime(state, install.bundle.manifest);
  });
}

// Good here: the rest is the controller's word, or the end of its time.
absl::Status AwaitConfirm(Transaction& t) {
  t.Announce("confirm", "waiting for the controller");
  NoteWait(t.journal, t.engine.clock());
  t.result.set_outcome(v1::Outcome::INSTALLED);
  *t.result.mutable_confirm_by() = t.journal.confirm_by();
  t.result.set_generation_in_force(t.journal.target().generation());
  t.result.set_installed_sha256(t.journal.target().leaf_sha256());
  absl::Status saved =
      t.engine.state->Update([&](NodeState& state) { RememberResult(state, t.journal.command_id(), t.result); });
  if (saved.ok()) saved = t.Save(Journal::AWAITING_CONFIRM);
  return WithStep(std::move(saved), "confirm");
}

}  // namespace

v1::InstallResult Install(const EngineContext& engine, const std::string& command_id, const v1::Install& command,
                          const OnProgress& on_progress) {
  Transaction t(engine, on_progress);
  // Of the clock that was looked at just now: it may be set while the rest is done.
  NoteBeginning(t.journal, engine.clock());
  NoteSubject(t, command);

  // Nothing is written before all of this holds.
  absl::StatusOr<VerifiedInstall> install = absl::UnknownError("");
  Baseline baseline;
  absl::Status status = t.Run("verify", "", [&] {
    install = VerifyInstall(engine, command);
    return install.status();
  });
  if (!status.ok()) return Unswitched(t, v1::Outcome::FAILED, status);
  const std::string certificate = install->bundle.manifest.certificate();
  if (install->is_in_place && IsServed(t, *install)) return Unswitched(t, v1::Outcome::UNCHANGED, absl::OkStatus());
  status = t.Run("verify", "", [&] { return Begin(t, command_id, command, *install, &baseline); });
  if (!status.ok()) return Unswitched(t, v1::Outcome::FAILED, status);

  // Beside what is in force, where nothing reads it.
  status = t.Take(Journal::STAGING, t.journal.target().directory(), [&] {
    return StageGeneration(engine, certificate, t.journal.target().directory(), install->generation);
  });

  // The first time, or where something was changed by hand: make sure that there is a way back. What is not declared
  // any more keeps what it has.
  if (status.ok() && (baseline.needs_copy || !baseline.undeclared.empty())) {
    status = t.Take(Journal::LINKING, "taking in what is there", [&]() -> absl::Status {
      RETURN_IF_ERROR(LeaveAsFiles(engine, baseline.undeclared));
      if (!baseline.needs_copy) return absl::OkStatus();
      ASSIGN_OR_RETURN(*t.journal.mutable_baseline(), AdoptWhatIsThere(engine, certificate, t.journal.baseline()));
      return absl::OkStatus();
    });
  }

  if (status.ok()) status = SwitchOver(t, install->generation.record);

  if (status.ok() && !baseline.unseen.ok()) {
    *t.result.mutable_cleanup_failure() = FailureOf(WithStep(baseline.unseen, "activate"));
  }
  if (status.ok()) status = AwaitConfirm(t);
  return status.ok() ? t.result : GoBack(t, status);
}

absl::Status Activate(Transaction& t, const GenerationRecord& to) {
  const EngineContext& engine = t.engine;
  const std::string& certificate = t.journal.certificate();
  // One rename, and every service of the certificate reads the target; and one more for each copy.
  *t.journal.mutable_target()->mutable_in_force_since() =
      TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(engine.clock().Now()));
  return t.Take(Journal::ACTIVATING, t.journal.target().directory(), [&]() -> absl::Status {
    const std::string& baseline = t.journal.baseline().directory();
    const std::string& target = t.journal.target().directory();
    ASSIGN_OR_RETURN(Copies copies, PrepareCopies(engine, certificate, target, to, baseline));
    RETURN_IF_ERROR(SwitchForward(engine, certificate, baseline, target));
    return copies.Place();
  });
}

absl::Status SwitchOver(Transaction& t, const GenerationRecord& to) {
  const EngineContext& engine = t.engine;
  const std::string& certificate = t.journal.certificate();
  RETURN_IF_ERROR(Activate(t, to));

  // Running processes still have the old one.
  RETURN_IF_ERROR(
      t.Take(Journal::CHECKING, "", [&] { return CheckServices(engine, ServicesThatServe(engine, certificate, to)); }));

  // From the first reload on, going back takes one too.
  for (const Service* service : t.services()) {
    const Concern concern = ConcernOf(engine, certificate, to, *service);
    if (concern == Concern::kNone) continue;
    AddOnce(*t.journal.mutable_reloaded(), service->name);
    RETURN_IF_ERROR(t.Take(Journal::RELOADING, service->name, [&]() -> absl::Status {
      t.NoteReload(*service);
      absl::Status reloaded = ReloadService(engine, *service);
      // One that has no files any more may well refuse.
      return concern == Concern::kServesIt ? reloaded : absl::OkStatus();
    }));
  }

  // Only what is seen on the wire counts.
  return t.Take(Journal::PROBING, "", [&] {
    std::vector<Expectation> expectations = AllExpectations(engine, certificate, to);
    const auto former = ReadRecord(engine, certificate, t.journal.baseline().directory());
    if (former.ok()) ExpectAnotherChain(certificate, *former, expectations);
    std::vector<v1::ProbeResult> results;
    absl::Status served = ProbeServices(engine, expectations, &results);
    t.NoteProbes(std::move(results));
    return served;
  });
}

}  // namespace certcast::node
