// Hosts of an Ansible inventory as entries of `nodes:`.
//
// What is read is the JSON of `ansible-inventory --list`: groups with hosts and children, and the variables of each
// host with those of its groups already in them.
#ifndef CERTCAST_CONTROLLER_CONFIG_ANSIBLE_INVENTORY_H_
#define CERTCAST_CONTROLLER_CONFIG_ANSIBLE_INVENTORY_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast::controller {

// What the inventory does not say of a host. A host's own variables go before these: certcast_services, certcast_verify
// (lists), certcast_labels (a map) and certcast_address.
struct InventoryDefaults {
  // The hosts of this group and of those below it.
  std::string group = "all";
  // Of hosts that are logged in to.
  std::vector<std::string> services = {};
  // Where the agent keeps its state on hosts that are logged in to. Empty: the default of `nodes:`.
  std::string state = {};
  // Beside one a group, with the value `member`.
  std::map<std::string, std::string> labels = {};
  // `host:port`, or `:port` of the host's own address.
  std::vector<std::string> verify = {};
  // Where an agent listens on each host, which is then not logged in to. 0: none does.
  int agent_port = 0;
};

struct InventoryHost {
  std::string name;
  // An entry of `nodes:` in flow style: `{name: web-01, address: "ssh://deploy@10.0.0.9:22", ...}`. Whether certcast
  // takes it is not known yet; its texts are bounded and quoted.
  std::string entry;
};

// In the order of the inventory, each host once. `home` is what `~/` in the path of a key stands for. Errors are
// kInvalidArgument, all of them, a line each (at most 20): `PATH: host web-01: ansible_port: found 0, expected ...`.
absl::StatusOr<std::vector<InventoryHost>> ParseAnsibleInventory(absl::string_view json, const std::string& path,
                                                                 const InventoryDefaults& defaults,
                                                                 const std::string& home);

// The same of a file, which others must not be able to write to, as it says where keys are sent.
absl::StatusOr<std::vector<InventoryHost>> ReadAnsibleInventory(const std::string& path,
                                                                const InventoryDefaults& defaults);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_ANSIBLE_INVENTORY_H_
