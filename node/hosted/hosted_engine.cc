#include "node/hosted/hosted_engine.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "node/engine/layout.h"
#include "node/engine/refusal.h"
#include "node/hosted/definition.h"
#include "node/hosted/kept.h"

namespace certcast::node {
namespace {

class HostedSource : public EngineSource {
 public:
  HostedSource(v1::NodeDefinition definition, EngineConfig config)
      : definition_(std::move(definition)), config_(std::move(config)) {}

  const std::string& state() const override { return config_.state; }

  absl::StatusOr<std::unique_ptr<Engine>> Open(const EngineEnvironment& environment) override {
    RETURN_IF_ERROR(PinFleet(*environment.files, config_.state, *config_.fleet));
    ASSIGN_OR_RETURN(std::unique_ptr<Engine> earlier, EndWhatWasBegun(environment));
    if (earlier != nullptr) return earlier;
    return Engine::Start(config_, environment);
  }

  absl::StatusOr<std::unique_ptr<Engine>> OpenReadOnly(const EngineEnvironment& environment) override {
    RETURN_IF_ERROR(CheckPinnedFleet(*environment.files, config_.state, *config_.fleet));
    return Engine::OpenReadOnly(config_, environment);
  }

 private:
  // An engine by the definition that is kept, when it still has something to do; else null, and ours is kept.
  absl::StatusOr<std::unique_ptr<Engine>> EndWhatWasBegun(const EngineEnvironment& environment) {
    const auto kept = ReadKeptDefinition(*environment.files, config_.state);
    // One that does not parse says nothing that ours does not say better.
    if (!kept.ok() && ReasonOf(kept.status()) != Reason::MALFORMED) return kept.status();
    const bool has_kept = kept.ok() && kept->has_value();
    if (has_kept && IsSameDefinition(**kept, definition_)) return nullptr;
    if (has_kept) {
      const absl::StatusOr<EngineConfig> config = ReadDefinition(**kept);
      // Not so when it was written by another version.
      if (config.ok()) {
        ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, Engine::Start(*config, environment));
        if (engine->ConfirmBy().has_value()) return engine;
      }
    }
    RETURN_IF_ERROR(KeepDefinition(*environment.files, definition_));
    return nullptr;
  }

  const v1::NodeDefinition definition_;
  const EngineConfig config_;
};

absl::Status DefinitionRefused(absl::string_view why) {
  return Fail(Reason::DEFINITION_REFUSED, why, "is the node's address in certcast.yaml ssh://, and is it this host?");
}

}  // namespace

std::unique_ptr<EngineSource> MakeHostedSource(v1::NodeDefinition definition, EngineConfig config) {
  return std::make_unique<HostedSource>(std::move(definition), std::move(config));
}

absl::StatusOr<std::unique_ptr<EngineSource>> MakeKeptSource(FileSystem& files, const std::string& directory) {
  if (!absl::StartsWith(directory, "/")) {
    return FailInput(absl::StrCat("the state directory \"", directory, "\" is not an absolute path"));
  }
  const std::string state = Layout(directory).state();
  ASSIGN_OR_RETURN(std::optional<v1::NodeDefinition> kept, ReadKeptDefinition(files, state));
  if (!kept.has_value()) return nullptr;
  ASSIGN_OR_RETURN(EngineConfig config, ReadDefinition(*kept));
  return MakeHostedSource(*std::move(kept), std::move(config));
}

absl::Status HostedEngine::TakeDefinition(const v1::Command& command) {
  absl::MutexLock lock(&mutex_);
  if (engine_ != nullptr) {
    if (!command.has_definition() || IsSameDefinition(command.definition(), definition_)) return absl::OkStatus();
    return DefinitionRefused("the command has another definition of this host than the first one of its link");
  }
  if (!command.has_definition()) {
    return DefinitionRefused("this host has no configuration of its own, and the command does not define it");
  }
  ASSIGN_OR_RETURN(EngineConfig config, ReadDefinition(command.definition()));
  // Before anything is made: another fleet's host stays as it is.
  RETURN_IF_ERROR(CheckPinnedFleet(*environment_.files, config.state, *config.fleet));
  definition_ = command.definition();
  engine_ = std::make_unique<OnDemandEngine>(MakeHostedSource(definition_, std::move(config)), environment_);
  return absl::OkStatus();
}

OnDemandEngine* HostedEngine::engine() const {
  absl::MutexLock lock(&mutex_);
  return engine_.get();
}

v1::Report HostedEngine::Handle(const v1::Command& command, const OnProgress& on_progress) {
  if (const absl::Status taken = TakeDefinition(command); !taken.ok()) return Refuse(command, taken);
  return engine()->Handle(command, on_progress);
}

std::optional<absl::Time> HostedEngine::ConfirmBy() const {
  const OnDemandEngine* const known = engine();
  return known == nullptr ? std::nullopt : known->ConfirmBy();
}

absl::Status HostedEngine::RevertIfOverdue() {
  OnDemandEngine* const known = engine();
  return known == nullptr ? absl::OkStatus() : known->RevertIfOverdue();
}

absl::StatusOr<std::vector<v1::ProbeResult>> HostedEngine::TestService(absl::string_view service) {
  OnDemandEngine* const known = engine();
  if (known == nullptr) return absl::NotFoundError(absl::StrCat("no service is called \"", service, "\" yet"));
  return known->TestService(service);
}

}  // namespace certcast::node
