#include <algorithm>

#include "absl/strings/str_cat.h"
#include "certcast/v1/bundle.pb.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "tests/testing/command_subject.h"
#include "tests/testing/fake_link.h"

namespace certcast::testing {
namespace {

v1::Failure MakeFailure(v1::Reason::Code reason, absl::string_view detail) {
  v1::Failure failure;
  failure.set_reason(reason);
  failure.set_detail(detail.empty() ? v1::Reason::Code_Name(reason) : std::string(detail));
  return failure;
}

v1::InstallResult Failed(v1::Reason::Code reason, absl::string_view detail) {
  v1::InstallResult result;
  result.set_outcome(v1::Outcome::FAILED);
  *result.mutable_failure() = MakeFailure(reason, detail);
  return result;
}

std::string Find(const std::map<std::string, std::string, std::less<>>& map, absl::string_view key) {
  auto it = map.find(std::string(key));
  return it == map.end() ? "" : it->second;
}

}  // namespace

Fault Fault::Refused(v1::Reason::Code reason, absl::string_view detail) {
  Fault fault = Of(Kind::kRefused);
  fault.failure = MakeFailure(reason, detail);
  return fault;
}

Fault Fault::Result(v1::Outcome::Code outcome, v1::Reason::Code reason, absl::string_view detail) {
  Fault fault = Of(Kind::kResult);
  fault.outcome = outcome;
  fault.failure = MakeFailure(reason, detail);
  return fault;
}

Fault Fault::Of(Kind kind) {
  Fault fault;
  fault.kind = kind;
  return fault;
}

void FakeNode::Preinstall(absl::string_view certificate, uint64_t generation, absl::string_view leaf_sha256) {
  absl::MutexLock lock(&mutex_);
  Installed& installed = installed_[std::string(certificate)];
  installed = Installed{};
  installed.generation = generation;
  installed.highest_generation = generation;
  installed.leaf_sha256 = std::string(leaf_sha256);
  installed.since = clock_.Now();
}

void FakeNode::SetReachable(absl::Status status) {
  absl::MutexLock lock(&mutex_);
  reachable_ = std::move(status);
}

void FakeNode::Inject(CommandKind kind, Fault fault, int times) {
  absl::MutexLock lock(&mutex_);
  faults_[kind].push_back({std::move(fault), times});
}

void FakeNode::SetDelay(CommandKind kind, absl::Duration delay) {
  absl::MutexLock lock(&mutex_);
  delays_[kind] = delay;
}

void FakeNode::SetServed(absl::string_view certificate, absl::string_view leaf_sha256) {
  absl::MutexLock lock(&mutex_);
  served_[std::string(certificate)] = std::string(leaf_sha256);
}

void FakeNode::SetServedToController(absl::string_view certificate, absl::string_view leaf_sha256) {
  absl::MutexLock lock(&mutex_);
  served_to_controller_[std::string(certificate)] = std::string(leaf_sha256);
}

void FakeNode::SetDisruptive() {
  absl::MutexLock lock(&mutex_);
  is_disruptive_ = true;
}

void FakeNode::SetClockOff(absl::Duration off) {
  absl::MutexLock lock(&mutex_);
  clock_off_ = off;
}

void FakeNode::SetClockFailure(const v1::Failure& failure) {
  absl::MutexLock lock(&mutex_);
  clock_failure_ = failure;
}

void FakeNode::SetFreeBytes(uint64_t bytes) {
  absl::MutexLock lock(&mutex_);
  free_bytes_ = bytes;
}

void FakeNode::SetObstacle(std::string obstacle) {
  absl::MutexLock lock(&mutex_);
  obstacle_ = std::move(obstacle);
}

void FakeNode::SetOneService() {
  absl::MutexLock lock(&mutex_);
  is_one_service_ = true;
}

void FakeNode::SetDrift(absl::string_view certificate, std::vector<std::string> drift) {
  absl::MutexLock lock(&mutex_);
  drift_[std::string(certificate)] = std::move(drift);
}

FakeNode::Installed FakeNode::installed(absl::string_view certificate) const {
  absl::MutexLock lock(&mutex_);
  GoBackWhereOverdue();
  auto it = installed_.find(std::string(certificate));
  return it == installed_.end() ? Installed{} : it->second;
}

std::string FakeNode::served_sha256(absl::string_view certificate) const {
  absl::MutexLock lock(&mutex_);
  GoBackWhereOverdue();
  return Served(certificate);
}

std::string FakeNode::served_to_controller_sha256(absl::string_view certificate) const {
  absl::MutexLock lock(&mutex_);
  GoBackWhereOverdue();
  std::string other = Find(served_to_controller_, certificate);
  return other.empty() ? Served(certificate) : other;
}

std::map<std::string, std::string> FakeNode::http_challenges() const {
  absl::MutexLock lock(&mutex_);
  return http_challenges_;
}

int FakeNode::reloads() const {
  absl::MutexLock lock(&mutex_);
  GoBackWhereOverdue();
  return reloads_;
}

int FakeNode::seen(CommandKind kind) const {
  absl::MutexLock lock(&mutex_);
  auto it = seen_.find(kind);
  return it == seen_.end() ? 0 : it->second;
}

bool FakeNode::TakeFault(CommandKind kind, Fault& fault) {
  absl::MutexLock lock(&mutex_);
  std::deque<PendingFault>& pending = faults_[kind];
  if (pending.empty()) return false;
  fault = pending.front().fault;
  if (pending.front().times != kAlways && --pending.front().times == 0) pending.pop_front();
  return true;
}

absl::Duration FakeNode::Delay(CommandKind kind) const {
  absl::MutexLock lock(&mutex_);
  auto it = delays_.find(kind);
  return it == delays_.end() ? absl::ZeroDuration() : it->second;
}

absl::Status FakeNode::reachable() const {
  absl::MutexLock lock(&mutex_);
  return reachable_;
}

v1::Report FakeNode::Handle(const v1::Command& command, const Fault* fault) {
  absl::MutexLock lock(&mutex_);
  ++seen_[KindOf(command)];
  GoBackWhereOverdue();
  if (auto it = answered_.find(command.id()); it != answered_.end()) return it->second;
  v1::Report report = HandleLocked(command, fault);
  report.set_command_id(command.id());
  if (report.has_install_result()) answered_[command.id()] = report;
  return report;
}

v1::Report FakeNode::HandleLocked(const v1::Command& command, const Fault* fault) {
  v1::Report report;
  const bool changes = command.has_install() || command.has_confirm() || command.has_revert();
  if (changes && command.epoch() < highest_epoch_) {
    *report.mutable_refusal()->mutable_failure() =
        MakeFailure(v1::Reason::STALE_EPOCH, absl::StrCat("epoch ", command.epoch(), " is below ", highest_epoch_));
    return report;
  }
  if (changes) highest_epoch_ = command.epoch();
  if (fault != nullptr) {
    v1::InstallResult& result = *report.mutable_install_result();
    result.set_outcome(fault->outcome);
    *result.mutable_failure() = fault->failure;
    auto [certificate, generation] = SubjectOf(command);
    result.set_generation(generation);
    // It has taken the generation up, as a node does before it stages anything.
    if (auto it = installed_.find(certificate); command.has_install() && it != installed_.end()) {
      it->second.highest_generation = std::max(it->second.highest_generation, generation);
    }
    FillInForce(certificate, result);
    return report;
  }
  switch (command.body_case()) {
    case v1::Command::kInstall:
      if (const auto busy = BusyWith(command.install()); busy.has_value()) {
        *report.mutable_refusal()->mutable_failure() = *busy;
        break;
      }
      *report.mutable_install_result() = Install(command.install());
      break;
    case v1::Command::kConfirm:
      *report.mutable_install_result() = Confirm(command.confirm());
      break;
    case v1::Command::kRevert:
      *report.mutable_install_result() = Revert(command.revert());
      break;
    case v1::Command::kProbe:
      *report.mutable_inventory() = Describe(true, command.probe().certificate());
      break;
    case v1::Command::kPutHttpChallenge:
      http_challenges_[command.put_http_challenge().token()] = command.put_http_challenge().key_authorization();
      report.mutable_http_challenge_result()->set_http_challenge("webroot /var/www");
      break;
    case v1::Command::kRemoveHttpChallenge:
      http_challenges_.erase(command.remove_http_challenge().token());
      report.mutable_http_challenge_result()->set_http_challenge("webroot /var/www");
      break;
    default:
      *report.mutable_inventory() = Describe(false, "");
      break;
  }
  return report;
}

// Of an earlier install, which is neither confirmed nor over.
std::optional<v1::Failure> FakeNode::BusyWith(const v1::Install& install) const {
  v1::Manifest manifest;
  if (!manifest.ParseFromString(install.bundle().manifest())) return std::nullopt;
  const auto installed = installed_.find(manifest.certificate());
  if (installed == installed_.end() || installed->second.confirmed) return std::nullopt;
  if (installed->second.generation == manifest.generation()) return std::nullopt;
  return MakeFailure(v1::Reason::BUSY, absl::StrCat("generation ", installed->second.generation, " waits for Confirm"));
}

v1::InstallResult FakeNode::Install(const v1::Install& install) {
  v1::Manifest manifest;
  if (!manifest.ParseFromString(install.bundle().manifest()) || manifest.certificate().empty()) {
    return Failed(v1::Reason::MALFORMED, "the manifest does not parse");
  }
  Installed& installed = installed_[manifest.certificate()];
  v1::InstallResult result;
  if (manifest.generation() < installed.highest_generation) {
    result = Failed(v1::Reason::DOWNGRADE,
                    absl::StrCat("generation ", manifest.generation(), " is below ", installed.highest_generation));
  } else if (manifest.generation() == installed.generation && manifest.leaf_sha256() == installed.leaf_sha256) {
    result.set_outcome(v1::Outcome::UNCHANGED);
  } else {
    installed.previous_generation = installed.generation;
    installed.previous_leaf_sha256 = installed.leaf_sha256;
    installed.generation = manifest.generation();
    installed.highest_generation = manifest.generation();
    installed.leaf_sha256 = manifest.leaf_sha256();
    installed.not_after = FromTimestamp(manifest.not_after());
    installed.since = clock_.Now();
    installed.confirmed = false;
    installed.confirm_by = clock_.Now() + absl::Seconds(install.confirm_timeout().seconds()) +
                           absl::Nanoseconds(install.confirm_timeout().nanos());
    ++reloads_;
    result.set_outcome(v1::Outcome::INSTALLED);
    result.add_reloaded("service-" + manifest.certificate());
    if (Served(manifest.certificate()) != manifest.leaf_sha256()) {
      GoBack(installed);
      result.set_outcome(v1::Outcome::REVERTED);
      *result.mutable_failure() = MakeFailure(v1::Reason::PROBE_FAILED, "serves another certificate");
      result.mutable_failure()->set_step("probe");
    }
  }
  result.set_generation(manifest.generation());
  FillInForce(manifest.certificate(), result);
  return result;
}

v1::InstallResult FakeNode::Confirm(const v1::Confirm& confirm) {
  v1::InstallResult result;
  Installed& installed = installed_[confirm.certificate()];
  if (installed.generation == confirm.generation() && installed.leaf_sha256 == confirm.leaf_sha256()) {
    installed.confirmed = true;
    installed.confirm_by = absl::InfiniteFuture();
    result.set_outcome(v1::Outcome::INSTALLED);
  } else {
    result = Failed(v1::Reason::STALE_COMMAND, absl::StrCat("generation ", confirm.generation(), " is not in force"));
  }
  result.set_generation(confirm.generation());
  FillInForce(confirm.certificate(), result);
  return result;
}

v1::InstallResult FakeNode::Revert(const v1::Revert& revert) {
  v1::InstallResult result;
  Installed& installed = installed_[revert.certificate()];
  if (installed.generation == revert.generation()) {
    GoBack(installed);
    result.set_outcome(v1::Outcome::REVERTED);
    *result.mutable_failure() = MakeFailure(revert.because(), "");
    result.add_reloaded("service-" + revert.certificate());
  } else {
    result.set_outcome(v1::Outcome::UNCHANGED);
  }
  result.set_generation(revert.generation());
  FillInForce(revert.certificate(), result);
  return result;
}

v1::Inventory FakeNode::Describe(bool with_probes, absl::string_view certificate) {
  v1::Inventory inventory;
  inventory.set_node(name_);
  inventory.set_version("fake");
  inventory.set_fleet_id("fleet");
  *inventory.mutable_clock() = ToTimestamp(clock_.Now() + clock_off_);
  inventory.set_free_bytes(free_bytes_);
  if (clock_failure_.has_value()) *inventory.mutable_clock_failure() = *clock_failure_;
  for (const auto& [name, installed] : installed_) {
    v1::Inventory::Certificate& entry = *inventory.add_certificates();
    entry.set_name(name);
    entry.set_generation(installed.generation);
    entry.set_leaf_sha256(installed.leaf_sha256);
    if (installed.not_after != absl::InfiniteFuture()) *entry.mutable_not_after() = ToTimestamp(installed.not_after);
    entry.set_confirmed(installed.confirmed);
    if (!installed.confirmed) *entry.mutable_confirm_by() = ToTimestamp(installed.confirm_by);
    entry.set_highest_generation(installed.highest_generation);
    entry.set_previous_generation(installed.previous_generation);
    *entry.mutable_in_force_since() = ToTimestamp(installed.since);

    v1::Inventory::Service& service = *inventory.add_services();
    service.set_name(ServiceOf(name));
    service.set_certificate(name);
    service.set_installed_sha256(installed.leaf_sha256);
    service.set_disruptive(is_disruptive_);
    if (!obstacle_.empty()) service.add_obstacles(obstacle_);
    if (auto it = drift_.find(name); it != drift_.end()) {
      for (const std::string& line : it->second) service.add_drift(line);
    }
    if (with_probes && (certificate.empty() || certificate == name)) {
      *inventory.add_probes() = LookAt(name);
    }
  }
  return inventory;
}

void FakeNode::GoBack(Installed& installed) const {
  installed.generation = installed.previous_generation;
  installed.leaf_sha256 = installed.previous_leaf_sha256;
  installed.previous_generation = 0;
  installed.previous_leaf_sha256.clear();
  installed.confirmed = true;
  installed.confirm_by = absl::InfiniteFuture();
  installed.since = clock_.Now();
  ++reloads_;
}

void FakeNode::GoBackWhereOverdue() const {
  for (auto& [name, installed] : installed_) {
    if (installed.confirmed || clock_.Now() < installed.confirm_by) continue;
    const uint64_t generation = installed.generation;
    GoBack(installed);
    // From now on this is what its Install is answered.
    for (auto& [id, report] : answered_) {
      v1::InstallResult& result = *report.mutable_install_result();
      if (result.certificate() != name || result.generation() != generation ||
          result.outcome() != v1::Outcome::INSTALLED) {
        continue;
      }
      result.Clear();
      result.set_outcome(v1::Outcome::REVERTED);
      *result.mutable_failure() = MakeFailure(v1::Reason::NOT_CONFIRMED, "no Confirm arrived in time");
      result.mutable_failure()->set_step("confirm");
      result.set_generation(generation);
      FillInForce(name, result);
    }
  }
}

std::string FakeNode::Served(absl::string_view certificate) const {
  std::string other = Find(served_, certificate);
  if (!other.empty()) return other;
  auto it = installed_.find(std::string(certificate));
  return it == installed_.end() ? "" : it->second.leaf_sha256;
}

void FakeNode::FillInForce(absl::string_view certificate, v1::InstallResult& result) const {
  auto it = installed_.find(std::string(certificate));
  result.set_certificate(std::string(certificate));
  if (it == installed_.end()) return;
  result.set_generation_in_force(it->second.generation);
  result.set_installed_sha256(it->second.leaf_sha256);
  if (!it->second.confirmed) *result.mutable_confirm_by() = ToTimestamp(it->second.confirm_by);
  *result.add_probes() = LookAt(certificate);
  if (!is_one_service_) return;
  for (const auto& [name, other] : installed_) {
    if (name != certificate) *result.add_probes() = LookAt(name);
  }
}

std::string FakeNode::ServiceOf(absl::string_view certificate) const {
  return is_one_service_ ? "service" : "service-" + std::string(certificate);
}

// Of one that is installed.
v1::ProbeResult FakeNode::LookAt(absl::string_view certificate) const {
  const auto installed = installed_.find(certificate);
  v1::ProbeResult probe;
  probe.set_service(ServiceOf(certificate));
  probe.set_probe("tls 127.0.0.1:443");
  probe.set_address("127.0.0.1:443");
  probe.set_served_sha256(Served(certificate));
  probe.set_ok(probe.served_sha256() == installed->second.leaf_sha256);
  if (!probe.ok()) {
    probe.set_detail(absl::StrCat("serves ", probe.served_sha256(), ", not ", installed->second.leaf_sha256));
  }
  // Older agents, of one certificate a service, do not say it.
  if (is_one_service_) probe.set_certificate(std::string(certificate));
  return probe;
}

}  // namespace certcast::testing
