#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

// An order that the CA is at work on, and what did not work.
void PrintWhatIsOpen(std::ostream& out, const v1::ListCertificatesResponse::Certificate& entry) {
  if (!entry.order_url().empty()) {
    out << "  ordered " << ShowTime(entry.ordered_at()) << ", and not issued yet: " << Printable(entry.order_url())
        << "\n";
  }
  for (const auto& failed : entry.failed()) {
    out << "  " << failed.failures() << (failed.failures() == 1 ? " failure" : " failures in a row")
        << " with the account " << failed.account();
    if (failed.told_by_ca()) {
      out << "; the CA takes no order before " << ShowTime(failed.retry_at());
    } else {
      out << "; tried again by the next `certcast apply`";
    }
    out << ": " << Printable(failed.error()) << "\n";
  }
}

int RunCertificates(Session& session, const std::string& certificate) {
  v1::ListCertificatesRequest request;
  request.set_certificate(certificate);
  grpc::ClientContext context;
  v1::ListCertificatesResponse response;
  if (grpc::Status status = session.controller.ListCertificates(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (session.options.json()) {
    session.out << ToJson(response);
    return kDone;
  }
  for (const auto& entry : response.certificates()) {
    session.out << entry.name() << ": ";
    if (entry.generations().empty()) {
      session.out << "none yet";
    } else if (entry.has_renew_at()) {
      session.out << "renewal due " << ShowTime(entry.renew_at());
    }
    if (!entry.renew_reason().empty()) session.out << " (" << entry.renew_reason() << ")";
    session.out << "\n";
    PrintWhatIsOpen(session.out, entry);
    if (entry.generations().empty()) continue;
    Table table({"  GENERATION", "STATE", "NOT BEFORE", "NOT AFTER", "SOURCE", "ISSUER", "SHA-256"});
    for (const auto& generation : entry.generations()) {
      const std::string& why = generation.revocation_reason();
      table.AddRow({absl::StrCat("  ", generation.generation()),
                    absl::StrCat(v1::ListCertificatesResponse::Generation::State_Name(generation.state()),
                                 why.empty() ? "" : absl::StrCat(" (", why, ")")),
                    ShowTime(generation.not_before()), ShowTime(generation.not_after()), generation.source(),
                    generation.issuer(), generation.leaf_sha256()});
    }
    table.Print(session.out);
  }
  return kDone;
}

}  // namespace

void AddCertificates(CLI::App& app, Verb& chosen) {
  auto certificate = std::make_shared<std::string>();
  CLI::App* verb =
      app.add_subcommand("certificates", "Generations, dates, fingerprints, and when renewal is due and why");
  verb->add_option("CERT", *certificate, "One certificate; all when none is given");
  verb->callback([&chosen, certificate] {
    chosen = [certificate](Session& session) { return RunCertificates(session, *certificate); };
  });
}

}  // namespace certcast::controller::cli
