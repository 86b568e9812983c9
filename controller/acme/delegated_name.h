// CNAME delegation of dns-01: where does `_acme-challenge.example.com` lead?
#ifndef CERTCAST_CONTROLLER_ACME_DELEGATED_NAME_H_
#define CERTCAST_CONTROLLER_ACME_DELEGATED_NAME_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/acme/dns_client.h"

namespace certcast::controller {

// The name at the end of the CNAMEs that begin at `fqdn`; `fqdn` itself where there is none. `servers` (host:port) are
// asked first, for what they hold themselves; where there are none, or none of them knows, the servers that are
// responsible for the name are, as `resolvers` (host:port; none: the system's) name them. A resolver is asked for zones
// alone, since it would remember that there is no such name yet; for the name itself only where nobody else can be
// asked, and it is among `servers`. CHALLENGE_FAILED when nobody can say, or the way does not end.
absl::StatusOr<std::string> FollowCnames(DnsClient& dns, const std::vector<std::string>& servers,
                                         const std::string& fqdn, const std::vector<std::string>& resolvers = {});

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_DELEGATED_NAME_H_
