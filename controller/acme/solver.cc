#include "controller/acme/solver.h"

#include <string>
#include <utility>
#include <variant>

#include "controller/acme/dns01_acme_sh.h"
#include "controller/acme/dns01_exec.h"
#include "controller/acme/dns01_hooks.h"
#include "controller/acme/dns01_http.h"
#include "controller/acme/dns01_rfc2136.h"
#include "controller/acme/dns01_solver.h"
#include "controller/acme/dns_persist01.h"
#include "controller/acme/http01_local.h"

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
  std::unique_ptr<TxtWriter> operator()(const Rfc2136Server& config) const {
    return std::make_unique<Rfc2136Writer>(*environment.dns, config);
  }
};

struct MakeHttpSolver {
  const SolverEnvironment& environment;

  std::unique_ptr<ChallengeSolver> operator()(const HttpWebroot& config) const {
    return std::make_unique<Http01Webroot>(*environment.files, config.path);
  }
  std::unique_ptr<ChallengeSolver> operator()(const HttpListener& config) const {
    return std::make_unique<Http01Listener>(config.address);
  }
  std::unique_ptr<ChallengeSolver> operator()(const HttpFleet& config) const {
    return std::make_unique<Http01Fleet>(config, environment.fleet, *environment.clock);
  }
};

// Who is written to, where it is a DNS server.
std::string ServerOf(const ChallengeConfig& config) {
  const auto* update = std::get_if<Rfc2136Server>(&config.writer);
  return update == nullptr ? "" : update->server;
}

}  // namespace

std::unique_ptr<ChallengeSolver> MakeSolver(const ChallengeConfig& config, const SolverEnvironment& environment) {
  if (config.http01.has_value()) return std::visit(MakeHttpSolver{environment}, *config.http01);
  if (config.dns_persist01) {
    return std::make_unique<DnsPersist01>(config.propagation, *environment.dns, *environment.clock);
  }
  return std::make_unique<Dns01Solver>(
      std::visit(MakeWriter{environment}, config.writer),
      Dns01Solver::Options{
          .propagation = config.propagation, .follow_cname = config.follow_cname, .server = ServerOf(config)},
      *environment.dns, *environment.clock);
}

}  // namespace certcast::controller
