// The DNS APIs of acme.sh (its wiki, "DNS API Dev Guide"), about 180 providers: the operator's own, unmodified.
#ifndef CERTCAST_CONTROLLER_ACME_DNS01_ACME_SH_H_
#define CERTCAST_CONTROLLER_ACME_DNS01_ACME_SH_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"
#include "common/process/process.h"
#include "controller/acme/txt_writer.h"
#include "controller/config/challenge.h"

namespace certcast::controller {

// A shell reads acme.sh and the API, and calls dns_X_add or dns_X_rm. Configured variables reach it on its standard
// input, as shell variables that it does not export: not in its arguments, nor in any process's environment by us. What
// the API does with them is its own affair; many give them to curl as arguments. One at a time; what they leave running
// is ended.
class AcmeShWriter final : public TxtWriter {
 public:
  // `processes` must outlive this.
  AcmeShWriter(ProcessRunner& processes, AcmeShApi config) : processes_(processes), config_(std::move(config)) {}

  absl::Status Present(const state::v1::PresentedChallenge& challenge) override;
  absl::Status CleanUp(const state::v1::PresentedChallenge& challenge) override;

 private:
  absl::Status AppendVariables(std::string& input) const;
  absl::Status Run(const char* verb, const char* step, const state::v1::PresentedChallenge& challenge);

  ProcessRunner& processes_;
  const AcmeShApi config_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS01_ACME_SH_H_
