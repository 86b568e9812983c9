#include "node/engine/http_challenge.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

absl::Status CheckMayChange(const EngineContext& engine, const v1::Command& command) {
  if (!engine.config.fleet.has_value()) return NotEnrolled(engine.config.node);
  const uint64_t highest = engine.state->HighestEpoch();
  if (command.epoch() < highest) return StaleEpoch(command.epoch(), highest);
  if (engine.environment.http_challenges != nullptr) return absl::OkStatus();
  return Fail(Reason::BUSY, "this certcast-node only looks; another one may be at work");
}

absl::Status Put(const EngineContext& engine, const v1::PutHttpChallenge& put) {
  if (engine.config.http_challenge.empty()) {
    return Fail(Reason::NOT_DECLARED,
                absl::StrCat("node ", engine.config.node, " declares no place for HTTP challenges"),
                engine.config.hosted ? "add http_challenge: {webroot: DIRECTORY} to the node in certcast.yaml"
                                     : "add http_challenge: {webroot: DIRECTORY} to its node.yaml");
  }
  absl::Status shown = engine.environment.http_challenges->Put(
      engine.config.http_challenge, engine.layout.state(),
      {.token = put.token(),
       .key_authorization = put.key_authorization(),
       .lifetime = absl::Seconds(put.lifetime().seconds()) + absl::Nanoseconds(put.lifetime().nanos())});
  // Of the listener: to a controller NO_ROUTE would be the way to this node.
  if (ReasonOf(shown) == Reason::NO_ROUTE) return WithReason(std::move(shown), Reason::CHALLENGE_FAILED);
  return shown;
}

}  // namespace

absl::Status ChangeHttpChallenge(const EngineContext& engine, const v1::Command& command) {
  RETURN_IF_ERROR(CheckMayChange(engine, command));
  if (command.has_put_http_challenge()) return Put(engine, command.put_http_challenge());
  return engine.environment.http_challenges->Remove(engine.layout.state(), command.remove_http_challenge().token());
}

}  // namespace certcast::node
