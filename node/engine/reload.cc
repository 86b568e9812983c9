#include "node/engine/reload.h"

#include "common/status/status.h"
#include "node/engine/command.h"

namespace certcast::node {

absl::Status ReloadService(const EngineContext& engine, const Service& service) {
  return RunServiceCommand(engine, service, service.reload, "reload", Reason::RELOAD_FAILED);
}

}  // namespace certcast::node
