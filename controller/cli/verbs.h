// The verbs: one file each. Add registers a verb with its options and help; parsing sets `chosen` to what it does.
#ifndef CERTCAST_CONTROLLER_CLI_VERBS_H_
#define CERTCAST_CONTROLLER_CLI_VERBS_H_

#include <CLI/CLI.hpp>

#include "controller/cli/session.h"

namespace certcast::controller::cli {

void AddInit(CLI::App& app, Verb& chosen);
void AddApply(CLI::App& app, Verb& chosen);
void AddStatus(CLI::App& app, Verb& chosen);
void AddVerify(CLI::App& app, Verb& chosen);
void AddIssue(CLI::App& app, Verb& chosen);
void AddImport(CLI::App& app, Verb& chosen);
void AddRevoke(CLI::App& app, Verb& chosen);
void AddReplace(CLI::App& app, Verb& chosen);
void AddCertificates(CLI::App& app, Verb& chosen);
void AddAccounts(CLI::App& app, Verb& chosen);
void AddNodes(CLI::App& app, Verb& chosen);
void AddRollout(CLI::App& app, Verb& chosen);
void AddDoctor(CLI::App& app, Verb& chosen);

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_VERBS_H_
