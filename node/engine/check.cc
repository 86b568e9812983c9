#include "node/engine/check.h"

#include "common/status/status.h"
#include "node/engine/command.h"

namespace certcast::node {

absl::Status CheckServices(const EngineContext& engine, const std::vector<const Service*>& services) {
  for (const Service* service : services) {
    RETURN_IF_ERROR(RunServiceCommand(engine, *service, service->check, "check", Reason::CHECK_FAILED));
  }
  return absl::OkStatus();
}

}  // namespace certcast::node
