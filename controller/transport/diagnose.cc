#include "controller/transport/diagnose.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/identity/names.h"
#include "common/probe/system_resolver.h"
#include "common/probe/tls_client.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast::controller {
namespace {

// How long a node may take to refuse us once the handshake is over: in TLS 1.3 it reads our certificate last.
constexpr absl::Duration kRefusalTime = absl::Seconds(1);

absl::Status Bad(const std::string& peer, absl::string_view what, const NodeConfig& node) {
  return Fail(
      Reason::AUTH_FAILED, absl::StrCat(peer, " showed a certificate that ", what),
      absl::StrCat("check the clocks of both; else give the node an identity of this fleet: `certcast nodes sign ",
                   node.name, "` here, `certcast-node accept` there"));
}

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

// What the node showed, against what its name and the fleet ask of it.
absl::Status CheckShown(const NodeConfig& node, const std::string& peer, const LinkIdentity& identity,
                        const std::vector<Certificate>& roots, const TlsPeer& shown) {
  if (shown.chain.empty()) return Bad(peer, "does not parse", node);
  const Certificate& leaf = shown.chain.front();
  const absl::Time now = absl::Now();
  if (now > leaf.not_after()) return Bad(peer, absl::StrCat("expired ", Date(leaf.not_after())), node);
  if (now < leaf.not_before()) return Bad(peer, absl::StrCat("is not valid before ", Date(leaf.not_before())), node);
  if (!CheckChainAgainstRoots({leaf}, roots, now).ok()) {
    return Bad(peer, absl::StrCat("is not of this fleet (its issuer: ", leaf.issuer_name(), ")"), node);
  }
  std::vector<std::string> names = leaf.dns_names();
  names.insert(names.end(), leaf.uris().begin(), leaf.uris().end());
  const std::optional<std::string> is = PeerNode(identity.fleet_id, names);
  if (is == node.name) return absl::OkStatus();
  return Bad(peer,
             absl::StrCat("is ", is.has_value() ? absl::StrCat("node ", *is, "'s") : absl::StrJoin(names, ", "),
                          ", not ", node.name, "'s"),
             node);
}

// The node's refusal, unless a look at our own certificate says more.
absl::Status ExplainRefusal(const std::string& peer, const Certificate& own, absl::Status refusal) {
  if (absl::Status dates = CheckDates(own, absl::Now()); !dates.ok()) {
    return Fail(Reason::AUTH_FAILED,
                absl::StrCat(peer, " refused the controller's certificate: ", FailureOf(dates).detail()),
                "check the controller's clock; the next command of `certcast` renews its certificate");
  }
  return Annotate(std::move(refusal), absl::StrCat(peer, " refused the controller's certificate"));
}

}  // namespace

absl::Status Diagnose(const NodeConfig& node, const LinkIdentity& identity, absl::Duration timeout) {
  const std::string peer = absl::StrCat(node.name, " at ", node.address);
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(identity.chain_pem));
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::FromPem(identity.private_key_pem.ExposeSecret()));
  ASSIGN_OR_RETURN(const std::vector<Certificate> roots, ParseChainPem(identity.fleet_ca_pem));
  TlsOptions options;
  options.chain = &chain;
  options.key = &key;
  options.alpn = {"h2"};
  options.listen = std::min(kRefusalTime, timeout / 2);
  options.resolver = &SystemResolver();
  absl::StatusOr<TlsPeer> shown = TlsHandshake(node.address, NodeDnsName(node.name), options, timeout);
  if (shown.ok()) return CheckShown(node, peer, identity, roots, *shown);
  if (ReasonOf(shown.status()) == Reason::AUTH_FAILED) return ExplainRefusal(peer, chain.front(), shown.status());
  return WithHint(Annotate(shown.status(), node.name),
                  "is certcast-node running there, is the address right, does a firewall drop it?");
}

}  // namespace certcast::controller
