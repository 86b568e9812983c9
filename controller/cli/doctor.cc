#include <memory>

#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

using Check = v1::DoctorResponse::Check;

int RunDoctor(Session& session, const v1::DoctorRequest& request) {
  grpc::ClientContext context;
  v1::DoctorResponse response;
  if (grpc::Status status = session.controller.Doctor(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  size_t problems = 0;
  for (const auto& check : response.checks()) problems += check.result() == Check::PROBLEM ? 1 : 0;
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    for (const auto& check : response.checks()) {
      session.out << Check::Result_Name(check.result()) << "  " << check.name() << ": " << Printable(check.detail())
                  << "\n";
      if (!check.hint().empty()) session.out << "    hint: " << Printable(check.hint()) << "\n";
    }
    session.out << Count(problems, "problem") << "\n";
  }
  return problems == 0 ? kDone : kFailed;
}

}  // namespace

void AddDoctor(CLI::App& app, Verb& chosen) {
  CLI::App* verb = app.add_subcommand("doctor", "Check everything that a rollout needs, with a hint for each problem");
  auto request = std::make_shared<v1::DoctorRequest>();
  verb->add_option("--dns", *request->mutable_rehearse(),
                   "Rehearse this certificate's challenge: write what the CA would look for, see it, remove it again")
      ->type_name("CERT");
  verb->footer(
      "Looks at the configuration, the keys, the clock, each ACME directory, each challenge hook and each node. "
      "Changes\n"
      "nothing, orders nothing; a host that is reached over SSH gets the agent that it lacks, as at any first "
      "contact.\n\n"
      "With --dns CERT it writes one TXT record for each name of that certificate (or shows one token on its web\n"
      "servers, where its challenge is http-01), looks for them as before an order, and removes them. No CA is asked.\n"
      "What a crash leaves behind the next order or rehearsal removes.\n\n"
      "Exit codes: 0 no problem, 1 problems.");
  verb->callback([&chosen, request] { chosen = [request](Session& session) { return RunDoctor(session, *request); }; });
}

}  // namespace certcast::controller::cli
