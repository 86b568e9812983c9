#include "controller/acme/solver.h"

#include "controller/acme/dns01_exec.h"
#include "controller/acme/dns01_solver.h"

namespace certcast::controller {

std::unique_ptr<ChallengeSolver> MakeSolver(const ChallengeConfig& config, const SolverEnvironment& environment) {
  return std::make_unique<Dns01Solver>(std::make_unique<Dns01Exec>(*environment.processes, config.exec),
                                       config.propagation, *environment.dns, *environment.clock);
}

}  // namespace certcast::controller
