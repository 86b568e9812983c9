// Generations of certificates: obtained when due, or adopted.
#ifndef CERTCAST_CONTROLLER_API_OBTAIN_H_
#define CERTCAST_CONTROLLER_API_OBTAIN_H_

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/controller.h"
#include "controller/api/session.h"
#include "controller/config/config.h"
#include "controller/schedule/renewal.h"

namespace certcast::controller {

struct Obtained {
  // What nodes should have now; nullopt: there is none.
  std::optional<state::v1::Generation> generation;
  v1::ApplyResponse::Certificate shown;
};

// kInvalidArgument where no CA can be asked for it: it is imported.
absl::Status CheckHasAccount(const Config& config, const CertificateConfig& certificate);

// Asks the CA when it should be renewed, decides whether the certificate is due and orders it if so; an order that is
// not finished is gone on with, due or not. Otherwise looks whether the CA has another chain for it. That the CA
// refuses is not an error here but a failure in `shown`, beside the generation that is there; errors are what keeps the
// controller itself from going on.
absl::StatusOr<Obtained> ObtainIfDue(const Config& config, const Machine& machine, Session& session,
                                     const CertificateConfig& certificate, bool force, const OnProgress& on_progress);

// The same without ordering: `issued` says that it would be.
absl::StatusOr<Obtained> DecideOnly(const Machine& machine, Session& session, const CertificateConfig& certificate,
                                    bool force);

// The certificate's accounts, in the order in which they are asked.
std::vector<const AccountConfig*> AccountsOf(const Config& config, const CertificateConfig& certificate);

// A generation as the API shows it.
v1::ApplyResponse::Certificate ShowCertificate(const std::string& name,
                                               const std::optional<state::v1::Generation>& generation);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_OBTAIN_H_
