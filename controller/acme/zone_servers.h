// Which name servers hold a name.
#ifndef CERTCAST_CONTROLLER_ACME_ZONE_SERVERS_H_
#define CERTCAST_CONTROLLER_ACME_ZONE_SERVERS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/acme/dns_client.h"

namespace certcast::controller {

// One of a zone's NS, with its addresses as host:port.
struct NameServer {
  std::string name;
  std::vector<std::string> addresses;
};

struct AuthoritativeServers {
  // The name that holds the TXT record, after CNAMEs.
  std::string name;
  // Never empty.
  std::vector<NameServer> servers;
};

// Asks `resolvers` (host:port; none: the system's) for zones, name servers and addresses, and the zone's own servers
// for `fqdn` itself: follows up to eight CNAMEs and delegations that they answer with. Errors: CHALLENGE_FAILED with
// what could not be found.
absl::StatusOr<AuthoritativeServers> FindAuthoritativeServers(DnsClient& dns, const std::string& fqdn,
                                                              const std::vector<std::string>& resolvers = {});

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ZONE_SERVERS_H_
