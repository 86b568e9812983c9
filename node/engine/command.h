// Runs a service's own command: its check or its reload.
#ifndef CERTCAST_NODE_ENGINE_COMMAND_H_
#define CERTCAST_NODE_ENGINE_COMMAND_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "node/engine/context.h"

namespace certcast::node {

// OK when it exits with 0 within its timeout, or there is none. Else `reason`, with the end of its standard error.
// `what`: "check", "reload". Nothing that came over the wire gets into it.
absl::Status RunServiceCommand(const EngineContext& engine, const Service& service, const ServiceCommand& command,
                               absl::string_view what, v1::Reason::Code reason);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_COMMAND_H_
