#include <memory>
#include <string>

#include "common/status/status.h"
#include "controller/cli/file_option.h"
#include "controller/cli/issued.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

struct ImportOptions {
  std::string certificate;
  std::string fullchain;
  std::string key;
};

absl::StatusOr<v1::ImportRequest> ReadRequest(const ImportOptions& options) {
  v1::ImportRequest request;
  request.set_certificate(options.certificate);
  ASSIGN_OR_RETURN(std::string fullchain, ReadPemOption("--fullchain", options.fullchain));
  request.set_fullchain_pem(std::move(fullchain));
  ASSIGN_OR_RETURN(const Secret key, ReadKeyOption("--key", options.key));
  request.set_private_key_pem(std::string(key.ExposeSecret()));
  return request;
}

int RunImport(Session& session, const ImportOptions& options) {
  absl::StatusOr<v1::ImportRequest> request = ReadRequest(options);
  if (!request.ok()) return ReportError(session.err, request.status());
  grpc::ClientContext context;
  v1::ImportResponse response;
  const grpc::Status status = session.controller.Import(&context, *request, &response);
  Wipe(request->mutable_private_key_pem()->data(), request->private_key_pem().size());
  if (!status.ok()) return ReportError(session.err, FromGrpc(status));
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintCertificates(session.out, response.certificates(), /*future=*/false);
  }
  return kDone;
}

}  // namespace

void AddImport(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* verb = app.add_subcommand("import", "Adopt a certificate that was obtained elsewhere, without a rollout");
  verb->add_option("CERT", options->certificate, "The certificate's name in the configuration")->required();
  verb->add_option("--fullchain", options->fullchain, "PEM file: the leaf, then its intermediates in order")
      ->required();
  verb->add_option("--key", options->key, "PEM file: the private key, not encrypted, readable by its owner alone")
      ->required();
  verb->footer(
      "For certificates bought by hand, EV ones above all. Checks that the key belongs to the leaf, that the chain is "
      "in\n"
      "order and complete, the dates, the key type, and that the names are those in the configuration; then keeps it,\n"
      "encrypted, as the next generation. The same certificate twice is one generation. `certcast apply` rolls it "
      "out.");
  verb->callback([&chosen, options] { chosen = [options](Session& session) { return RunImport(session, *options); }; });
}

}  // namespace certcast::controller::cli
