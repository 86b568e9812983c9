// dns-01 (RFC 8555 section 8.4): a TXT record below each name, seen by every server that the CA may ask.
#ifndef CERTCAST_CONTROLLER_ACME_DNS01_SOLVER_H_
#define CERTCAST_CONTROLLER_ACME_DNS01_SOLVER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/clock/clock.h"
#include "controller/acme/challenge_solver.h"
#include "controller/acme/dns_client.h"
#include "controller/acme/txt_writer.h"
#include "controller/config/config.h"

namespace certcast::controller {

class Dns01Solver final : public ChallengeSolver {
 public:
  struct Options {
    ChallengeConfig::Propagation propagation;
    // Records go where _acme-challenge leads by CNAMEs.
    bool follow_cname = false;
    // host:port of the server that is written to, where it is known: it is asked for CNAMEs first.
    std::string server;
  };
  // `dns` and `clock` must outlive this.
  Dns01Solver(std::unique_ptr<TxtWriter> writer, Options options, DnsClient& dns, Clock& clock)
      : writer_(std::move(writer)), options_(std::move(options)), dns_(dns), clock_(clock) {}

  absl::string_view type() const override { return "dns-01"; }
  absl::string_view noun() const override { return "TXT record"; }
  std::string Place(const Challenge& challenge) const override { return challenge.fqdn(); }
  bool looks() const override { return !options_.propagation.skip; }
  void Announce(const std::vector<Challenge>& challenges) override { writer_->Announce(challenges); }
  // The record's name and value.
  absl::Status Prepare(Challenge& challenge) override;
  absl::Status Present(const Challenge& challenge) override { return writer_->Present(challenge); }
  // See propagation.h.
  absl::Status AwaitVisible(const std::vector<Challenge>& challenges,
                            const std::function<void(absl::string_view)>& on_progress) override;
  absl::Status CleanUp(const Challenge& challenge) override { return writer_->CleanUp(challenge); }

 private:
  const std::unique_ptr<TxtWriter> writer_;
  const Options options_;
  DnsClient& dns_;
  Clock& clock_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS01_SOLVER_H_
