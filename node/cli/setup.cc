#include "node/cli/setup.h"

#include <iostream>
#include <utility>

#include "absl/strings/str_split.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/probe/probe.h"
#include "common/process/process.h"
#include "common/status/status.h"
#include "common/version/version.h"

namespace certcast::node {

IdentityStore Setup::MakeIdentityStore() const {
  return IdentityStore(FileSystem::Real(), config.state, config.name);
}

EngineConfig Setup::MakeEngineConfig() const {
  EngineConfig engine;
  engine.node = config.name;
  engine.state = config.state;
  engine.services = config.services;
  engine.allow_names = config.allow_names;
  engine.keep = config.keep;
  engine.http_challenge = config.http_challenge;
  engine.version = kVersion;
  if (identity.has_value()) {
    engine.fleet = EngineConfig::Fleet{identity->file.fleet_id, identity->file.manifest_key};
    engine.identity_not_before = identity->file.certificate.not_before();
    engine.identity_not_after = identity->file.certificate.not_after();
  }
  return engine;
}

absl::StatusOr<Setup> ReadSetup(const std::string& config_path) {
  Setup setup;
  ASSIGN_OR_RETURN(setup.config, ReadConfig(config_path));
  absl::StatusOr<Identity> identity = setup.MakeIdentityStore().Load();
  setup.identity_status = identity.status();
  if (identity.ok()) setup.identity = *std::move(identity);
  return setup;
}

EngineEnvironment RealEnvironment(HttpChallenges* challenges) {
  EngineEnvironment environment;
  environment.files = &FileSystem::Real();
  environment.processes = &ProcessRunner::Real();
  environment.prober = &Prober::Real();
  environment.clock = &Clock::Real();
  environment.http_challenges = challenges;
  return environment;
}

int ReportError(const absl::Status& status) {
  const v1::Failure failure = FailureOf(status);
  // Configuration errors are several lines, each with its place.
  for (absl::string_view line : absl::StrSplit(status.message(), '\n', absl::SkipEmpty())) {
    std::cerr << "certcast-node: " << line << "\n";
  }
  for (absl::string_view line : absl::StrSplit(failure.stderr(), '\n', absl::SkipEmpty())) {
    std::cerr << "  | " << line << "\n";
  }
  if (!failure.hint().empty()) std::cerr << "  hint: " << failure.hint() << "\n";
  return absl::IsInvalidArgument(status) ? kUsage : kFailed;
}

std::string ShowTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace certcast::node
