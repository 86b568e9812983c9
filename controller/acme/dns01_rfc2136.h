// The `rfc2136` solver of dns-01: dynamic updates (RFC 2136), signed with TSIG (RFC 8945).
#ifndef CERTCAST_CONTROLLER_ACME_DNS01_RFC2136_H_
#define CERTCAST_CONTROLLER_ACME_DNS01_RFC2136_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "controller/acme/dns_client.h"
#include "controller/acme/txt_writer.h"
#include "controller/config/challenge.h"

namespace certcast::controller {

// Adds and removes single values, never a whole RRset. An update that was not answered is sent again, twice: it changes
// nothing where it arrived before. The key is read anew for each record.
class Rfc2136Writer final : public TxtWriter {
 public:
  // `dns` must outlive this.
  Rfc2136Writer(DnsClient& dns, Rfc2136Server config) : dns_(dns), config_(std::move(config)) {}

  absl::Status Present(const state::v1::PresentedChallenge& challenge) override;
  absl::Status CleanUp(const state::v1::PresentedChallenge& challenge) override;

 private:
  absl::Status Update(const state::v1::PresentedChallenge& challenge, bool add);
  // The lowest zone above `fqdn` that the server holds.
  absl::StatusOr<std::string> ZoneOf(const std::string& fqdn);

  DnsClient& dns_;
  const Rfc2136Server config_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DNS01_RFC2136_H_
