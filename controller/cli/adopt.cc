#include "controller/adopt/adopt.h"

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "common/secret/secret.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

// What the configuration has already, as far as adopting matters.
struct Known {
  // Directory and key id to name.
  std::map<std::pair<std::string, std::string>, std::string> accounts;
  std::set<std::string> certificates;
};

absl::StatusOr<Known> AskWhatIsKnown(Session& session) {
  Known known;
  {
    grpc::ClientContext context;
    v1::ListAccountsResponse response;
    const grpc::Status status = session.controller.ListAccounts(&context, {}, &response);
    if (!status.ok()) return FromGrpc(status);
    for (const v1::Account& account : response.accounts()) {
      if (!account.configured()) continue;
      known.accounts[{account.directory_url(), account.external_account_key_id()}] = account.name();
    }
  }
  grpc::ClientContext context;
  v1::ListCertificatesResponse response;
  const grpc::Status status = session.controller.ListCertificates(&context, {}, &response);
  if (!status.ok()) return FromGrpc(status);
  for (const auto& certificate : response.certificates()) known.certificates.insert(certificate.name());
  return known;
}

// Whether all went well.
bool AdoptAccounts(Session& session, const Known& known, const Adoption& adoption) {
  bool well = true;
  for (const AdoptedAccount& account : adoption.accounts) {
    const auto name = known.accounts.find({account.directory, account.key_id});
    if (name == known.accounts.end()) {
      session.err << "account at " << Printable(account.directory) << ": not in the configuration yet\n";
      continue;
    }
    v1::AdoptAccountRequest request;
    request.set_name(name->second);
    request.set_account_url(account.url);
    request.set_private_key_pem(std::string(account.key.ExposeSecret()));
    grpc::ClientContext context;
    v1::AdoptAccountResponse response;
    const grpc::Status status = session.controller.AdoptAccount(&context, request, &response);
    Wipe(request.mutable_private_key_pem()->data(), request.private_key_pem().size());
    if (!status.ok()) {
      ReportError(session.err, FromGrpc(status));
      well = false;
      continue;
    }
    session.err << "account " << name->second << ": "
                << (response.adopted() ? "taken over with its key" : "there already, and kept") << "\n";
  }
  return well;
}

bool AdoptCertificates(Session& session, const Known& known, const Adoption& adoption) {
  bool well = true;
  for (const AdoptedCertificate& certificate : adoption.certificates) {
    if (!known.certificates.contains(certificate.name)) {
      session.err << "certificate " << certificate.name << ": not in the configuration yet\n";
      continue;
    }
    v1::ImportRequest request;
    request.set_certificate(certificate.name);
    request.set_fullchain_pem(certificate.fullchain_pem);
    request.set_private_key_pem(std::string(certificate.key.ExposeSecret()));
    request.set_adopt(true);
    grpc::ClientContext context;
    v1::ImportResponse response;
    const grpc::Status status = session.controller.Import(&context, request, &response);
    Wipe(request.mutable_private_key_pem()->data(), request.private_key_pem().size());
    if (!status.ok()) {
      ReportError(session.err, FromGrpc(status));
      well = false;
      continue;
    }
    session.err << "certificate " << certificate.name << ": "
                << (response.certificates(0).issued() ? "taken over as generation " : "there already as generation ")
                << response.certificates(0).generation() << "\n";
  }
  return well;
}

int RunAdopt(Session& session, const std::string& client, const std::string& directory) {
  // The printed configuration names files in it.
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(directory, error);
  absl::StatusOr<Adoption> adoption = ReadClient(client, error ? directory : absolute.lexically_normal().string());
  if (!adoption.ok()) return ReportError(session.err, adoption.status());
  absl::StatusOr<Known> known = AskWhatIsKnown(session);
  if (!known.ok()) return ReportError(session.err, known.status());
  session.out << ConfigFor(*adoption);
  for (const std::string& left : adoption->left) session.err << "not taken over: " << Printable(left) << "\n";
  const bool accounts = AdoptAccounts(session, *known, *adoption);
  const bool certificates = AdoptCertificates(session, *known, *adoption);
  return accounts && certificates ? kDone : kFailed;
}

}  // namespace

void AddAdopt(CLI::App& app, Verb& chosen) {
  auto client = std::make_shared<std::string>();
  auto directory = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("adopt", "Take over certificates and accounts of another ACME client");
  verb->add_option("CLIENT", *client, "certbot, acme.sh, lego or dehydrated")
      ->required()
      ->check(CLI::IsMember({"certbot", "acme.sh", "lego", "dehydrated"}));
  verb->add_option("DIR", *directory, "Where it keeps them: /etc/letsencrypt, ~/.acme.sh, .lego, /var/lib/dehydrated")
      ->required();
  verb->footer(
      "Prints the configuration that continues them, on standard output: put it into certcast.yaml, look at each\n"
      "challenge, and run the same command again. What the configuration names is then taken over: certificates as\n"
      "generations, which are renewed when they are due, and accounts with their keys. Only reads in DIR; running it\n"
      "again changes nothing. Stop the other client's timer once `certcast apply` went well.\n\n"
      "Exit codes: 0 done, 1 something could not be taken over, 2 wrong usage or configuration.");
  verb->callback([&chosen, client, directory] {
    chosen = [client, directory](Session& session) { return RunAdopt(session, *client, *directory); };
  });
}

}  // namespace certcast::controller::cli
