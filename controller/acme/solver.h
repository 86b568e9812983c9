// From a challenge's configuration to what solves it.
#ifndef CERTCAST_CONTROLLER_ACME_SOLVER_H_
#define CERTCAST_CONTROLLER_ACME_SOLVER_H_

#include <memory>

#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/process/process.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/dns_client.h"
#include "controller/acme/http01_fleet.h"
#include "controller/acme/http_client.h"
#include "controller/config/config.h"

namespace certcast::controller {

// What solvers use of the world. All of it outlives them.
struct SolverEnvironment {
  ProcessRunner* processes = nullptr;
  HttpClient* http = nullptr;
  DnsClient* dns = nullptr;
  Clock* clock = nullptr;
  FileSystem* files = &FileSystem::Real();
  ChallengeFleet fleet;
};

std::unique_ptr<ChallengeSolver> MakeSolver(const ChallengeConfig& config, const SolverEnvironment& environment);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_SOLVER_H_
