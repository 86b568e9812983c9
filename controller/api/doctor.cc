// Looks at everything that a rollout needs, and says what to do about what it finds.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "common/clock/timestamp.h"
#include "common/status/count.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "controller/api/check_account.h"
#include "controller/api/check_challenge.h"
#include "controller/api/controller.h"
#include "controller/api/findings.h"
#include "controller/api/session.h"
#include "controller/rollout/fleet_status.h"
#include "controller/schedule/contract.h"
#include "controller/store/open_orders.h"
#include "controller/transport/ssh/by_hand.h"

namespace certcast::controller {
namespace {

// Beyond it dates in manifests are misjudged.
constexpr absl::Duration kClockTolerance = absl::Minutes(1);
// Two generations of every service fit many times.
constexpr uint64_t kFreeBytes = uint64_t{16} * 1024 * 1024;
// An identity lives 30 days.
constexpr absl::Duration kIdentityLeft = absl::Hours(24 * 7);

void CheckContracts(const Config& config, const Machine& machine, Findings& findings) {
  for (const ContractNotice& notice : ContractNotices(config.accounts, machine.clock->Now())) {
    const std::string name = absl::StrCat("account ", notice.account);
    switch (notice.urgency) {
      case ContractNotice::Urgency::kNone:
        findings.Ok(name, notice.text);
        break;
      case ContractNotice::Urgency::kEarly:
      case ContractNotice::Urgency::kSoon:
        findings.Warning(name, notice.text, notice.hint);
        break;
      case ContractNotice::Urgency::kNow:
        findings.Problem(name, notice.text, notice.hint);
        break;
    }
  }
}

std::string Megabytes(uint64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

bool HasRoom(const v1::Inventory& inventory) {
  return inventory.free_bytes() >= kFreeBytes;
}

// Whether certcast.yaml says what runs there.
bool IsHosted(const NodeConfig* node) {
  return node != nullptr && node->ssh.has_value() && node->ssh->hosted();
}

void CheckInventory(const Config& config, const SeenNode& seen, Findings& findings) {
  const std::string name = absl::StrCat("node ", seen.name);
  const v1::Inventory& inventory = seen.inventory;
  const absl::Duration off = FromTimestamp(inventory.clock()) - seen.at;
  if (inventory.has_clock_failure()) {
    findings.Problem(name, StatusOf(inventory.clock_failure()));
  } else if (absl::AbsDuration(off) > kClockTolerance) {
    findings.Warning(name,
                     absl::StrCat("its clock is off by ", absl::FormatDuration(absl::Trunc(off, absl::Seconds(1)))),
                     "synchronise it: it refuses manifests from the future and certificates that are not yet valid");
  }
  if (!HasRoom(inventory)) {
    findings.Problem(name,
                     absl::StrCat("only ", Megabytes(inventory.free_bytes()), " are free where it keeps its state"),
                     absl::StrCat("make room there: it wants ", Megabytes(kFreeBytes)));
  }
  if (inventory.has_identity_not_after() && FromTimestamp(inventory.identity_not_after()) - seen.at < kIdentityLeft) {
    findings.Warning(
        name, absl::StrCat("its identity expires ", absl::FormatTime(FromTimestamp(inventory.identity_not_after()))),
        absl::StrCat("sign it again: certcast-node csr | certcast nodes sign ", seen.name, " | certcast-node accept"));
  }
  const bool is_hosted = IsHosted(config.FindNode(seen.name));
  const absl::string_view where = is_hosted ? "certcast.yaml" : "its node.yaml";
  const std::vector<std::string> allowed(inventory.allow_names().begin(), inventory.allow_names().end());
  for (const CertificateConfig& certificate : config.certificates) {
    const std::vector<const NodeConfig*> nodes = config.NodesOf(certificate);
    if (std::none_of(nodes.begin(), nodes.end(), [&](const NodeConfig* node) { return node->name == seen.name; })) {
      continue;
    }
    const bool declared =
        std::any_of(inventory.services().begin(), inventory.services().end(),
                    [&](const v1::Inventory::Service& service) { return service.certificate() == certificate.name; });
    if (!declared) {
      findings.Problem(name, absl::StrCat("no service that ", where, " gives it uses certificate ", certificate.name),
                       "declare one there, or take the node out of the certificate's `nodes`");
    }
    if (IsShownOnNodes(certificate) && inventory.http_challenge().empty()) {
      findings.Problem(
          name, absl::StrCat("it shows no HTTP challenges, as ", certificate.name, " needs"),
          absl::StrCat("add http_challenge: {webroot: DIRECTORY} to ", is_hosted ? "the node in " : "", where));
    }
    for (const std::string& domain : certificate.domains) {
      if (NameAllowed(allowed, domain)) continue;
      findings.Problem(name, absl::StrCat("its allow_names do not cover ", domain, " of ", certificate.name),
                       absl::StrCat("they are: ", absl::StrJoin(allowed, " "), "; add to `allow_names` in ", where));
    }
  }
  for (const v1::Inventory::Service& service : inventory.services()) {
    for (const std::string& drift : service.drift()) {
      findings.Warning(name, absl::StrCat(service.name(), ": ", drift),
                       "`certcast apply` mends files and links; whose directories are is for you to mend");
    }
    for (const std::string& obstacle : service.obstacles()) {
      findings.Problem(name, absl::StrCat(service.name(), ": ", obstacle), "until then the node refuses to install");
    }
  }
  for (const v1::ProbeResult& probe : inventory.probes()) {
    if (probe.ok()) continue;
    findings.Warning(
        name, absl::StrCat(probe.service(), ": ", probe.probe(), ": ", probe.detail()),
        probe.served_sha256().empty()
            ? "does the service run, and listen there? An install that this probe does not pass is taken back"
            : "`certcast status` says what it should be; has the service been reloaded since?");
  }
}

std::string HintForAgent(const SilentNode& silent) {
  return silent.refused ? "" : "is certcast-node running there, enrolled, and its port open to this machine?";
}

// What was shown to work: all of it is in the way of an answer. Whether a full state can be written was not.
std::string DescribeLogin(const NodeConfig& node, const v1::Inventory& inventory) {
  const SshNode& ssh = *node.ssh;
  return absl::StrCat("answers over ssh as ", node.address, ssh.options.sudo ? ", sudo" : "",
                      ssh.hosted() && HasRoom(inventory) ? absl::StrCat(", ", ssh.state, " can be written, ",
                                                                        Megabytes(inventory.free_bytes()), " free")
                                                         : "");
}

std::string TryByHand(const std::string& line) {
  return line.empty() ? "" : absl::StrCat("try by hand: ", line);
}

// What to try by hand where it did not work. Empty: there is nothing to try.
std::string HintForSsh(const NodeConfig& node, Reason::Code reason, SshByHand& by_hand) {
  switch (reason) {
    case Reason::NO_ROUTE:
    case Reason::TIMED_OUT:
    case Reason::LINK_LOST:
    case Reason::AUTH_FAILED:
      return TryByHand(by_hand.LineFor(node, "true"));
    case Reason::SUDO_REFUSED:
      return TryByHand(by_hand.LineFor(node, "sudo -n -l"));
    case Reason::PERMISSION_DENIED:
    case Reason::STORAGE_FAILED:
    case Reason::NO_SPACE:
      return absl::StrCat("is ", node.ssh->state, " on ", node.name, " the login's own, and may it write there?");
    default:
      return "";
  }
}

void ExplainSilence(const Config& config, const SilentNode& silent, SshByHand& by_hand, Findings& findings) {
  const NodeConfig* const node = config.FindNode(silent.name);
  const bool is_ssh = node != nullptr && node->ssh.has_value();
  v1::Failure failure = FailureOf(silent.why);
  const std::string more = is_ssh ? HintForSsh(*node, failure.reason(), by_hand) : HintForAgent(silent);
  // What the node itself suggests knows more than we do.
  if (failure.hint().empty()) {
    failure.set_hint(more);
  } else if (absl::StartsWith(more, "try by hand")) {
    failure.set_hint(absl::StrCat(failure.hint(), "; ", more));
  }
  std::string detail = absl::StrCat(ReasonName(failure.reason()), ": ", failure.detail());
  if (!failure.stderr().empty()) {
    absl::StrAppend(&detail, ": ", absl::StrReplaceAll(absl::StripAsciiWhitespace(failure.stderr()), {{"\n", "; "}}));
  }
  findings.Problem(absl::StrCat("node ", silent.name), detail, failure.hint());
}

void CheckAnswers(const Config& config, const Machine& machine, const FleetStatus& status, Findings& findings) {
  SshByHand by_hand(*machine.processes);
  for (const SilentNode& silent : status.silent) ExplainSilence(config, silent, by_hand, findings);
  for (const SeenNode& seen : status.seen) {
    const NodeConfig* const node = config.FindNode(seen.name);
    const std::string how = node != nullptr && node->ssh.has_value() ? DescribeLogin(*node, seen.inventory) : "answers";
    findings.Ok(absl::StrCat("node ", seen.name), absl::StrCat(how, ", certcast-node ", seen.inventory.version()));
    CheckInventory(config, seen, findings);
  }
}

// Those that no certificate is for are looked at all the same: one will be.
absl::Status CheckIdleNodes(const Config& config, const Machine& machine, Session& session, Findings& findings) {
  std::set<std::string> busy;
  for (const CertificateConfig& certificate : config.certificates) {
    for (const NodeConfig* node : config.NodesOf(certificate)) busy.insert(node->name);
  }
  WantedCertificate none;
  for (const NodeConfig& node : config.nodes) {
    if (busy.contains(node.name)) continue;
    none.nodes.push_back(&node);
    findings.Warning(absl::StrCat("node ", node.name), "no certificate is for it",
                     "name it, or a label of it, in a certificate's `nodes`");
  }
  if (none.nodes.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(ControllerIdentity identity, session.keyring->LoadControllerIdentity());
  ASSIGN_OR_RETURN(const std::unique_ptr<Transport> transport,
                   machine.make_transport(session.keyring->fleet_id(), std::move(identity)));
  CheckAnswers(config, machine, AskFleet({none}, *transport, *machine.clock, {}), findings);
  return absl::OkStatus();
}

void CheckNodes(const Config& config, const Machine& machine, Session& session, Findings& findings) {
  std::vector<const CertificateConfig*> certificates;
  for (const CertificateConfig& certificate : config.certificates) certificates.push_back(&certificate);
  const absl::StatusOr<FleetView> view = ViewFleet(config, machine, session, std::move(certificates));
  if (!view.ok()) return findings.Problem("nodes", view.status());
  CheckAnswers(config, machine, view->status, findings);
  if (absl::Status idle = CheckIdleNodes(config, machine, session, findings); !idle.ok()) {
    findings.Problem("nodes", idle);
  }
}

std::string LeftOf(const state::v1::Order& order) {
  std::vector<std::string> left;
  if (!order.order_url().empty()) left.push_back(absl::StrCat("the order ", order.order_url()));
  for (const state::v1::PresentedChallenge& challenge : order.presented()) {
    left.push_back(challenge.fqdn().empty() ? absl::StrCat("an HTTP token for ", challenge.domain())
                                            : absl::StrCat("a TXT record at ", challenge.fqdn()));
  }
  return absl::StrJoin(left, ", ");
}

// Nobody sees to them any more.
absl::Status CheckForgottenOrders(const Config& config, Session& session, Findings& findings) {
  ASSIGN_OR_RETURN(const std::vector<state::v1::Order> orders, ListOpenOrders(*session.store));
  for (const state::v1::Order& order : orders) {
    const std::string& name = order.certificate();
    if (config.FindCertificate(name) != nullptr) continue;
    findings.Warning(absl::StrCat("certificate ", name),
                     absl::StrCat("it is not in ", config.path, " any more, and this is left of it: ", LeftOf(order)),
                     absl::StrCat("put it back until `certcast apply ", name,
                                  "` has gone through, which ends the order and takes away what was shown to the CA"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::DoctorResponse> Controller::Doctor(const v1::DoctorRequest& request) {
  Findings findings;
  if (!request.rehearse().empty()) {
    ASSIGN_OR_RETURN(const auto selected, SelectCertificates(config_, {request.rehearse()}));
    RETURN_IF_ERROR(RehearseChallenge(config_, machine_, *selected.front(), findings));
    return findings.Take();
  }
  findings.Ok("configuration", absl::StrCat(config_.path, ": ", Count(config_.certificates.size(), "certificate"), ", ",
                                            Count(config_.nodes.size(), "node")));
  for (const AccountConfig& account : config_.accounts) CheckAccount(config_, account, machine_, findings);
  CheckContracts(config_, machine_, findings);
  for (const CertificateConfig& certificate : config_.certificates) {
    CheckChallenge(certificate, machine_, findings);
  }
  absl::StatusOr<Session> session = OpenToRead(config_, machine_);
  if (!session.ok()) {
    findings.Problem("state", session.status());
    return findings.Take();
  }
  findings.Ok("state", absl::StrCat(config_.state, ", fleet ", session->keyring->fleet_id()));
  if (const absl::Status orders = CheckForgottenOrders(config_, *session, findings); !orders.ok()) {
    findings.Problem("state", orders);
  }
  CheckNodes(config_, machine_, *session, findings);
  return findings.Take();
}

}  // namespace certcast::controller
