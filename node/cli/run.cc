// run: the agent as a daemon.
#include <pthread.h>
#include <signal.h>

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "common/version/version.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"
#include "node/frontend/confirm_watch.h"
#include "node/frontend/grpc_log.h"
#include "node/frontend/grpc_server.h"

namespace certcast::node {
namespace {

// One line on standard error, whole, from any thread.
void Log(absl::string_view line) {
  static absl::Mutex& mutex = *new absl::Mutex;
  absl::MutexLock lock(&mutex);
  std::cerr << line << std::endl;
}

// The signals that `run` waits for, blocked in this thread and all that it starts: call it before there are others.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

absl::Status CheckCanServe(const Setup& setup) {
  if (setup.config.listen.empty()) {
    return FailInput(absl::StrCat(setup.config.path, ": nothing to serve: there is no `listen`"),
                     "listen: 0.0.0.0:7444");
  }
  return setup.identity_status;
}

// The agent from its start to its end. Members end in the reverse order: first nothing new comes in, then the watch
// goes, then the engine gives its lock back.
class Agent {
 public:
  static absl::StatusOr<std::unique_ptr<Agent>> Start(const Setup& setup, HttpChallenges& challenges) {
    std::unique_ptr<Agent> agent(new Agent);
    ASSIGN_OR_RETURN(agent->engine_, Engine::Start(setup.MakeEngineConfig(), RealEnvironment(&challenges)));
    // Whatever else is wrong: what a crash left half-done is put right first.
    if (const std::string recovered = agent->engine_->Recovered().line; !recovered.empty()) Log(recovered);
    RETURN_IF_ERROR(CheckCanServe(setup));
    agent->watch_ = std::make_unique<ConfirmWatch>(*agent->engine_, Clock::Real(), [](const absl::Status& status) {
      Log(absl::StrCat("a way back, or the end of an install, failed: ", FailureOf(status).detail()));
    });
    GrpcServerOptions options;
    options.listen = setup.config.listen;
    options.version = kVersion;
    options.on_refused = [](absl::string_view peer) { LogRefusal(absl::StrCat("refused a link from ", peer)); };
    options.on_handled = [watch = agent->watch_.get()] { watch->Look(); };
    ASSIGN_OR_RETURN(agent->server_, GrpcServer::Start(options, *setup.identity, *agent->engine_));
    return agent;
  }

  const std::string& address() const { return server_->address(); }
  absl::Status CheckClock() const { return engine_->CheckClock(); }

 private:
  Agent() = default;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<ConfirmWatch> watch_;
  std::unique_ptr<GrpcServer> server_;
};

// An install may be under way in the state that the agent has, and its services' files lead there.
absl::Status CheckSameState(const Setup& now, const Setup& next) {
  if (now.config.state == next.config.state) return absl::OkStatus();
  return FailInput(absl::StrCat(next.config.path, ": `state` is ", next.config.state, " now; the agent works in ",
                                now.config.state, ", which a reload does not change"),
                   "set it back, or restart the agent when `certcast-node status` shows nothing to confirm: in another "
                   "state it knows nothing of what it installed");
}

// Until a signal that ends or renews the agent, then with `next`. A configuration that can't be used changes nothing.
int AwaitSignal(const sigset_t& signals, const std::string& config_path, const Setup& now, Setup& next) {
  while (true) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGHUP) return signal;
    absl::StatusOr<Setup> changed = ReadSetup(config_path);
    absl::Status status = changed.ok() ? CheckSameState(now, *changed) : changed.status();
    if (status.ok()) status = CheckCanServe(*changed);
    if (status.ok()) {
      next = *std::move(changed);
      return signal;
    }
    ReportError(Annotate(std::move(status), "going on as before"));
  }
}

}  // namespace

int Run(const std::string& config_path) {
  const sigset_t signals = BlockSignals();
  CaptureGrpcLog(Log);
  absl::StatusOr<Setup> read = ReadSetup(config_path);
  if (!read.ok()) return ReportError(read.status());
  Setup setup = *std::move(read);
  // What served until the SIGHUP.
  std::optional<Setup> before;

  // What is shown to a CA is so through a reload.
  HttpChallenges challenges(FileSystem::Real(), Clock::Real());
  int signal = SIGHUP;
  while (signal == SIGHUP) {
    absl::StatusOr<std::unique_ptr<Agent>> agent = Agent::Start(setup, challenges);
    if (!agent.ok() && before.has_value()) {
      // Only trying shows it: an address that can't be listened on, a state that can't be read.
      ReportError(Annotate(agent.status(), "going on as before"));
      setup = *std::exchange(before, std::nullopt);
      agent = Agent::Start(setup, challenges);
    }
    before.reset();
    if (!agent.ok()) return ReportError(agent.status());
    const IdentityFile identity = setup.identity->file;
    // The controller says so as well; here it is found by who looks at the node.
    absl::Status dates = (*agent)->CheckClock();
    if (dates.ok()) dates = CheckIdentityDates(identity, Clock::Real().Now());
    if (!dates.ok()) ReportError(dates);
    std::cout << "listening on " << (*agent)->address() << " as " << identity.node << ", fleet " << identity.fleet_id
              << std::endl;
    Setup next;
    signal = AwaitSignal(signals, config_path, setup, next);
    Log(signal == SIGHUP ? "taking up configuration and identity" : "ending; a command under way is finished first");
    // From now on a second SIGTERM or SIGINT ends the process at once; the journal knows what to do then.
    if (signal != SIGHUP) pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    if (signal == SIGHUP) before = std::exchange(setup, std::move(next));
  }
  return kDone;
}

}  // namespace certcast::node
