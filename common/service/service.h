// What uses a certificate on a node: its files, check, reload and probes. The same schema in node.yaml and, for hosts
// that are reached over SSH, in certcast.yaml.
#ifndef CERTCAST_COMMON_SERVICE_SERVICE_H_
#define CERTCAST_COMMON_SERVICE_SERVICE_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/probe/probe.h"

namespace certcast {

// What a file holds (PEM unless it says otherwise).
enum class FileContent {
  kCertificate,  // `cert`: the leaf
  kChain,        // `chain`: the intermediates
  kFullchain,    // `fullchain`: leaf then intermediates
  kPrivateKey,   // `private_key`: PKCS#8
  kCombined,     // `combined`: key then fullchain, without blank lines (haproxy)
  kDer,          // `der`: the leaf as DER
};

struct ServiceFile {
  // Absolute. Made a link into the node's state.
  std::string path;
  FileContent content = FileContent::kFullchain;
  // Names or numbers; empty: root, and the owner's as in /etc/passwd is not looked up: group root.
  std::string owner;
  std::string group;
  mode_t mode = 0600;

  bool holds_key() const { return content == FileContent::kPrivateKey || content == FileContent::kCombined; }
};

struct ServiceCommand {
  // Empty: none.
  std::vector<std::string> argv;
  absl::Duration timeout = absl::Seconds(30);
};

struct Service {
  std::string name;
  std::string certificate;
  // `nginx`, `apache`, `haproxy`, or empty. Already applied to what follows.
  std::string preset;
  std::vector<ServiceFile> files;
  ServiceCommand check;
  ServiceCommand reload;
  std::vector<ProbeSpec> probes;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_SERVICE_H_
