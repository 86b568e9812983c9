#include <memory>
#include <string>

#include "controller/cli/issued.h"
#include "controller/cli/long_call.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

struct IssueOptions {
  std::string certificate;
  bool force_renewal = false;
  bool abandon_order = false;
};

int RunIssue(Session& session, const IssueOptions& options) {
  v1::IssueRequest request;
  request.set_certificate(options.certificate);
  request.set_force_renewal(options.force_renewal);
  request.set_abandon_order(options.abandon_order);

  // An interrupt ends the process at once: the order is kept, and the next run goes on with it.
  const absl::StatusOr<v1::IssueResponse> response = WatchCall<v1::IssueEvent, v1::IssueResponse>(
      session, [&](grpc::ClientContext* context) { return session.controller.Issue(context, request); });
  if (!response.ok()) return ReportError(session.err, response.status());
  if (session.options.json()) {
    session.out << ToJson(*response);
  } else {
    PrintCertificates(session.out, response->certificates(), /*future=*/false);
  }
  return ReportFailures(session.err, response->certificates());
}

}  // namespace

void AddIssue(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<IssueOptions>();
  CLI::App* verb = app.add_subcommand("issue", "Obtain a generation when one is due, without a rollout");
  verb->add_option("CERT", options->certificate, "The certificate's name in the configuration")->required();
  verb->add_flag("--force-renewal", options->force_renewal, "Obtain one although none is due");
  verb->add_flag("--abandon-order", options->abandon_order, "Give up an order that the CA does not finish");
  verb->footer(
      "Asks the certificate's ACME account for the next generation and keeps it in the controller's store. No node is\n"
      "touched: `certcast apply` rolls it out.\n\n"
      "An order that an earlier run left is gone on with, due or not. What the CA may still issue for one that is\n"
      "given up is not used.");
  verb->callback([&chosen, options] { chosen = [options](Session& session) { return RunIssue(session, *options); }; });
}

}  // namespace certcast::controller::cli
