// recover, test and check-config: what an operator runs on the node by hand.
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/status/status.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"
#include "node/frontend/stdio.h"
#include "node/hosted/hosted_engine.h"
#include "node/hosted/on_demand_engine.h"

namespace certcast::node {
namespace {

// Null where there is nothing that could be recovered.
absl::StatusOr<std::unique_ptr<EngineSource>> SourceToRecover(const std::string& config_path,
                                                              const std::string& state) {
  if (!state.empty()) return MakeKeptSource(FileSystem::Real(), state);
  ASSIGN_OR_RETURN(const Setup setup, ReadSetup(config_path));
  return MakeEngineSource(setup.MakeEngineConfig());
}

// For who reads the log of a boot.
void SayWhatIsInForce(Engine& engine) {
  v1::Command command;
  command.set_id("recover");
  command.mutable_describe();
  const v1::Report report = engine.Handle(command, nullptr);
  for (const v1::Inventory::Certificate& certificate : report.inventory().certificates()) {
    std::cout << "generation " << certificate.generation() << " of " << certificate.name() << " is in force"
              << std::endl;
  }
}

absl::Status RecoverNow(const std::string& config_path, const RecoverOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<EngineSource> source, SourceToRecover(config_path, options.state));
  if (source == nullptr && options.trust_clock) {
    return FailInput(absl::StrCat(options.state, " has nothing that a controller said of this host, so no time either"),
                     "name the directory that the node has as `state` in certcast.yaml");
  }
  if (source == nullptr) {
    std::cout << "nothing to recover" << std::endl;
    return absl::OkStatus();
  }
  HttpChallenges challenges(FileSystem::Real(), Clock::Real());
  EngineEnvironment environment = RealEnvironment(&challenges);
  environment.before_services = options.before_services;
  OnDemandEngine engine(std::move(source), environment);
  const absl::StatusOr<Recovery> recovered =
      engine.Recover(options.wait ? OnDemandEngine::kPatience : absl::ZeroDuration());
  if (ReasonOf(recovered.status()) == Reason::BUSY) {
    // Not to stop it, which the engine's own hint says.
    return Fail(Reason::BUSY, FailureOf(recovered.status()).detail(),
                "an agent that runs has recovered at its start; `certcast-node status` shows the rest");
  }
  RETURN_IF_ERROR(recovered.status());
  if (options.trust_clock) RETURN_IF_ERROR(engine.TrustClock());
  const std::optional<absl::Time> confirm_by = engine.ConfirmBy();
  if (!recovered->line.empty()) std::cout << recovered->line << std::endl;
  if (options.trust_clock) std::cout << "the clock is taken for right: " << ShowTime(Clock::Real().Now()) << std::endl;
  if (recovered->line.empty() && !options.trust_clock && !confirm_by) std::cout << "nothing to recover" << std::endl;
  if (options.before_services || !recovered->failed.ok() || !confirm_by) return recovered->failed;
  std::cout << "an install waits for the controller until " << ShowTime(*confirm_by)
            << (options.wait            ? ""
                : options.state.empty() ? ": start the agent"
                                        : ": --wait stays until then")
            << std::endl;
  if (!options.wait) return absl::OkStatus();
  RETURN_IF_ERROR(AwaitNothingToConfirm(engine, Clock::Real()));
  SayWhatIsInForce(engine);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::ProbeResult>> TestNow(const std::string& config_path, const std::string& service) {
  ASSIGN_OR_RETURN(Setup setup, ReadSetup(config_path));
  ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, Engine::OpenReadOnly(setup.MakeEngineConfig(), RealEnvironment()));
  absl::StatusOr<std::vector<v1::ProbeResult>> results = engine->TestService(service);
  if (!absl::IsNotFound(results.status())) return results;
  std::vector<std::string> names;
  for (const Service& one : setup.config.services) names.push_back(one.name);
  return FailInput(absl::StrCat(setup.config.path, " has no service `", service, "`"),
                   absl::StrCat("it has: ", absl::StrJoin(names, ", ")));
}

}  // namespace

int Recover(const std::string& config_path, const RecoverOptions& options) {
  const absl::Status recovered = RecoverNow(config_path, options);
  return recovered.ok() ? kDone : ReportError(recovered);
}

int TestService(const std::string& config_path, const std::string& service) {
  absl::StatusOr<std::vector<v1::ProbeResult>> results = TestNow(config_path, service);
  if (!results.ok()) return ReportError(results.status());
  int exit_code = kDone;
  std::cout << "check: ok\n";
  for (const v1::ProbeResult& result : *results) {
    std::cout << result.probe() << ": " << (result.ok() ? "ok" : "FAILED");
    if (!result.served_sha256().empty()) std::cout << ", serves " << result.served_sha256();
    if (!result.detail().empty()) std::cout << ", " << result.detail();
    std::cout << "\n";
    if (!result.ok()) exit_code = kFailed;
  }
  std::cout << std::flush;
  return exit_code;
}

int CheckConfig(const std::string& config_path) {
  absl::StatusOr<Config> config = ReadConfig(config_path);
  if (!config.ok()) return ReportError(config.status());
  std::vector<std::string> names;
  for (const Service& service : config->services) names.push_back(service.name);
  std::cout << config->path << ": ok: node " << config->name << ", "
            << (names.empty() ? "no services" : absl::StrCat("services ", absl::StrJoin(names, ", "))) << std::endl;
  return kDone;
}

}  // namespace certcast::node
