// Hooks that were written for other ACME clients, called as those call them. One at a time; nothing in their arguments
// or environment is secret. What they leave running is ended.
#ifndef CERTCAST_CONTROLLER_ACME_DNS01_HOOKS_H_
#define CERTCAST_CONTROLLER_ACME_DNS01_HOOKS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "certcast/state/v1/store.pb.h"
#include "common/process/process.h"
#include "controller/acme/txt_writer.h"
#include "controller/config/challenge.h"

namespace certcast::controller {

// certbot's manual plugin (https://eff-certbot.readthedocs.io, "Pre and Post Validation Hooks"): CERTBOT_DOMAIN,
// CERTBOT_VALIDATION, CERTBOT_REMAINING_CHALLENGES and CERTBOT_ALL_DOMAINS (a domain is there as often as it has
// challenges) are set, for the clean-up as they were, and CERTBOT_AUTH_OUTPUT with them, which is empty when another
// run of certcast presented. CERTBOT_TOKEN is of http-01 alone. Commands are words here, not shell lines.
class CertbotHookWriter final : public TxtWriter {
 public:
  // `processes` must outlive this.
  CertbotHookWriter(ProcessRunner& processes, CertbotHook config) : processes_(processes), config_(std::move(config)) {}

  void Announce(const std::vector<state::v1::PresentedChallenge>& challenges) override;
  absl::Status Present(const state::v1::PresentedChallenge& challenge) override;
  absl::Status CleanUp(const state::v1::PresentedChallenge& challenge) override;

 private:
  // What the first hook was told, and what it printed.
  struct Call {
    int remaining = 0;
    std::string all_domains;
    std::string output;
  };
  static std::string KeyOf(const state::v1::PresentedChallenge& challenge);
  ProcessRequest RequestFor(const std::vector<std::string>& command, const state::v1::PresentedChallenge& challenge,
                            const Call& call) const;

  ProcessRunner& processes_;
  const CertbotHook config_;
  std::string all_domains_;
  int remaining_ = 0;
  std::map<std::string, Call> calls_;
};

// dehydrated's hook (docs/examples/hook.sh there): `deploy_challenge DOMAIN TOKEN_FILENAME TOKEN_VALUE` and
// `clean_challenge` with the same.
class DehydratedHookWriter final : public TxtWriter {
 public:
  // `processes` must outlive this.
  DehydratedHookWriter(ProcessRunner& processes, DehydratedHook config)
      : processes_(processes), config_(std::move(config)) {}

  absl::Status Present(const state::v1::PresentedChallenge& challenge) override;
  absl::Status CleanUp(const state::v1::PresentedChallenge& challenge) override;

 private:
  absl::Status Run(const char* verb, const char* step, const state::v1::PresentedChallenge& challenge);

  ProcessRunner& processes_;
  const DehydratedHook config_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS01_HOOKS_H_
