// What reads each part of certcast.yaml. Errors go to the document; what comes back is whole only when there are none.
#ifndef CERTCAST_CONTROLLER_CONFIG_SECTIONS_H_
#define CERTCAST_CONTROLLER_CONFIG_SECTIONS_H_

#include <string>
#include <vector>

#include "common/yaml/value.h"
#include "controller/config/config.h"

namespace certcast::controller {

MasterKeyConfig ReadMasterKey(const yaml::Value& value);
AccountConfig ReadAccount(const yaml::Value& value);
CertificateConfig ReadCertificate(const yaml::Value& value);
ChallengeConfig ReadChallenge(const yaml::Value& value, const std::vector<std::string>& domains);
NodeSelector ReadNodeSelector(const yaml::Value& value);
RolloutPolicy ReadRolloutPolicy(const yaml::Value& value);
RolloutWindows ReadWindows(const yaml::Value& value);
SshOptions ReadSshOptions(const yaml::Value& value, SshOptions defaults);
// `[user@]host[:port]`, as it stands within what is at `place`.
SshServer ReadSshServer(absl::string_view text, const yaml::Value& place);
// All of it but the services, which are checked together with the certificates.
SshNode ReadSshNode(const yaml::Map& node, SshServer server, const SshOptions& defaults);
// `ssh`: what the file says for all ssh nodes.
NodeConfig ReadNode(const yaml::Value& value, const SshOptions& ssh);

// Where the entries of a config stand, in its order.
struct Places {
  std::vector<yaml::Value> accounts;
  std::vector<yaml::Value> certificates;
  std::vector<yaml::Value> nodes;
  yaml::Value services;
};

// No name of an account, certificate or node is there twice, and no node's address behind the same jump hosts.
void CheckDistinct(const Config& config, const Places& places);

// Fills in the services of ssh nodes that have some here. Their certificates exist, and each certificate that goes to
// an ssh node is used there.
void ReadSshServices(Config& config, const Places& places);

// What entries say about each other: the accounts, nodes and labels that certificates name exist.
void CheckReferences(const Config& config, const Places& places);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_SECTIONS_H_
