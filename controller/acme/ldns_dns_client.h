// DnsClient over the network, by ldns.
#ifndef CERTCAST_CONTROLLER_ACME_LDNS_DNS_CLIENT_H_
#define CERTCAST_CONTROLLER_ACME_LDNS_DNS_CLIENT_H_

#include <memory>

#include "controller/acme/dns_client.h"

namespace certcast::controller {

std::unique_ptr<DnsClient> MakeLdnsClient();

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_LDNS_DNS_CLIENT_H_
