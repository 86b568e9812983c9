#include "controller/transport/diagnose.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "common/identity/names.h"
#include "common/probe/address.h"
#include "common/probe/deadline.h"
#include "common/probe/system_resolver.h"
#include "common/probe/tls_client.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast::controller {
namespace {

absl::Status Bad(const std::string& peer, absl::string_view what, const NodeConfig& node) {
  return Fail(
      Reason::AUTH_FAILED, absl::StrCat(peer, " showed a certificate that ", what),
      absl::StrCat("check the clocks of both; else give the node an identity of this fleet: `certcast nodes sign ",
                   node.name, "` here, `certcast-node accept` there"));
}

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

std::vector<std::string> NamesOf(const Certificate& certificate) {
  std::vector<std::string> names = certificate.dns_names();
  names.insert(names.end(), certificate.uris().begin(), certificate.uris().end());
  return names;
}

// What the node showed, against what its name and the fleet ask of it.
absl::Status CheckShown(const NodeConfig& node, const std::string& peer, const LinkIdentity& identity,
                        const std::vector<Certificate>& roots, const TlsPeer& shown) {
  const absl::StatusOr<Certificate> parsed = shown.Leaf();
  if (!parsed.ok()) return Bad(peer, "does not parse", node);
  const Certificate& leaf = *parsed;
  const absl::Time now = absl::Now();
  if (now > leaf.not_after()) return Bad(peer, absl::StrCat("expired ", Date(leaf.not_after())), node);
  if (now < leaf.not_before()) return Bad(peer, absl::StrCat("is not valid before ", Date(leaf.not_before())), node);
  if (!CheckChainAgainstRoots({leaf}, roots, now).ok()) {
    return Bad(peer, absl::StrCat("is not of this fleet (its issuer: ", leaf.issuer_name(), ")"), node);
  }
  const std::vector<std::string> names = NamesOf(leaf);
  const std::optional<std::string> is = PeerNode(identity.fleet_id, names);
  if (is == node.name) return absl::OkStatus();
  return Bad(peer,
             absl::StrCat("is ", is.has_value() ? absl::StrCat("node ", *is, "'s") : absl::StrJoin(names, ", "),
                          ", not ", node.name, "'s"),
             node);
}

// The node ended the connection, with an alert or without one (gRPC sends none): why, as far as our own certificate
// tells.
absl::Status ExplainRefusal(const std::string& peer, const LinkIdentity& identity, const Certificate& own,
                            const std::vector<Certificate>& roots, const absl::Status& refusal, bool& was_cut) {
  const std::string refused = absl::StrCat(peer, " refused the controller's certificate");
  const absl::Time now = absl::Now();
  if (now > own.not_after()) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat(refused, ": it expired ", Date(own.not_after())),
                "check the controller's clock; `certcast` renews its own certificate when it starts");
  }
  if (!CheckChainAgainstRoots({own}, roots, now).ok()) {
    return Fail(Reason::AUTH_FAILED,
                absl::StrCat(refused, ": it is not of the fleet's CA (its issuer: ", own.issuer_name(), ")"),
                "the controller's state holds another fleet's keys: is it the right state directory?");
  }
  if (!IsController(identity.fleet_id, NamesOf(own))) {
    return Fail(Reason::AUTH_FAILED,
                absl::StrCat(refused, ": it is of ", absl::StrJoin(NamesOf(own), ", "),
                             ", not the controller of fleet ", identity.fleet_id),
                "is it the controller's state directory?");
  }
  was_cut = true;
  const std::string detail = FailureOf(refusal).detail();
  return Fail(
      Reason::AUTH_FAILED, absl::StrCat(refused, detail.empty() ? "" : ": ", detail),
      absl::StrCat("its log says why (journalctl -u certcast-node): its clock may be wrong, or it belongs to a fleet "
                   "other than ",
                   identity.fleet_id));
}

}  // namespace

absl::Status Diagnose(const NodeConfig& node, const LinkIdentity& identity, absl::Duration timeout, bool& was_cut) {
  const std::string peer = absl::StrCat(node.name, " at ", node.address);
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, ParseChainPem(identity.chain_pem));
  ASSIGN_OR_RETURN(const PrivateKey key, PrivateKey::FromPem(identity.private_key_pem.ExposeSecret()));
  ASSIGN_OR_RETURN(const std::vector<Certificate> roots, ParseChainPem(identity.fleet_ca_pem));
  ASSIGN_OR_RETURN(const HostPort to, ParseHostPort(node.address));
  TlsOptions options;
  options.chain = &chain;
  options.key = &key;
  options.alpn = {"h2"};
  options.resolver = &SystemResolver();
  absl::StatusOr<std::unique_ptr<TlsStream>> stream =
      TlsStream::Connect(to, NodeDnsName(node.name), options, Deadline::In(timeout));
  if (ReasonOf(stream.status()) == Reason::AUTH_FAILED) {
    return ExplainRefusal(peer, identity, chain.front(), roots, stream.status(), was_cut);
  }
  if (!stream.ok()) {
    absl::Status status = WithHint(Annotate(stream.status(), node.name),
                                   "is certcast-node running there, is the address right, does a firewall drop it?");
    // No command was under way: what is lost is not a link.
    was_cut = ReasonOf(status) == Reason::LINK_LOST;
    return was_cut ? WithReason(std::move(status), Reason::PROTOCOL) : status;
  }
  RETURN_IF_ERROR(CheckShown(node, peer, identity, roots, (*stream)->peer()));
  // In TLS 1.3 a node reads our certificate last: it then speaks HTTP/2, or ends the connection.
  absl::StatusOr<std::string> first = (*stream)->Read();
  const bool timed_out = ReasonOf(first.status()) == Reason::TIMED_OUT;
  if (timed_out || (first.ok() && !first->empty())) return absl::OkStatus();
  return ExplainRefusal(peer, identity, chain.front(), roots, first.status(), was_cut);
}

}  // namespace certcast::controller
