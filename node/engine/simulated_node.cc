#include "node/engine/simulated_node.h"

#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "gtest/gtest.h"

namespace certcast::node {
namespace {

// One engine a node, whatever is in memory.
class NoLocker : public StateLocker {
 public:
  absl::StatusOr<std::unique_ptr<StateLock>> Lock(const std::string&) override { return std::make_unique<StateLock>(); }
};

std::string FullchainPath(const std::string& service) {
  return absl::StrCat("/etc/", service, "/fullchain.pem");
}

std::string KeyPath(const std::string& service) {
  return absl::StrCat("/etc/", service, "/privkey.pem");
}

// As SignerOfTests().Bundle; each is signed once.
const v1::Bundle& SignedBundle(const testing::IssuedCertificate& issued, const std::string& certificate,
                               uint64_t generation, absl::Time signed_at) {
  using Key = std::tuple<std::string, std::string, uint64_t, absl::Time>;
  static auto* const known = new std::map<Key, v1::Bundle>;
  const auto [entry, is_new] = known->try_emplace({issued.certificate.sha256(), certificate, generation, signed_at});
  if (is_new) entry->second = SignerOfTests().Bundle(issued, certificate, generation, signed_at);
  return entry->second;
}

std::string LeafOfPair(const std::string& fullchain, const std::string& key) {
  const auto chain = ParseChainPem(fullchain);
  const auto private_key = PrivateKey::FromPem(key);
  if (!chain.ok() || !private_key.ok() || !CheckKeyMatches(chain->front(), *private_key).ok()) return kMixed;
  return chain->front().sha256();
}

void FindTemporaries(FileSystem& files, const std::string& path, std::vector<std::string>& found) {
  const auto directory = files.OpenDirectory(path);
  ASSERT_TRUE(directory.ok()) << directory.status();
  const std::vector<std::string> names = (*directory)->List().value();
  for (const std::string& name : names) {
    const std::string child = absl::StrCat(path == "/" ? "" : path, "/", name);
    if (absl::StartsWith(name, ".certcast-")) found.push_back(child);
    if ((*directory)->Stat(name)->kind == FileInfo::Kind::kDirectory) FindTemporaries(files, child, found);
  }
}

}  // namespace

const testing::TestFleet& SignerOfTests() {
  static const auto* const fleet = new testing::TestFleet();
  return *fleet;
}

const testing::TestCa& CaOfTests() {
  static const auto* const ca = new testing::TestCa(testing::TestCa::Root().Intermediate());
  return *ca;
}

const testing::IssuedCertificate& IssuedFor(uint64_t generation) {
  static auto* const issued = new std::map<uint64_t, testing::IssuedCertificate>;
  const auto found = issued->find(generation);
  if (found != issued->end()) return found->second;
  return issued->emplace(generation, CaOfTests().Issue({.dns_names = {"*.example.com"}})).first->second;
}

EngineConfig::Fleet FleetOfTests() {
  return {SignerOfTests().id(), SignerOfTests().key()};
}

std::string LeafOf(uint64_t generation) {
  return IssuedFor(generation).certificate.sha256();
}

SimulatedNode::SimulatedNode() {
  config.node = "web-01";
  config.state = "/var/lib/certcast-node";
  config.allow_names = {"*.example.com"};
  config.fleet = FleetOfTests();
  config.version = "test";
}

void SimulatedNode::AddService(const std::string& name, const std::string& certificate) {
  Service service;
  service.name = name;
  service.certificate = certificate;
  service.files = {{.path = FullchainPath(name), .content = FileContent::kFullchain, .mode = 0644},
                   {.path = KeyPath(name), .content = FileContent::kPrivateKey, .mode = 0600}};
  service.check.argv = {name, "-t"};
  service.reload.how = CommandReload{.argv = {name, "-s", "reload"}};
  service.probes = {{.what = TlsProbe{absl::StrCat(name, ".local:443"), "www.example.com"}}};
  disk.PutDirectory(absl::StrCat("/etc/", name), {.mode = 0755});
  running[name];
  processes.On(service.check.argv, [this, name](const ProcessRequest&) { return RunCheck(name); });
  processes.On({name, "-s", "reload"}, [this, name](const ProcessRequest&) { return RunReload(name); });
  prober.On(service.probes[0].Describe(), [this, name](const ProbeSpec&) { return LookAt(name); });
  config.services.push_back(std::move(service));
}

void SimulatedNode::DeclareFiles(FileInstall install) {
  for (Service& service : config.services) {
    service.files[0].install = install;
    if (service.name == "nginx") service.files[1].install = install;
  }
}

void SimulatedNode::PutByHand(const std::string& service, const testing::IssuedCertificate& issued) {
  disk.PutFile(FullchainPath(service), issued.fullchain_pem, {.mode = 0640, .owner = 7, .group = 8});
  disk.PutFile(KeyPath(service), issued.key_pem.ExposeSecret(), {.mode = 0400, .owner = 7, .group = 8});
  running[service].served = issued.certificate.sha256();
}

EngineEnvironment SimulatedNode::Environment() {
  static auto* const locker = new NoLocker;
  return {.files = &files,
          .processes = &processes,
          .prober = &prober,
          .clock = &clock,
          .locker = locker,
          .signaller = &signaller,
          .sockets = &sockets};
}

absl::Status SimulatedNode::Start() {
  engine_.reset();
  ASSIGN_OR_RETURN(engine_, Engine::Start(config, Environment()));
  return absl::OkStatus();
}

absl::StatusOr<Recovery> SimulatedNode::RecoverBeforeServices() {
  engine_.reset();
  EngineEnvironment environment = Environment();
  environment.before_services = true;
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Start(config, environment));
  return engine->Recovered();
}

void SimulatedNode::Kill() {
  engine_.reset();
  disk.Restart();
  files.Heal();
}

void SimulatedNode::LosePower(uint64_t seed) {
  engine_.reset();
  if (seed == 0) {
    disk.Crash();
  } else {
    disk.Crash(seed);
  }
  clock.Reboot();
  files.Heal();
  StartServices();
}

void SimulatedNode::LosePowerKeeping(uint64_t kept) {
  engine_.reset();
  disk.CrashKeeping(kept);
  files.Heal();
  StartServices();
}

void SimulatedNode::StartServices() {
  for (auto& [name, service] : running) {
    const std::string found = FilesOf(name);
    service.served = found == kNothing || found == kMixed ? "" : found;
  }
}

v1::Report SimulatedNode::Handle(const v1::Command& command) {
  reports.push_back(engine_->Handle(command, nullptr));
  return reports.back();
}

v1::Command SimulatedNode::InstallCommand(uint64_t generation, const std::string& certificate) {
  return InstallCommand(generation, certificate, IssuedFor(generation));
}

v1::Command SimulatedNode::InstallCommand(uint64_t generation, const std::string& certificate,
                                          const testing::IssuedCertificate& issued) {
  v1::Command command;
  command.set_id(NewCommandId());
  command.set_epoch(1);
  *command.mutable_install()->mutable_bundle() = SignedBundle(issued, certificate, generation, clock.Now());
  command.mutable_install()->mutable_confirm_timeout()->set_seconds(60);
  return command;
}

v1::InstallResult SimulatedNode::ResultOf(const v1::Command& command) {
  const v1::Report report = Handle(command);
  EXPECT_EQ(report.command_id(), command.id());
  EXPECT_TRUE(report.has_install_result()) << report.ShortDebugString();
  return report.install_result();
}

v1::InstallResult SimulatedNode::Install(uint64_t generation, const std::string& certificate) {
  return ResultOf(InstallCommand(generation, certificate));
}

v1::InstallResult SimulatedNode::Confirm(uint64_t generation, const std::string& certificate) {
  v1::Command command;
  command.set_id(NewCommandId());
  command.set_epoch(1);
  command.mutable_confirm()->set_certificate(certificate);
  command.mutable_confirm()->set_generation(generation);
  command.mutable_confirm()->set_leaf_sha256(LeafOf(generation));
  return ResultOf(command);
}

v1::InstallResult SimulatedNode::Revert(uint64_t generation, v1::Reason::Code because) {
  v1::Command command;
  command.set_id(NewCommandId());
  command.set_epoch(1);
  command.mutable_revert()->set_certificate("wildcard");
  command.mutable_revert()->set_generation(generation);
  command.mutable_revert()->set_because(because);
  return ResultOf(command);
}

void SimulatedNode::Bring(uint64_t generation, const std::string& certificate) {
  const v1::InstallResult installed = Install(generation, certificate);
  ASSERT_EQ(installed.outcome(), v1::Outcome::INSTALLED) << installed.ShortDebugString();
  const v1::InstallResult confirmed = Confirm(generation, certificate);
  ASSERT_EQ(confirmed.outcome(), v1::Outcome::INSTALLED) << confirmed.ShortDebugString();
}

v1::Inventory SimulatedNode::Describe() {
  v1::Command command;
  command.set_id(NewCommandId());
  command.mutable_describe();
  return Handle(command).inventory();
}

std::string SimulatedNode::FilesOf(const std::string& service) {
  const std::optional<std::string> fullchain = disk.GetFile(FullchainPath(service));
  const std::optional<std::string> key = disk.GetFile(KeyPath(service));
  if (!fullchain.has_value() && !key.has_value()) return kNothing;
  if (!fullchain.has_value() || !key.has_value()) return kMixed;
  // The same few pairs come again and again, and parsing them is what takes the time of tests.
  static auto* const known = new std::map<std::pair<std::string, std::string>, std::string>;
  std::string& result = (*known)[{*fullchain, *key}];
  if (result.empty()) result = LeafOfPair(*fullchain, *key);
  return result;
}

int SimulatedNode::ReloadsOf(const std::string& service) const {
  return processes.CountOf({service, "-s", "reload"});
}

int SimulatedNode::ChecksOf(const std::string& service) const {
  return processes.CountOf({service, "-t"});
}

std::vector<std::string> SimulatedNode::Generations(const std::string& certificate) {
  const auto directory = disk.OpenDirectory(absl::StrCat(config.state, "/certificates/", certificate, "/generations"));
  return directory.ok() ? (*directory)->List().value() : std::vector<std::string>();
}

std::vector<std::string> SimulatedNode::Temporaries() {
  std::vector<std::string> found;
  FindTemporaries(disk, "/", found);
  return found;
}

std::string SimulatedNode::NewCommandId() {
  return absl::StrCat("command-", ++last_command_);
}

// A process that was killed starts nothing and sees nothing.
absl::StatusOr<ProcessResult> SimulatedNode::RunCheck(const std::string& service) {
  if (files.has_crashed()) return absl::AbortedError("killed");
  const Running& state = running[service];
  if (!state.check_error.empty()) return testing::FakeProcessRunner::Exits(1, state.check_error);
  const std::string found = FilesOf(service);
  if (found == kNothing || found == kMixed) return testing::FakeProcessRunner::Exits(1, "cannot load certificate");
  return testing::FakeProcessRunner::Exits(0);
}

absl::StatusOr<ProcessResult> SimulatedNode::RunReload(const std::string& service) {
  if (files.has_crashed()) return absl::AbortedError("killed");
  Running& state = running[service];
  if (state.on_reload) state.on_reload();
  if (state.reload_exit_code != 0) return testing::FakeProcessRunner::Exits(state.reload_exit_code, "not running");
  if (state.ignores_reload) return testing::FakeProcessRunner::Exits(0);
  const std::string found = FilesOf(service);
  // As nginx: it goes on with what it has.
  if (found == kNothing || found == kMixed) return testing::FakeProcessRunner::Exits(1, "cannot load certificate");
  state.served = found;
  return testing::FakeProcessRunner::Exits(0);
}

Observation SimulatedNode::LookAt(const std::string& service) const {
  if (files.has_crashed()) return testing::FakeProber::Fails("killed");
  const Running& state = running.at(service);
  if (state.is_down) return testing::FakeProber::Fails("connection refused");
  if (state.served.empty()) return testing::FakeProber::Fails("no certificate");
  return testing::FakeProber::Serves(state.served);
}

}  // namespace certcast::node
