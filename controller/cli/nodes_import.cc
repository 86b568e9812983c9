#include "controller/cli/nodes_import.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "controller/cli/session.h"
#include "controller/config/ansible_inventory.h"

namespace certcast::controller::cli {
namespace {

struct ImportOptions {
  std::string file;
  InventoryDefaults defaults;
  std::vector<std::string> labels;
};

absl::Status ReadLabels(ImportOptions& options) {
  for (const std::string& label : options.labels) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(label, absl::MaxSplits('=', 1));
    if (pair.first.empty() || pair.second.empty()) {
      return FailInput(absl::StrCat("--label: found ", label, ", expected KEY=VALUE"), "as in --label role=web");
    }
    options.defaults.labels[pair.first] = pair.second;
  }
  return absl::OkStatus();
}

int RunImport(ImportOptions options, std::ostream& out, std::ostream& err) {
  if (const absl::Status status = ReadLabels(options); !status.ok()) return ReportError(err, status);
  const absl::StatusOr<std::vector<InventoryHost>> hosts = ReadAnsibleInventory(options.file, options.defaults);
  if (!hosts.ok()) return ReportError(err, hosts.status());
  out << "nodes:\n";
  for (const InventoryHost& host : *hosts) out << "  - " << host.entry << "\n";
  return kDone;
}

}  // namespace

void AddNodesImport(CLI::App& app, PlainVerb& chosen) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* verb = app.get_subcommand("nodes")->add_subcommand("import", "Print `nodes:` for an Ansible inventory");
  verb->add_option("--ansible-inventory", options->file, "What `ansible-inventory --list` printed")->required();
  verb->add_option("--group", options->defaults.group, "The hosts of this group and of those below it [all]");
  CLI::Option* services = verb->add_option("--service", options->defaults.services,
                                           "A service of each host that is logged in to; may be given again");
  CLI::Option* state = verb->add_option("--state", options->defaults.state, "Where the agent keeps its state there");
  verb->add_option("--label", options->labels, "A label of each, as KEY=VALUE; may be given again");
  verb->add_option("--verify", options->defaults.verify,
                   "Where the controller looks, host:port, or :port of each host; may be given again");
  verb->add_option("--agent-port", options->defaults.agent_port, "Agents listen on this port of each host")
      ->check(CLI::Range(1, 65535))
      ->excludes(services)
      ->excludes(state);
  verb->footer(
      "Prints a part of certcast.yaml on standard output, and changes nothing. For nodes that follow the inventory by\n"
      "themselves write in its place:\n"
      "  nodes: {ansible_inventory: {file: inventory.json, group: web, services: [nginx]}}\n\n"
      "The inventory is JSON: ansible-inventory -i INVENTORY --list > inventory.json\n"
      "Of its variables these count: ansible_host, ansible_user, ansible_port, ansible_ssh_private_key_file, "
      "ansible_become,\n"
      "jump hosts in ansible_ssh_common_args (-J, ProxyJump, ProxyCommand by ssh -W); and certcast_address,\n"
      "certcast_services, certcast_verify and certcast_labels. Each group of a host becomes a label: `nodes: {web: "
      "member}`.\n\n"
      "Exit codes: 0 printed, 2 wrong usage, or an inventory that can't be used: each host that is wrong is named.");
  verb->callback([&chosen, options] {
    chosen = [options](std::ostream& out, std::ostream& err) { return RunImport(*options, out, err); };
  });
}

}  // namespace certcast::controller::cli
