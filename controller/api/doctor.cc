// Looks at everything that a rollout needs, and says what to do about what it finds.
#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/clock/timestamp.h"
#include "common/secret/reference.h"
#include "common/status/status.h"
#include "common/x509/certificate.h"
#include "controller/api/controller.h"
#include "controller/api/session.h"
#include "controller/rollout/fleet_status.h"

namespace certcast::controller {
namespace {

using Check = v1::DoctorResponse::Check;

// Beyond it dates in certificates and manifests are misjudged.
constexpr absl::Duration kClockTolerance = absl::Minutes(1);
// Two generations of every service fit many times.
constexpr uint64_t kFreeBytes = uint64_t{16} * 1024 * 1024;
// An identity lives 30 days.
constexpr absl::Duration kIdentityLeft = absl::Hours(24 * 7);

class Findings {
 public:
  void Ok(const std::string& name, const std::string& detail) { Add(Check::OK, name, detail, ""); }
  void Warning(const std::string& name, const std::string& detail, const std::string& hint) {
    Add(Check::WARNING, name, detail, hint);
  }
  void Problem(const std::string& name, const std::string& detail, const std::string& hint) {
    Add(Check::PROBLEM, name, detail, hint);
  }
  void Problem(const std::string& name, const absl::Status& status) {
    const v1::Failure failure = FailureOf(status);
    const std::string reason =
        failure.reason() == Reason::REASON_UNSPECIFIED ? "" : absl::StrCat(ReasonName(failure.reason()), ": ");
    Problem(name, absl::StrCat(reason, failure.detail()), failure.hint());
  }
  v1::DoctorResponse Take() { return std::move(response_); }

 private:
  void Add(Check::Result result, const std::string& name, const std::string& detail, const std::string& hint) {
    Check& check = *response_.add_checks();
    check.set_name(name);
    check.set_result(result);
    check.set_detail(detail);
    check.set_hint(hint);
  }
  v1::DoctorResponse response_;
};

// Asks the ACME server for its directory, and takes its Date as a second opinion on the time.
void CheckDirectory(const AccountConfig& account, const Machine& machine, Findings& findings) {
  const std::string name = absl::StrCat("account ", account.name);
  if (account.external_account.has_value()) {
    if (absl::Status read = ReadSecret(account.external_account->hmac_key).status(); !read.ok()) {
      findings.Problem(name, read);
    }
  }
  HttpRequest request;
  request.url = account.directory;
  request.ca_file = account.ca_file;
  request.timeout = absl::Seconds(15);
  absl::StatusOr<HttpResponse> response = machine.http->Perform(request);
  if (!response.ok()) return findings.Problem(name, response.status());
  if (response->status != 200) {
    return findings.Problem(name, absl::StrCat(account.directory, " answered with status ", response->status),
                            "is it the URL of an ACME directory (RFC 8555 section 7.1.1)?");
  }
  findings.Ok(name, absl::StrCat(account.directory, " answers"));
  absl::Time date;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", response->Header("date"), &date, nullptr)) return;
  const absl::Duration off = machine.clock->Now() - date;
  if (absl::AbsDuration(off) <= kClockTolerance) return findings.Ok("clock", "agrees with the CA's to a minute");
  findings.Warning("clock",
                   absl::StrCat("is ", absl::FormatDuration(absl::Trunc(off, absl::Seconds(1))),
                                " ahead of the CA's (negative: behind)"),
                   "synchronise it: certificates and manifests have dates");
}

void CheckHook(const CertificateConfig& certificate, const Machine& machine, Findings& findings) {
  if (!certificate.challenge.has_value()) return;
  const std::string& program = certificate.challenge->exec.command.front();
  const std::string name = absl::StrCat("challenge of ", certificate.name);
  // A path must be executable here; a plain name is looked up in PATH, as the hook will be.
  ProcessRequest request;
  request.argv = {"test", "-x", program};
  if (program.find('/') == std::string::npos) request.argv = {"which", program};
  absl::StatusOr<ProcessResult> result = machine.processes->Run(request);
  if (result.ok() && result->ok()) return findings.Ok(name, absl::StrCat(program, " can be run"));
  findings.Problem(name, absl::StrCat(program, " can't be run"), "is it there and executable (chmod +x)?");
}

void CheckResolvers(const CertificateConfig& certificate, const Machine& machine, Findings& findings) {
  if (!certificate.challenge.has_value() || certificate.challenge->propagation.skip) return;
  const std::string name = absl::StrCat("resolvers of ", certificate.name);
  std::vector<std::string> servers = certificate.challenge->propagation.resolvers;
  if (servers.empty()) {
    absl::StatusOr<std::vector<std::string>> system = machine.dns->SystemResolvers();
    if (!system.ok()) return findings.Problem(name, system.status());
    servers = *std::move(system);
  }
  const std::string domain = certificate.domains.front().substr(certificate.domains.front().find("*.") == 0 ? 2 : 0);
  for (const std::string& server : servers) {
    absl::StatusOr<DnsReply> reply = machine.dns->Ask(server, {domain, DnsType::kSoa}, absl::Seconds(5));
    if (!reply.ok()) {
      findings.Problem(name, Annotate(reply.status(), server));
    } else {
      findings.Ok(name, absl::StrCat(server, " answers (", reply->RcodeName(), " for ", domain, ")"));
    }
  }
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
  if (inventory.free_bytes() < kFreeBytes) {
    findings.Problem(name, absl::StrCat("only ", inventory.free_bytes(), " bytes are free where it keeps its state"),
                     "make room there");
  }
  if (inventory.has_identity_not_after() && FromTimestamp(inventory.identity_not_after()) - seen.at < kIdentityLeft) {
    findings.Warning(
        name, absl::StrCat("its identity expires ", absl::FormatTime(FromTimestamp(inventory.identity_not_after()))),
        absl::StrCat("sign it again: certcast-node csr | certcast nodes sign ", seen.name, " | certcast-node accept"));
  }
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
      findings.Problem(name, absl::StrCat("no service in its node.yaml uses certificate ", certificate.name),
                       "declare one there, or take the node out of the certificate's `nodes`");
    }
    for (const std::string& domain : certificate.domains) {
      if (NameAllowed(allowed, domain)) continue;
      findings.Problem(name, absl::StrCat("its allow_names do not cover ", domain, " of ", certificate.name),
                       absl::StrCat("they are: ", absl::StrJoin(allowed, " "), "; change its node.yaml"));
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
}

std::string HintForAgent(v1::StatusResponse::Node::State state) {
  return state == v1::StatusResponse::Node::UNREACHABLE
             ? "is certcast-node running there, enrolled, and its port open to this machine?"
             : "";
}

// What was shown to work: all of it is in the way of an answer.
std::string DescribeLogin(const NodeConfig& node) {
  const SshNode& ssh = *node.ssh;
  return absl::StrCat("answers over ssh as ", node.address, ssh.options.sudo ? ", sudo" : "",
                      ssh.hosted() ? absl::StrCat(", ", ssh.state, " can be written") : "");
}

// Where to try by hand what did not work. Empty: the reason says enough.
std::string HintForSsh(const NodeConfig& node, Reason::Code reason) {
  const SshNode& ssh = *node.ssh;
  const SshServer& server = ssh.server;
  const std::string login = absl::StrCat("ssh", server.port == 0 ? "" : absl::StrCat(" -p ", server.port), " ",
                                         server.user, server.user.empty() ? "" : "@", server.host);
  switch (reason) {
    case Reason::NO_ROUTE:
    case Reason::TIMED_OUT:
    case Reason::LINK_LOST:
    case Reason::AUTH_FAILED:
      return absl::StrCat("try by hand: ", login, " true");
    case Reason::SUDO_REFUSED:
      return absl::StrCat("try by hand: ", login, " sudo -n true; docs/operations.md has the line for sudoers");
    case Reason::PERMISSION_DENIED:
    case Reason::STORAGE_FAILED:
      return absl::StrCat("is ", ssh.state, " on ", node.name, " the login's own, and may it write there?");
    default:
      return "";
  }
}

void CheckNodes(const Config& config, const Machine& machine, Session& session, Findings& findings) {
  std::vector<const CertificateConfig*> certificates;
  for (const CertificateConfig& certificate : config.certificates) certificates.push_back(&certificate);
  absl::StatusOr<FleetView> view = ViewFleet(config, machine, session, std::move(certificates));
  if (!view.ok()) return findings.Problem("nodes", view.status());
  // Expiring identities are said node by node below.
  std::set<std::string> known;
  for (const SeenNode& seen : view->status.seen) known.insert(seen.name);
  for (const v1::StatusResponse::Node& row : view->status.rows) {
    // Not reached, or it refused to answer.
    if (!known.insert(row.name()).second) continue;
    const NodeConfig* const node = config.FindNode(row.name());
    const bool is_ssh = node != nullptr && node->ssh.has_value();
    findings.Problem(absl::StrCat("node ", row.name()), absl::StrCat(ReasonName(row.reason()), ": ", row.detail()),
                     is_ssh ? HintForSsh(*node, row.reason()) : HintForAgent(row.state()));
  }
  for (const SeenNode& seen : view->status.seen) {
    const NodeConfig* const node = config.FindNode(seen.name);
    const std::string how = node != nullptr && node->ssh.has_value() ? DescribeLogin(*node) : "answers";
    findings.Ok(absl::StrCat("node ", seen.name), absl::StrCat(how, ", certcast-node ", seen.inventory.version()));
    CheckInventory(config, seen, findings);
  }
}

}  // namespace

absl::StatusOr<v1::DoctorResponse> Controller::Doctor() {
  Findings findings;
  findings.Ok("configuration", absl::StrCat(config_.path, ": ", config_.certificates.size(), " certificates, ",
                                            config_.nodes.size(), " nodes"));
  for (const AccountConfig& account : config_.accounts) CheckDirectory(account, machine_, findings);
  for (const CertificateConfig& certificate : config_.certificates) {
    CheckHook(certificate, machine_, findings);
    CheckResolvers(certificate, machine_, findings);
  }
  absl::StatusOr<Session> session = OpenToRead(config_, machine_);
  if (!session.ok()) {
    findings.Problem("state", session.status());
    return findings.Take();
  }
  findings.Ok("state", absl::StrCat(config_.state, ", fleet ", session->keyring->fleet_id()));
  CheckNodes(config_, machine_, *session, findings);
  return findings.Take();
}

}  // namespace certcast::controller
