// recover, test and check-config: what an operator runs on the node by hand.
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"

namespace certcast::node {
namespace {

absl::StatusOr<std::string> RecoverNow(const std::string& config_path, bool trust_clock) {
  ASSIGN_OR_RETURN(Setup setup, ReadSetup(config_path));
  absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Start(setup.MakeEngineConfig(), RealEnvironment());
  if (ReasonOf(engine.status()) == Reason::BUSY) {
    return WithHint(engine.status(),
                    "an agent that runs has recovered at its start; `certcast-node status` shows the rest");
  }
  RETURN_IF_ERROR(engine.status());
  RETURN_IF_ERROR((*engine)->RevertIfOverdue());
  if (trust_clock) RETURN_IF_ERROR((*engine)->TrustClock());
  std::string recovered = (*engine)->Recovered();
  if (trust_clock) {
    absl::StrAppend(&recovered, recovered.empty() ? "" : "\n",
                    "the clock is taken for right: ", ShowTime(Clock::Real().Now()));
  }
  if (const std::optional<absl::Time> confirm_by = (*engine)->ConfirmBy()) {
    absl::StrAppend(&recovered, recovered.empty() ? "" : "\n", "an install waits for the controller until ",
                    ShowTime(*confirm_by), ": start the agent");
  }
  return recovered;
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

int Recover(const std::string& config_path, bool trust_clock) {
  absl::StatusOr<std::string> recovered = RecoverNow(config_path, trust_clock);
  if (!recovered.ok()) return ReportError(recovered.status());
  std::cout << (recovered->empty() ? "nothing to recover" : *recovered) << std::endl;
  return kDone;
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
