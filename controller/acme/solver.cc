#include "controller/acme/solver.h"

#include <utility>
#include <variant>

#include "controller/acme/dns01_acme_sh.h"
#include "controller/acme/dns01_exec.h"
#include "controller/acme/dns01_hooks.h"
#include "controller/acme/dns01_http.h"
#include "controller/acme/dns01_solver.h"

namespace certcast::controller {
namespace {

struct MakeWriter {
  const SolverEnvironment& environment;

  std::unique_ptr<TxtWriter> operator()(const ExecHook& config) const {
    return std::make_unique<Dns01Exec>(*environment.processes, config);
  }
  std::unique_ptr<TxtWriter> operator()(const CertbotHook& config) const {
    return std::make_unique<CertbotHookWriter>(*environment.processes, config);
  }
  std::unique_ptr<TxtWriter> operator()(const DehydratedHook& config) const {
    return std::make_unique<DehydratedHookWriter>(*environment.processes, config);
  }
  std::unique_ptr<TxtWriter> operator()(const AcmeShApi& config) const {
    return std::make_unique<AcmeShWriter>(*environment.processes, config);
  }
  std::unique_ptr<TxtWriter> operator()(const HttpReqService& config) const {
    return std::make_unique<HttpReqWriter>(*environment.http, config);
  }
  std::unique_ptr<TxtWriter> operator()(const AcmeDnsService& config) const {
    return std::make_unique<AcmeDnsWriter>(*environment.http, config);
  }
};

}  // namespace

std::unique_ptr<ChallengeSolver> MakeSolver(const ChallengeConfig& config, const SolverEnvironment& environment) {
  return std::make_unique<Dns01Solver>(std::visit(MakeWriter{environment}, config.writer), config.propagation,
                                       *environment.dns, *environment.clock);
}

}  // namespace certcast::controller
