// csr and accept: how a node joins a fleet.
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/clock/clock.h"
#include "common/status/status.h"
#include "node/cli/setup.h"
#include "node/cli/verbs.h"

namespace certcast::node {
namespace {

// Only what the configuration says: an identity that is damaged or another's must not be in the way of a new one.
absl::StatusOr<Setup> ReadConfigAlone(const std::string& config_path) {
  Setup setup;
  ASSIGN_OR_RETURN(setup.config, ReadConfig(config_path));
  return setup;
}

absl::StatusOr<std::string> ReadStandardInput(size_t limit) {
  std::string bytes;
  char buffer[4096];
  while (bytes.size() <= limit) {
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno(errno, "reading the identity from standard input");
    if (count == 0) break;
    bytes.append(buffer, static_cast<size_t>(count));
  }
  if (bytes.empty()) {
    return Fail(Reason::MALFORMED, "no identity on standard input",
                "certcast-node accept < identity.pem, which is what `certcast nodes sign` printed; did that fail?");
  }
  return bytes;
}

absl::StatusOr<IdentityStore::Accepted> AcceptFromStandardInput(const std::string& config_path, bool force) {
  ASSIGN_OR_RETURN(Setup setup, ReadConfigAlone(config_path));
  if (isatty(STDIN_FILENO)) std::cerr << "reading the identity from the terminal; end it with Ctrl-D\n";
  ASSIGN_OR_RETURN(std::string pem, ReadStandardInput(kMaxIdentityFile));
  return setup.MakeIdentityStore().Accept(pem, Clock::Real().Now(), force);
}

}  // namespace

int Csr(const std::string& config_path) {
  absl::StatusOr<Setup> setup = ReadConfigAlone(config_path);
  if (!setup.ok()) return ReportError(setup.status());
  absl::StatusOr<std::string> request = setup->MakeIdentityStore().MakeRequest();
  if (!request.ok()) return ReportError(request.status());
  std::cout << *request << std::flush;
  return kDone;
}

int Accept(const std::string& config_path, bool force) {
  absl::StatusOr<IdentityStore::Accepted> accepted = AcceptFromStandardInput(config_path, force);
  if (!accepted.ok()) return ReportError(accepted.status());
  std::cout << accepted->file.node << " belongs to fleet " << accepted->file.fleet_id
            << "; its certificate is valid until " << ShowTime(accepted->file.certificate.not_after()) << std::endl;
  if (!accepted->replaced_fleet_id.empty()) {
    std::cout
        << "it belonged to fleet " << accepted->replaced_fleet_id
        << " before: its services keep what they have until this fleet installs something, epochs and generations "
           "count anew, and an install that waits for that fleet's Confirm goes back"
        << std::endl;
  }
  if (accepted->renewed || !accepted->replaced_fleet_id.empty()) {
    std::cout << "an agent that runs takes it up at SIGHUP: systemctl reload certcast-node" << std::endl;
  }
  return kDone;
}

}  // namespace certcast::node
