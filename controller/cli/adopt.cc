#include "controller/cli/adopt.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "common/secret/secret.h"
#include "common/status/status.h"
#include "controller/adopt/adopt.h"
#include "controller/cli/absolute_path.h"
#include "controller/cli/table.h"
#include "controller/config/config.h"

namespace certcast::controller::cli {
namespace {

struct AdoptOptions {
  std::string client;
  std::string directory;
  bool write = false;
  // By this run.
  bool written = false;
};

std::string Command(const AdoptOptions& options) {
  return absl::StrCat("certcast adopt ", options.client, " ", options.directory);
}

// Without `.` and `..`: the configuration names files in it.
std::string PlainPath(const std::string& path) {
  return std::filesystem::path(AbsolutePath(path)).lexically_normal().string();
}

absl::StatusOr<Adoption> Read(const AdoptOptions& options) {
  return ReadClient(options.client, PlainPath(options.directory));
}

// Beside a configuration that is not in the usual place; relative to it.
std::string StateFor(const std::string& config_path) {
  return absl::StartsWith(config_path, "/etc/certcast/") ? "/var/lib/certcast" : "state";
}

void PrintLeft(const Adoption& adoption, std::ostream& err) {
  for (const std::string& left : adoption.left) err << "not taken over: " << Printable(left) << "\n";
}

// What the operator has to do that no program can.
void PrintLastSteps(const AdoptOptions& options, const std::string& certificate, std::ostream& err) {
  err << "next: look at each `challenge` in it, name the servers under `nodes`, and `nodes: all` at each certificate\n"
         "      certcast doctor --dns "
      << certificate
      << "    a challenge, rehearsed without a CA\n"
         "      certcast apply    brings the certificates to the servers, and renews them when they are due\n"
         "      then stop the timer or cron job of "
      << options.client << "\n";
}

// --- Without a configuration.

absl::Status WriteConfig(const std::string& path, const std::string& text) {
  // Better no file than one that every verb stumbles over.
  RETURN_IF_ERROR(ParseConfig(text, path).status());
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(path));
  const FileAttributes folder = {.mode = 0755, .owner = geteuid(), .group = getegid()};
  const FileAttributes file = {.mode = 0644, .owner = geteuid(), .group = getegid()};
  ASSIGN_OR_RETURN(const auto directory, OpenOrMakeDirectory(FileSystem::Real(), parts.directory, folder));
  return ReplaceFile(*directory, parts.name, text, file);
}

std::optional<int> BeginWithout(AdoptOptions& options, const std::string& given, std::ostream& out, std::ostream& err) {
  const std::string path = PlainPath(given);
  const absl::StatusOr<Adoption> adoption = Read(options);
  if (!adoption.ok()) return ReportError(err, adoption.status());
  const std::string text =
      NewConfigFor(*adoption, absl::StrCat(options.client, " in ", PlainPath(options.directory)), StateFor(path));
  if (options.write) {
    if (const absl::Status written = WriteConfig(path, text); !written.ok()) return ReportError(err, written);
    err << "wrote " << Printable(path) << "\n";
    options.written = true;
    return std::nullopt;
  }
  out << text;
  PrintLeft(*adoption, err);
  err << "certcast: there is no " << Printable(path) << " yet; this is one for "
      << Count(adoption->certificates.size(), "certificate") << " and " << Count(adoption->accounts.size(), "account")
      << " of " << options.client << ". Nothing is changed or taken over yet\n"
      << "  hint: look at it, then `" << Printable(Command(options))
      << " --write` writes it, makes the fleet's keys as `certcast init` does, and takes over certificates and "
         "accounts\n";
  return kDone;
}

// --- With one.

// What it has already, as far as adopting matters.
struct Known {
  std::vector<v1::Account> accounts;
  std::vector<std::string> certificates;

  // nullptr: it is not in it.
  const v1::Account* Find(const AdoptedAccount& account) const {
    for (const v1::Account& known : accounts) {
      if (known.configured() && IsSameAccount(account, known.directory_url(), known.external_account_key_id())) {
        return &known;
      }
    }
    return nullptr;
  }
  bool HasAccountNamed(const std::string& name) const {
    return std::any_of(accounts.begin(), accounts.end(),
                       [&](const v1::Account& known) { return known.configured() && known.name() == name; });
  }
  bool Has(const AdoptedCertificate& certificate) const {
    return std::find(certificates.begin(), certificates.end(), certificate.name) != certificates.end();
  }
};

absl::StatusOr<Known> AskWhatIsKnown(Session& session) {
  Known known;
  {
    grpc::ClientContext context;
    v1::ListAccountsResponse response;
    const grpc::Status status = session.controller.ListAccounts(&context, {}, &response);
    if (!status.ok()) return FromGrpc(status);
    known.accounts.assign(response.accounts().begin(), response.accounts().end());
  }
  grpc::ClientContext context;
  v1::ListCertificatesResponse response;
  const grpc::Status status = session.controller.ListCertificates(&context, {}, &response);
  if (!status.ok()) return FromGrpc(status);
  for (const auto& certificate : response.certificates()) known.certificates.push_back(certificate.name());
  return known;
}

// As the configuration calls them, or will.
void NameAccountsAsConfigured(const Known& known, Adoption& adoption) {
  std::map<std::string, std::string> names;
  for (AdoptedAccount& account : adoption.accounts) {
    std::string& name = names[account.name];
    const v1::Account* configured = known.Find(account);
    name = configured != nullptr ? configured->name() : account.name;
    for (int number = 2; configured == nullptr && known.HasAccountNamed(name); ++number) {
      name = absl::StrCat(account.name, "-", number);
    }
    account.name = name;
  }
  for (AdoptedCertificate& certificate : adoption.certificates) certificate.account = names[certificate.account];
}

// What the configuration lacks, and how to go on with it.
void PrintMissing(Session& session, const Known& known, Adoption missing) {
  std::erase_if(missing.accounts, [&](const AdoptedAccount& account) { return known.Find(account) != nullptr; });
  std::erase_if(missing.certificates, [&](const AdoptedCertificate& certificate) { return known.Has(certificate); });
  session.out << ConfigFor(missing);
  if (missing.accounts.empty() && missing.certificates.empty()) return;
  session.err << "certcast: " << Count(missing.certificates.size(), "certificate") << " and "
              << Count(missing.accounts.size(), "account")
              << " are not in the configuration, and not taken over\n"
                 "  hint: add what is printed to it, look at each challenge, and run the same command again\n";
}

// Whether all went well.
bool AdoptAccounts(Session& session, const Known& known, const Adoption& adoption) {
  bool well = true;
  for (const AdoptedAccount& account : adoption.accounts) {
    const v1::Account* configured = known.Find(account);
    if (configured == nullptr) continue;
    if (account.key.empty()) {
      session.err << "account " << configured->name()
                  << ": its key was not found; the CA is asked for another account\n";
      continue;
    }
    v1::AdoptAccountRequest request;
    request.set_name(configured->name());
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
    session.err << "account " << configured->name() << ": "
                << (response.adopted() ? "taken over with its key" : "there already, and kept") << "\n";
  }
  return well;
}

bool AdoptCertificates(Session& session, const Known& known, const Adoption& adoption) {
  bool well = true;
  for (const AdoptedCertificate& certificate : adoption.certificates) {
    if (!known.Has(certificate)) continue;
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

absl::Status Init(Session& session) {
  grpc::ClientContext context;
  v1::InitResponse response;
  RETURN_IF_ERROR(FromGrpc(session.controller.Init(&context, {}, &response)));
  for (const std::string& made : response.made()) session.err << "made " << Printable(made) << "\n";
  return absl::OkStatus();
}

int RunAdopt(Session& session, const AdoptOptions& options) {
  if (options.write && !options.written) {
    return ReportError(session.err, FailInput("--write: there is a configuration already, and it is not changed",
                                              absl::StrCat("without it `", Command(options),
                                                           "` prints what it lacks, and takes over what it names")));
  }
  absl::StatusOr<Adoption> adoption = Read(options);
  if (!adoption.ok()) return ReportError(session.err, adoption.status());
  if (options.written) {
    if (const absl::Status made = Init(session); !made.ok()) return ReportError(session.err, made);
  }
  absl::StatusOr<Known> known = AskWhatIsKnown(session);
  if (!known.ok()) return ReportError(session.err, known.status());
  NameAccountsAsConfigured(*known, *adoption);
  PrintLeft(*adoption, session.err);
  const bool accounts = AdoptAccounts(session, *known, *adoption);
  const bool certificates = AdoptCertificates(session, *known, *adoption);
  const std::string first = adoption->certificates.empty() ? "NAME" : adoption->certificates.front().name;
  PrintMissing(session, *known, *std::move(adoption));
  if (!accounts || !certificates) return kFailed;
  if (options.written) PrintLastSteps(options, first, session.err);
  return kDone;
}

}  // namespace

void AddAdopt(CLI::App& app, Verb& chosen, WithoutConfig& without_config) {
  auto options = std::make_shared<AdoptOptions>();
  CLI::App* verb = app.add_subcommand("adopt", "Take over certificates and accounts of another ACME client");
  verb->add_option("CLIENT", options->client, "certbot, acme.sh, lego or dehydrated")
      ->required()
      ->check(CLI::IsMember({"certbot", "acme.sh", "lego", "dehydrated"}));
  verb->add_option("DIR", options->directory,
                   "Where it keeps them: /etc/letsencrypt, ~/.acme.sh, .lego, /var/lib/dehydrated")
      ->required();
  verb->add_flag("--write", options->write,
                 "Where there is no configuration: write it, do what `certcast init` does, and take over all of it");
  verb->footer(
      "Without a configuration: prints one that goes on with what is in DIR, on standard output; with --write it is\n"
      "written where certcast looks for it, and all of it is taken over at once.\n\n"
      "With one: takes over what it names, certificates as generations, which are renewed when they are due, and "
      "accounts\n"
      "with their keys; and prints what it lacks, to be added to it before the same command is run again.\n\n"
      "Only reads in DIR; running it again changes nothing. Nothing is brought to a server before `certcast apply`, "
      "and\n"
      "no CA is asked: stop the other client's timer once that went well.\n\n"
      "Exit codes: 0 done, 1 something could not be taken over, 2 wrong usage or configuration.");
  verb->callback([&chosen, &without_config, options] {
    without_config = [options](const std::string& config_path, std::ostream& out, std::ostream& err) {
      return BeginWithout(*options, config_path, out, err);
    };
    chosen = [options](Session& session) { return RunAdopt(session, *options); };
  });
}

}  // namespace certcast::controller::cli
