#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

int RunInit(Session& session) {
  grpc::ClientContext context;
  v1::InitResponse response;
  if (grpc::Status status = session.controller.Init(&context, {}, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (session.options.json()) {
    session.out << ToJson(response);
    return kDone;
  }
  for (const std::string& made : response.made()) session.out << "made " << made << "\n";
  if (response.made().empty()) session.out << "nothing to do: all is there\n";
  session.out << "fleet " << response.fleet_id() << "\n"
              << "fleet CA SHA-256 " << response.fleet_ca_sha256() << "\n";
  return kDone;
}

}  // namespace

void AddInit(CLI::App& app, Verb& chosen) {
  CLI::App* verb = app.add_subcommand("init", "Make the state directory and the fleet's keys");
  verb->footer(
      "Makes what is missing: the master key file, the state directory, the fleet's CA, the manifest-signing key and "
      "the\n"
      "controller's own identity. Safe to run again: what is there stays as it is.\n\n"
      "Back up the master key apart from the state: the state is useless without it, and so is it without the state.");
  verb->callback([&chosen] { chosen = RunInit; });
}

}  // namespace certcast::controller::cli
