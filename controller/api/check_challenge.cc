#include "controller/api/check_challenge.h"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "common/secret/reference.h"
#include "common/status/status.h"
#include "controller/acme/dns01_http.h"
#include "controller/acme/rehearsal.h"

namespace certcast::controller {
namespace {

// The program that writes the certificate's records; empty: there is none to be run.
std::string ProgramOf(const ChallengeConfig& challenge) {
  if (const auto* exec = std::get_if<ExecHook>(&challenge.writer)) return exec->command.front();
  if (const auto* certbot = std::get_if<CertbotHook>(&challenge.writer)) return certbot->auth.front();
  const auto* dehydrated = std::get_if<DehydratedHook>(&challenge.writer);
  return dehydrated != nullptr ? dehydrated->command.front() : "";
}

void CheckHook(const CertificateConfig& certificate, const Machine& machine, Findings& findings) {
  const std::string name = absl::StrCat("challenge of ", certificate.name);
  if (const auto* sh = std::get_if<AcmeShApi>(&certificate.challenge->writer)) {
    for (const std::string& file : {sh->script, absl::StrCat(sh->apis, "/", sh->api, ".sh")}) {
      ProcessRequest request;
      request.argv = {"test", "-r", file};
      absl::StatusOr<ProcessResult> result = machine.processes->Run(request);
      if (result.ok() && result->ok()) continue;
      return findings.Problem(name, absl::StrCat(file, " can't be read"), "install acme.sh with its folder dnsapi");
    }
    return findings.Ok(name, absl::StrCat(sh->api, " of ", sh->script, " is there"));
  }
  const std::string program = ProgramOf(*certificate.challenge);
  if (program.empty()) return;
  // A path must be executable here; a plain name is looked up in PATH, as the hook will be.
  ProcessRequest request;
  request.argv = {"test", "-x", program};
  if (program.find('/') == std::string::npos) request.argv = {"which", program};
  absl::StatusOr<ProcessResult> result = machine.processes->Run(request);
  if (result.ok() && result->ok()) return findings.Ok(name, absl::StrCat(program, " can be run"));
  findings.Problem(name, absl::StrCat(program, " can't be run"), "is it there and executable (chmod +x)?");
}

std::string HintForResolvers(bool configured) {
  return configured ? "name others in challenge.propagation.resolvers"
                    : "look at /etc/resolv.conf, or name resolvers that see what the CA sees in "
                      "challenge.propagation.resolvers";
}

void CheckResolvers(const CertificateConfig& certificate, const Machine& machine, Findings& findings) {
  if (certificate.challenge->propagation.skip) return;
  const std::string name = absl::StrCat("resolvers of ", certificate.name);
  std::vector<std::string> servers = certificate.challenge->propagation.resolvers;
  const bool configured = !servers.empty();
  if (!configured) {
    absl::StatusOr<std::vector<std::string>> system = machine.dns->SystemResolvers();
    if (!system.ok()) return findings.Problem(name, system.status());
    servers = *std::move(system);
  }
  const std::string domain = certificate.domains.front().substr(certificate.domains.front().find("*.") == 0 ? 2 : 0);
  for (const std::string& server : servers) {
    absl::StatusOr<DnsReply> reply = machine.dns->Ask(server, {domain, DnsType::kSoa}, absl::Seconds(5));
    if (!reply.ok()) {
      findings.Problem(name, WithHint(Annotate(reply.status(), server), HintForResolvers(configured)));
    } else if (!reply->conclusive()) {
      // It may hold the records all the same, where `_acme-challenge` leads to another zone.
      findings.Warning(name, absl::StrCat(server, " answers ", reply->RcodeName(), " for ", domain),
                       HintForResolvers(configured));
    } else {
      findings.Ok(name, absl::StrCat(server, " answers (", reply->RcodeName(), " for ", domain, ")"));
    }
  }
}

absl::Status CheckSecret(const SecretReference& secret, absl::string_view place) {
  return Annotate(ReadSecret(secret).status(), place);
}

// What the certificate's records are written with, where that is a secret.
std::vector<absl::Status> CheckSecrets(const CertificateConfig& certificate) {
  const auto& writer = certificate.challenge->writer;
  std::vector<absl::Status> checked;
  if (const auto* sh = std::get_if<AcmeShApi>(&writer)) {
    for (const auto& [name, secret] : sh->variables) {
      checked.push_back(CheckSecret(secret, absl::StrCat("challenge.acme-sh.variables.", name)));
    }
  } else if (const auto* service = std::get_if<HttpReqService>(&writer)) {
    if (!service->username.empty()) checked.push_back(CheckSecret(service->password, "challenge.httpreq.password"));
  } else if (const auto* server = std::get_if<AcmeDnsService>(&writer)) {
    std::set<absl::string_view> domains;
    for (absl::string_view domain : certificate.domains) {
      absl::ConsumePrefix(&domain, "*.");
      if (domains.insert(domain).second) checked.push_back(CheckAcmeDnsAccount(server->accounts, std::string(domain)));
    }
  }
  return checked;
}

void CheckService(const CertificateConfig& certificate, Findings& findings) {
  const std::string name = absl::StrCat("challenge of ", certificate.name);
  absl::Status last;
  for (absl::Status& checked : CheckSecrets(certificate)) {
    // Where a file can't be read, that is so for each of its domains.
    if (!checked.ok() && checked != last) findings.Problem(name, checked);
    last = std::move(checked);
  }
}

// The server that is written to, and the key for it.
void CheckUpdates(const CertificateConfig& certificate, const Machine& machine, Findings& findings) {
  const auto* update = std::get_if<Rfc2136Server>(&certificate.challenge->writer);
  if (update == nullptr) return;
  const std::string name = absl::StrCat("challenge of ", certificate.name);
  if (update->tsig.has_value()) {
    if (absl::Status read = ReadSecret(update->tsig->secret).status(); !read.ok()) return findings.Problem(name, read);
  }
  const std::string zone = update->zone.empty() ? "." : update->zone;
  const auto reply = machine.dns->Ask(update->server, {zone, DnsType::kSoa, /*recursion=*/false}, absl::Seconds(5));
  if (!reply.ok()) return findings.Problem(name, reply.status());
  findings.Ok(name, absl::StrCat(update->server, " answers; `certcast doctor --dns ", certificate.name,
                                 "` shows whether it takes updates"));
}

void CheckHttp(const CertificateConfig& certificate, const Machine& machine, Findings& findings) {
  const std::string name = absl::StrCat("challenge of ", certificate.name);
  const auto* webroot = std::get_if<HttpWebroot>(&*certificate.challenge->http01);
  if (webroot == nullptr) return;
  const auto opened = machine.files->OpenDirectory(webroot->path);
  const absl::Status writable = opened.ok() ? (*opened)->CheckWritable() : opened.status();
  if (writable.ok()) return findings.Ok(name, absl::StrCat(webroot->path, " can be written"));
  findings.Problem(name, writable);
}

// Nothing is called seen that nobody looked for.
absl::string_view Shown(const Rehearsal& rehearsal) {
  if (rehearsal.made) {
    return rehearsal.looked ? " was written and seen" : " was written; whether a CA can see it was not looked at";
  }
  return rehearsal.looked ? " is there" : " is needed; whether it is there was not looked at";
}

}  // namespace

bool IsShownOnNodes(const CertificateConfig& certificate) {
  return certificate.challenge.has_value() && certificate.challenge->http01.has_value() &&
         std::holds_alternative<HttpFleet>(*certificate.challenge->http01);
}

void CheckChallenge(const CertificateConfig& certificate, const Machine& machine, Findings& findings) {
  if (!certificate.challenge.has_value()) return;
  if (certificate.challenge->http01.has_value()) return CheckHttp(certificate, machine, findings);
  if (!certificate.challenge->dns_persist01) {
    CheckHook(certificate, machine, findings);
    CheckService(certificate, findings);
  }
  CheckUpdates(certificate, machine, findings);
  CheckResolvers(certificate, machine, findings);
}

absl::Status RehearseChallenge(const Config& config, const Machine& machine, const CertificateConfig& certificate,
                               Findings& findings) {
  ASSIGN_OR_RETURN(Session session, OpenToChange(config, machine, "doctor"));
  Issuer issuer = MakeIssuer(config, machine, session, certificate);
  ASSIGN_OR_RETURN(const Rehearsal rehearsal, issuer.Rehearse(certificate, session.epoch(), [](absl::string_view) {}));
  const std::string name = absl::StrCat("rehearsal of ", certificate.name);
  if (!rehearsal.leftovers.ok()) findings.Problem(name, rehearsal.leftovers);
  if (rehearsal.presented.ok()) {
    for (const std::string& place : rehearsal.places) findings.Ok(name, absl::StrCat(place, Shown(rehearsal)));
  } else {
    findings.Problem(name, rehearsal.presented);
  }
  if (!rehearsal.removed.ok()) {
    findings.Problem(name, rehearsal.removed);
  } else if (rehearsal.made) {
    findings.Ok(name, "all of it was removed again");
  }
  return absl::OkStatus();
}

Issuer MakeIssuer(const Config& config, const Machine& machine, Session& session,
                  const CertificateConfig& certificate) {
  Issuer issuer(*machine.http, *machine.dns, *machine.processes, *machine.clock, *session.store, *session.keyring);
  ChallengeFleet fleet;
  fleet.nodes = config.NodesOf(certificate);
  fleet.find_node = [&config](absl::string_view name) { return config.FindNode(name); };
  fleet.open_transport = [&machine, &session]() -> absl::StatusOr<std::unique_ptr<Transport>> {
    ASSIGN_OR_RETURN(ControllerIdentity identity, session.keyring->LoadControllerIdentity());
    return machine.make_transport(session.keyring->fleet_id(), std::move(identity));
  };
  fleet.prober = machine.prober;
  fleet.epoch = session.epoch();
  issuer.ShowHttpChallengesOn(*machine.files, std::move(fleet));
  return issuer;
}

}  // namespace certcast::controller
