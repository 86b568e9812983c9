#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/cli/file_option.h"
#include "controller/cli/generation_option.h"
#include "controller/cli/holders.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

struct RevokeOptions {
  std::string certificate;
  uint64_t generation = 0;
  std::string file;
  std::string key;
  std::string reason;
  std::string account;
  bool force = false;
};

absl::StatusOr<v1::RevokeRequest> ReadRequest(const RevokeOptions& options) {
  v1::RevokeRequest request;
  request.set_certificate(options.certificate);
  request.set_generation(options.generation);
  request.set_reason(options.reason);
  request.set_account(options.account);
  request.set_force(options.force);
  if (!options.file.empty()) {
    ASSIGN_OR_RETURN(std::string pem, ReadPemOption("--certificate", options.file));
    request.set_certificate_pem(std::move(pem));
  }
  if (!options.key.empty()) {
    ASSIGN_OR_RETURN(const Secret key, ReadKeyOption("--key", options.key));
    request.set_private_key_pem(std::string(key.ExposeSecret()));
  }
  return request;
}

void PrintRevoked(std::ostream& out, const v1::RevokeResponse& response) {
  out << response.certificate() << ": ";
  if (response.generation() == 0) {
    out << "the certificate";
  } else {
    out << "generation " << response.generation();
  }
  out << ", SHA-256 " << response.leaf_sha256() << ", ";
  if (!response.revoked()) {
    out << "was NOT revoked: " << response.holders_size() << " still have it, or may have\n";
  } else if (response.already_revoked()) {
    out << "had been revoked already\n";
  } else {
    out << "is revoked (" << response.reason() << ") by the CA of the account " << response.account() << "\n";
  }
}

int RunRevoke(Session& session, const RevokeOptions& options) {
  absl::StatusOr<v1::RevokeRequest> request = ReadRequest(options);
  if (!request.ok()) return ReportError(session.err, request.status());
  // An interrupt ends the process at once: what was asked of the CA is saved, and the next run finishes it.
  grpc::ClientContext context;
  v1::RevokeResponse response;
  const grpc::Status status = session.controller.Revoke(&context, *request, &response);
  Wipe(request->mutable_private_key_pem()->data(), request->private_key_pem().size());
  if (!status.ok()) return ReportError(session.err, FromGrpc(status));
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    PrintRevoked(session.out, response);
    PrintHolders(session.out, response.holders());
  }
  if (!response.revoked()) {
    session.err
        << "certcast: clients may be refused by a server that goes on with a revoked certificate\n"
           "  hint: bring every node to another generation first (certcast apply); after a compromise `certcast "
           "replace "
        << response.certificate() << " --compromised` does both; or --force\n";
  }
  return response.revoked() ? kDone : kNotConverged;
}

}  // namespace

void AddRevoke(CLI::App& app, Verb& chosen) {
  auto options = std::make_shared<RevokeOptions>();
  CLI::App* verb = app.add_subcommand("revoke", "Have the CA revoke a generation, once no node serves it");
  verb->add_option("CERT", options->certificate, "The certificate's name in the configuration")->required();
  verb->add_option(
          "--reason", options->reason,
          "Of RFC 5280, by name or number: 0 unspecified, 1 keyCompromise, 3 affiliationChanged, 4 superseded, "
          "5 cessationOfOperation; what others a CA takes is up to it")
      ->required();
  CLI::Option* generation = AddGenerationOption(*verb, options->generation, "Which one; the latest when none is given");
  CLI::Option* file =
      verb->add_option("--certificate", options->file,
                       "PEM file: instead of a generation, any certificate of a CA that there is an account at");
  file->excludes(generation);
  verb->add_option("--key", options->key,
                   "PEM file: the private key of --certificate, which then signs the request instead of the account")
      ->needs(file);
  verb->add_option("--account", options->account,
                   "Whose CA is asked; by default the one that obtained it, or another certificate of its issuer");
  verb->add_flag("--force", options->force, "Although nodes still serve it, or can't be asked");
  verb->footer(
      "Asks every node of the certificate, and looks at each `verify` address: while one of them still has that\n"
      "certificate, would go back to it, or can't be asked, nothing is revoked. A generation that is revoked is never\n"
      "rolled out again, and the next one is due at once.\n\n"
      "The request is signed by the account, or by the certificate's own key (first of all after keyCompromise, which "
      "it\n"
      "proves). It is saved before it is sent: after a crash, or when no answer came, run the same command again. "
      "What\n"
      "is revoked already counts as done.\n\n"
      "Exit codes: 0 it is revoked, 1 the CA refused or could not be asked, 2 wrong usage or configuration, 3 it was "
      "not\n"
      "revoked, since nodes still have it or may have.");
  verb->callback([&chosen, options] { chosen = [options](Session& session) { return RunRevoke(session, *options); }; });
}

}  // namespace certcast::controller::cli
