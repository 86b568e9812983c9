#include "node/engine/reload.h"

#include <csignal>
#include <cstring>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "node/engine/command.h"
#include "node/engine/haproxy.h"
#include "node/engine/signaller.h"

namespace certcast::node {
namespace {

class Reload {
 public:
  Reload(const EngineContext& engine, const Service& service) : engine_(engine), service_(service) {}

  absl::Status operator()(const NoReload&) const { return absl::OkStatus(); }

  absl::Status operator()(const CommandReload& command) const {
    return RunServiceCommand(engine_, service_, {command.argv, service_.reload.timeout},
                             command.disruptive ? "restart" : "reload", Reason::RELOAD_FAILED);
  }

  absl::Status operator()(const SignalReload& reload) const {
    return Annotate(
        engine_.environment.signaller->Signal(reload.pid_file, reload.signal),
        absl::StrCat("the reload of service ", service_.name, " (signal ", sigabbrev_np(reload.signal), ")"));
  }

  absl::Status operator()(const HaproxyReload& reload) const { return UpdateHaproxy(engine_, service_, reload); }

 private:
  const EngineContext& engine_;
  const Service& service_;
};

}  // namespace

absl::Status ReloadService(const EngineContext& engine, const Service& service) {
  return std::visit(Reload(engine, service), service.reload.how);
}

}  // namespace certcast::node
