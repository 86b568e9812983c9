#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controller/cli/table.h"
#include "controller/cli/verbs.h"

namespace certcast::controller::cli {
namespace {

std::string ShowEnds(const v1::Account& account) {
  return absl::StrJoin(account.ends(), ", ", [](std::string* out, const v1::Account::End& end) {
    // The last moment before it is over.
    google::protobuf::Timestamp last = end.at();
    last.set_seconds(last.seconds() - 1);
    absl::StrAppend(out, end.what(), " ", ShowTime(last).substr(0, 10));
  });
}

int ListAccounts(Session& session, const std::string& name) {
  v1::ListAccountsRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::ListAccountsResponse response;
  if (grpc::Status status = session.controller.ListAccounts(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (session.options.json()) {
    session.out << ToJson(response);
    return kDone;
  }
  Table table({"ACCOUNT", "STATE", "SINCE", "CERTIFICATES", "ENDS", "CONTACT", "KEY ID", "DIRECTORY", "URL"});
  for (const v1::Account& account : response.accounts()) {
    table.AddRow({account.name(),
                  absl::StrCat(v1::Account::State_Name(account.state()),
                               account.configured() ? "" : " (not configured any more)"),
                  ShowTime(account.has_deactivated_at() ? account.deactivated_at() : account.created_at()),
                  absl::StrJoin(account.certificates(), ","), ShowEnds(account), absl::StrJoin(account.contacts(), ","),
                  account.external_account_key_id(), account.directory_url(), account.account_url()});
  }
  table.Print(session.out);
  return kDone;
}

int ChangeAccount(Session& session, const std::string& name, v1::ChangeAccountRequest::Action action) {
  v1::ChangeAccountRequest request;
  request.set_name(name);
  request.set_action(action);
  grpc::ClientContext context;
  v1::ChangeAccountResponse response;
  if (grpc::Status status = session.controller.ChangeAccount(&context, request, &response); !status.ok()) {
    return ReportError(session.err, FromGrpc(status));
  }
  if (session.options.json()) {
    session.out << ToJson(response);
  } else {
    session.out << name << ": " << Printable(response.text()) << "\n";
  }
  return kDone;
}

void AddChange(CLI::App& verb, Verb& chosen, const char* word, const char* help, const char* footer,
               v1::ChangeAccountRequest::Action action) {
  auto name = std::make_shared<std::string>();
  CLI::App* change = verb.add_subcommand(word, help);
  change->add_option("NAME", *name, "The account's name in the configuration")->required();
  change->footer(footer);
  change->callback([&chosen, name, action] {
    chosen = [name, action](Session& session) { return ChangeAccount(session, *name, action); };
  });
}

}  // namespace

void AddAccounts(CLI::App& app, Verb& chosen) {
  auto name = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("accounts", "Accounts at CAs: their state, keys and contracts");
  verb->add_option("NAME", *name, "One account; all when none is given");
  verb->footer(
      "States: NOT_REGISTERED (the CA has not heard of it), REGISTERED, KEY_CHANGING (its key was being changed and "
      "no\n"
      "answer came: its next use finds out which one counts), DEACTIVATED.\n\n"
      "Exit codes: 0 done or nothing to do, 1 the CA refused or could not be asked, 2 wrong usage or configuration.");
  verb->callback([&chosen, verb, name] {
    if (verb->get_subcommands().empty()) chosen = [name](Session& session) { return ListAccounts(session, *name); };
  });
  AddChange(*verb, chosen, "register", "Make it known to the CA ahead of the first order",
            "Shows at once whether external_account is right. One that was deactivated gets another key.",
            v1::ChangeAccountRequest::REGISTER);
  AddChange(*verb, chosen, "update", "Tell the CA the contacts that are configured", "",
            v1::ChangeAccountRequest::UPDATE_CONTACT);
  AddChange(*verb, chosen, "roll-key", "Give it another key (RFC 8555 section 7.3.5)",
            "Not every CA offers it. The new key is saved before the CA hears of it, so that a crash loses neither.",
            v1::ChangeAccountRequest::ROLL_KEY);
  AddChange(*verb, chosen, "deactivate", "Have the CA take nothing from it any more; this can't be undone",
            "What it issued stays valid and can still be revoked by its own key. `register` makes a new one.",
            v1::ChangeAccountRequest::DEACTIVATE);
}

}  // namespace certcast::controller::cli
