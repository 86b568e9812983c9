#include <memory>
#include <string>

#include "absl/strings/str_join.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

int RunVerify(Session& session, const std::string& certificate) {
  v1::VerifyRequest request;
  request.set_certificate(certificate);
  grpc::ClientContext context;
  v1::VerifyResponse response;
  if (grpc::Status status = session.controller.Verify(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  int good = 0;
  for (const auto& endpoint : response.endpoints()) good += endpoint.ok();
  if (session.options.json()) {
    session.out << ToJson(response);
  } else if (response.endpoints().empty()) {
    session.out << "no node declares an endpoint; add `verify:` to the nodes in the configuration\n";
  } else {
    session.out << good << " of " << response.endpoints_size() << " endpoints serve what they should\n\n";
    Table table({"NODE", "CERTIFICATE", "ADDRESS", "SERVER NAME", "EXPECTED", "SERVED", "OK", "DETAIL"});
    for (const auto& endpoint : response.endpoints()) {
      table.AddRow({endpoint.node(), endpoint.certificate(), endpoint.address(), endpoint.server_name(),
                    ShortFingerprint(endpoint.expected_sha256()), ShortFingerprint(endpoint.served_sha256()),
                    endpoint.ok() ? "yes" : "NO", endpoint.detail()});
    }
    table.Print(session.out);
  }
  if (!response.nodes_without_endpoint().empty()) {
    session.err << "warning: " << response.nodes_without_endpoint_size()
                << " nodes declare no endpoint, and were not looked at: "
                << absl::StrJoin(response.nodes_without_endpoint(), " ") << "\n";
  }
  // Nothing is called done that was not seen.
  return good == response.endpoints_size() && good > 0 ? kDone : kNotConverged;
}

}  // namespace

void AddVerify(CLI::App& app, Verb& chosen) {
  auto certificate = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("verify", "Handshake with every endpoint from here and compare fingerprints");
  verb->add_option("CERT", *certificate, "One certificate; all when none is given");
  verb->footer(
      "Needs no agent: connects to each `verify:` address of each node as a stranger would, and compares the "
      "certificate\n"
      "that is served with the wanted generation.\n\n"
      "Exit codes: 0 when every endpoint serves it, 3 when not, or when no node declares one.");
  verb->callback([&chosen, certificate] {
    chosen = [certificate](Session& session) { return RunVerify(session, *certificate); };
  });
}

}  // namespace certcast::controller::cli
