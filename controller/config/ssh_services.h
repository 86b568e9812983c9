// Which services an ssh node has, as text for it.
#ifndef CERTCAST_CONTROLLER_CONFIG_SSH_SERVICES_H_
#define CERTCAST_CONTROLLER_CONFIG_SSH_SERVICES_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/service/service.h"
#include "common/yaml/value.h"
#include "controller/config/config.h"

namespace certcast::controller {

// The file's `services:`, of which each ssh node names some.
class ServiceCatalogue {
 public:
  // What is wrong with `list` goes to its document.
  explicit ServiceCatalogue(const yaml::Value& list);

  // Each service's certificate is one of the file's.
  void CheckCertificates(const Config& config) const;

  // Reads the names at `place` into `node`, with what follows from them.
  void Choose(const yaml::Value& place, const Config& config, SshNode& node);
  // At least one of the services that `node` has uses the certificate.
  bool Uses(const SshNode& node, absl::string_view certificate, const Config& config) const;

 private:
  struct Choice {
    // What is wrong with these services on one node.
    absl::Status status;
    std::shared_ptr<const std::string> text;
  };

  const Service* Find(absl::string_view name) const;
  Choice MakeChoice(const std::vector<std::string>& names, const std::string& state) const;

  yaml::Value list_;
  std::vector<Service> services_;
  absl::flat_hash_map<std::string, size_t> index_;
  // By state and names.
  std::map<std::pair<std::string, std::vector<std::string>>, Choice> choices_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_SSH_SERVICES_H_
