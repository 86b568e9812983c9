// Who a peer is: the names in the certificates that the fleet's CA signs.
//
// Each certificate carries a dNSName, which TLS checks, and a URI, which also says the fleet:
//   a node          web-01.node.certcast   certcast://<fleet id>/node/web-01
//   the controller  controller.certcast    certcast://<fleet id>/controller
// The names mean nothing by themselves: first the certificate must chain to the fleet's CA.
#ifndef CERTCAST_COMMON_IDENTITY_NAMES_H_
#define CERTCAST_COMMON_IDENTITY_NAMES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace certcast {

// `[a-z0-9][a-z0-9.-]{0,62}` in which each dot-separated label begins and ends with a letter or digit, so that it can
// stand in a DNS name and in a path. kInvalidArgument otherwise, saying what is wrong with it.
absl::Status CheckNodeName(absl::string_view name);

std::string NodeDnsName(absl::string_view node);
std::string ControllerDnsName();
std::string NodeUri(absl::string_view fleet_id, absl::string_view node);
std::string ControllerUri(absl::string_view fleet_id);

// The node that a peer is, from all subjectAltNames of its certificate, dNSNames and URIs in any order. nullopt when it
// is no node of this fleet: another fleet's, the controller, or one whose two names disagree.
std::optional<std::string> PeerNode(absl::string_view fleet_id, const std::vector<std::string>& subject_alt_names);

// Whether the peer is this fleet's controller. A node never is.
bool IsController(absl::string_view fleet_id, const std::vector<std::string>& subject_alt_names);

}  // namespace certcast

#endif  // CERTCAST_COMMON_IDENTITY_NAMES_H_
