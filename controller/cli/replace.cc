#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/generation_option.h"
#include "controller/cli/holders.h"
#include "controller/cli/long_call.h"
#include "controller/cli/operator.h"
#include "controller/cli/rollout_result.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

using Response = v1::ReplaceResponse;

struct ReplaceOptions {
  std::string certificate;
  bool compromised = false;
  uint64_t generation = 0;
  bool force = false;
};

void PrintProof(std::ostream& out, const Response& response) {
  if (response.total() == 0 && response.endpoints_total() == 0) return;
  out << response.converged() << " of " << response.total() << " nodes and " << response.endpoints_ok() << " of "
      << response.endpoints_total() << " endpoints serve generation " << response.certificate().generation() << "\n";
  constexpr int kMost = 50;
  for (int i = 0; i < response.nodes_size() && i < kMost; ++i) {
    const auto& node = response.nodes(i);
    out << "  " << node.name() << ": " << v1::StatusResponse::Node::State_Name(node.state()) << " "
        << Printable(node.detail()) << "\n";
  }
  if (response.nodes_size() > kMost) out << "  ... and " << response.nodes_size() - kMost << " more\n";
  for (const auto& endpoint : response.endpoints()) {
    out << "  " << endpoint.node() << " at " << endpoint.address() << " " << endpoint.server_name() << ": "
        << Printable(endpoint.detail()) << "\n";
  }
}

void PrintRevocations(const Response& response, std::ostream& out, std::ostream& err) {
  for (const auto& revocation : response.revocations()) {
    out << "generation " << revocation.generation() << ", SHA-256 " << revocation.leaf_sha256()
        << (revocation.revoked() ? ": revoked (keyCompromise)\n" : ": NOT revoked\n");
    if (!revocation.has_failure()) continue;
    ReportError(err, Annotate(StatusOf(revocation.failure()), absl::StrCat("generation ", revocation.generation())));
  }
}

std::string WhatIsLeft(const Response& response) {
  switch (response.phase()) {
    case Response::ISSUING:
      return "a generation with a new key, its rollout, and the revocation of what had the old one";
    case Response::ROLLING_OUT:
      return "nothing was revoked, since not every node was seen to serve the new key";
    case Response::REVOKING:
      return "every node serves the new key; not all that had the old one is revoked";
    default:
      return "";
  }
}

void Print(Session& session, const Response& response) {
  const v1::ApplyResponse::Certificate& certificate = response.certificate();
  if (certificate.generation() != 0) {
    session.out << certificate.name() << ": generation " << certificate.generation() << " has a new key, expires "
                << ShowTime(certificate.not_after()) << ", SHA-256 " << certificate.leaf_sha256() << "\n";
  }
  for (const auto& rollout : response.rollouts()) PrintRollout(session.out, rollout);
  PrintProof(session.out, response);
  if (response.phase() != Response::DONE && !response.holders().empty()) {
    session.out << "have what is to be revoked, or may have:\n";
    PrintHolders(session.out, response.holders());
  }
}

int ExitCodeOf(const Response& response) {
  const bool halted = std::any_of(response.rollouts().begin(), response.rollouts().end(), [](const auto& rollout) {
    return rollout.state() == v1::Rollout::HALTED || rollout.state() == v1::Rollout::REVERTING ||
           rollout.state() == v1::Rollout::REVERTED;
  });
  if (response.phase() == Response::DONE) return kDone;
  if (halted) return kHalted;
  return response.certificate().has_failure() ? kFailed : kNotConverged;
}

int Show(Session& session, const Response& response) {
  std::ostream nowhere(nullptr);
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    Print(session, response);
  }
  PrintRevocations(response, session.options.json() ? nowhere : session.out, session.err);
  PrintWarnings(session.err, response.warnings());
  if (response.certificate().has_failure()) {
    ReportError(session.err, Annotate(StatusOf(response.certificate().failure()), response.certificate().name()));
  }
  if (response.phase() == Response::DONE) {
    if (!session.options.json()) session.out << "done\n";
  } else {
    session.err << "certcast: left: " << WhatIsLeft(response) << "\n"
                << "  hint: the same command again goes on from here\n";
  }
  return ExitCodeOf(response);
}

int RunReplace(Session& session, const ReplaceOptions& options) {
  v1::ReplaceRequest request;
  request.set_certificate(options.certificate);
  request.set_compromised(options.compromised);
  request.set_generation(options.generation);
  request.set_force(options.force);
  *request.mutable_by() = CurrentOperator();

  const absl::StatusOr<Response> answer = FollowCall<v1::ReplaceEvent, Response>(
      session, "nodes", [&](grpc::ClientContext* context) { return session.controller.Replace(context, request); });
  if (absl::IsCancelled(answer.status())) {
    return ReportError(session.err, absl::CancelledError("stopped as asked; the same command goes on from here"));
  }
  if (!answer.ok()) return ReportError(session.err, answer.status());
  return Show(session, *answer);
}

}  // namespace

void AddReplace(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<ReplaceOptions>();
  CLI::App* verb =
      app.add_subcommand("replace", "After a key got out: a new key on every node, then revocation of the old one");
  verb->add_option("CERT", options->certificate, "The certificate's name in the configuration")->required();
  verb->add_flag("--compromised", options->compromised,
                 "Its key is out; must be said, since what had that key is revoked");
  AddGenerationOption(*verb, options->generation, "Whose key is out; the latest when none is given");
  verb->add_flag("--force", options->force,
                 "Revoke although nodes still have what is to be revoked, or can't be asked; not after a halt");
  verb->footer(
      "In this order, each saved before it is begun:\n"
      "  1. a new order with a new key; an order that was pending is forgotten with its key\n"
      "  2. a rollout in waves, now, whatever the windows say; a node whose probes fail goes back to the old one\n"
      "  3. a look at every node and every `verify` address: all serve the new one, and none has what is to be "
      "revoked\n"
      "  4. revocation of each generation that had the key, with the reason keyCompromise\n\n"
      "Whatever ends it in between (a crash, a node that is away, the CA), the same command again goes on from there.\n"
      "Once it is done, the same command replaces the key once more.\n\n"
      "Exit codes: 0 all of it is done, 1 no new generation was obtained, or failed, 2 wrong usage or configuration, 3 "
      "not every node has it, or "
      "something\n"
      "is not revoked yet, 4 the rollout was halted by the failure budget: nothing was revoked.");
  verb->callback(
      [&chosen, options] { chosen = [options](Session& session) { return RunReplace(session, *options); }; });
}

}  // namespace certcast::controller::cli
