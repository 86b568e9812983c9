// The `exec` solver of dns-01: a command of the operator's writes and removes TXT records, called as lego's exec
// provider does:
//   COMMAND present _acme-challenge.example.com. VALUE
//   COMMAND cleanup _acme-challenge.example.com. VALUE
// and with `raw`: COMMAND present -- DOMAIN TOKEN KEY_AUTHORIZATION
#ifndef CERTCAST_CONTROLLER_ACME_DNS01_EXEC_H_
#define CERTCAST_CONTROLLER_ACME_DNS01_EXEC_H_

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"
#include "common/process/process.h"
#include "controller/acme/txt_writer.h"
#include "controller/config/config.h"

namespace certcast::controller {

// CHALLENGE_FAILED names the command and record, how it ended, and carries its standard error. Run one at a time. What
// it leaves running is ended. Nothing in its arguments is secret.
class Dns01Exec final : public TxtWriter {
 public:
  // `processes` must outlive this.
  Dns01Exec(ProcessRunner& processes, ExecHook config) : processes_(processes), config_(std::move(config)) {}

  absl::Status Present(const state::v1::PresentedChallenge& challenge) override;
  absl::Status CleanUp(const state::v1::PresentedChallenge& challenge) override;

 private:
  absl::Status Run(const char* verb, const state::v1::PresentedChallenge& challenge);

  ProcessRunner& processes_;
  const ExecHook config_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS01_EXEC_H_
