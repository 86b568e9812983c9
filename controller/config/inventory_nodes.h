// `nodes: {ansible_inventory: {file: ..., group: web}}`: the hosts of an Ansible inventory in the place of a list.
#ifndef CERTCAST_CONTROLLER_CONFIG_INVENTORY_NODES_H_
#define CERTCAST_CONTROLLER_CONFIG_INVENTORY_NODES_H_

#include <memory>
#include <string>
#include <vector>

#include "common/yaml/document.h"
#include "common/yaml/value.h"
#include "controller/config/ansible_inventory.h"

namespace certcast::controller {

// Thread-compatible. Outlives the values that it gives.
class InventoryNodes {
 public:
  // What stands for an entry of `nodes:` each. What is wrong with the map, or with the inventory, goes to the map's
  // document.
  std::vector<yaml::Value> Read(const yaml::Value& nodes, size_t most);
  // False after an inventory that could not be read: which nodes there are is not known then.
  bool is_known() const { return known_; }

  // What was found wrong with those values since goes there too, with the host's name.
  void ReportErrors() const;

 private:
  struct Host {
    std::string name;
    std::unique_ptr<yaml::Document> entry;
  };

  void Add(const InventoryHost& host, const yaml::Value& file, std::vector<yaml::Value>& values);

  bool known_ = true;
  yaml::Value place_;
  std::string file_;
  std::vector<Host> hosts_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_INVENTORY_NODES_H_
