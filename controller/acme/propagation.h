// Whether the CA will see a TXT record: every server that it may ask has it.
#ifndef CERTCAST_CONTROLLER_ACME_PROPAGATION_H_
#define CERTCAST_CONTROLLER_ACME_PROPAGATION_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/clock/clock.h"
#include "controller/acme/dns_client.h"
#include "controller/config/config.h"

namespace certcast::controller {

// The values that a name must have; it may have others.
struct ExpectedTxt {
  // With the final dot.
  std::string fqdn;
  std::vector<std::string> values;
};

// Waits until every server answers with every value: the configured resolvers, else the authoritative servers of the
// zone that holds the name, after following CNAMEs and delegations. Of a name server with several addresses, one must
// answer and none may answer wrongly. Only call it once the records are written: a resolver that was asked too early
// keeps "no such name" for a while; for that reason resolvers of the system are asked for zones and addresses only,
// never for the name itself.
//
// CHALLENGE_FAILED when the time is over: names the server that lacks a value and what it said; without configured
// resolvers the hint says that the DNS may look different from here.
absl::Status WaitForTxt(DnsClient& dns, Clock& clock, const ChallengeConfig::Propagation& config,
                        const std::vector<ExpectedTxt>& expected,
                        const std::function<void(absl::string_view)>& on_progress);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_PROPAGATION_H_
