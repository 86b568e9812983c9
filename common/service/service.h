// What uses a certificate on a node: its files, check, reload and probes. The same schema in node.yaml and, for hosts
// that are reached over SSH, in certcast.yaml.
#ifndef CERTCAST_COMMON_SERVICE_SERVICE_H_
#define CERTCAST_COMMON_SERVICE_SERVICE_H_

#include <sys/types.h>

#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/probe/probe.h"
#include "common/secret/reference.h"
#include "common/x509/pkcs12.h"

namespace certcast {

// What a file holds (PEM unless it says otherwise).
enum class FileContent {
  kCertificate,  // `cert`: the leaf
  kChain,        // `chain`: the intermediates
  kFullchain,    // `fullchain`: leaf then intermediates
  kPrivateKey,   // `private_key`: PKCS#8
  kCombined,     // `combined`: key then fullchain, without blank lines (haproxy)
  kDer,          // `der`: the leaf as DER
  kPkcs12,       // `pkcs12`: key, leaf and intermediates as a PKCS#12 file (RFC 7292), encrypted
  // `ca`: the top of the chain alone, to be trusted: its last certificate, the nearest to the root. CAs leave the root
  // itself out as a rule; then it is an intermediate, which only software that takes partial chains ends at (OpenSSL:
  // X509_V_FLAG_PARTIAL_CHAIN; Java does). A self-signed leaf is its own top; another leaf that comes alone has none,
  // and is refused.
  kCa,
};

// How a PKCS#12 file is written.
struct Pkcs12Format {
  // Printable ASCII. Read anew for each install.
  SecretReference password;
  // `modern`, `legacy`.
  Pkcs12Encryption encryption = Pkcs12Encryption::kModern;
  // friendlyName of key and leaf: the alias in a Java keystore.
  std::string alias;
};

// How a file comes to its path.
enum class FileInstall {
  kLink,  // `link`: the path is a link into the node's state, and changes together with all others
  kCopy,  // `copy`: a regular file, for software that refuses links; replaced one by one, right after the links
};

struct ServiceFile {
  // Absolute.
  std::string path;
  // Whose it is; empty: the service's `certificate`.
  std::string certificate;
  FileContent content = FileContent::kFullchain;
  // Names or numbers; empty: root, and the owner's as in /etc/passwd is not looked up: group root.
  std::string owner;
  std::string group;
  mode_t mode = 0600;
  FileInstall install = FileInstall::kLink;
  // Of kPkcs12.
  Pkcs12Format pkcs12;

  bool holds_key() const {
    return content == FileContent::kPrivateKey || content == FileContent::kCombined || content == FileContent::kPkcs12;
  }
};

struct ServiceCommand {
  // Empty: none.
  std::vector<std::string> argv;
  absl::Duration timeout = absl::Seconds(30);
};

// How a service learns of new files. An exit code or answer that says yes proves nothing: see the probes.
//
// Nothing is told: the service watches its files, or has no process.
struct NoReload {};
// `[WORDS]`, `run`, `sh`; `restart`: one that loses connections.
struct CommandReload {
  std::vector<std::string> argv;
  bool disruptive = false;
};
// `signal`: to the process that the pid file names. Nothing is awaited.
struct SignalReload {
  int signal = 0;
  // Absolute.
  std::string pid_file;
};
// `haproxy`: the runtime API's `set ssl cert` and `commit ssl cert`; connections stay.
struct HaproxyReload {
  // The stats socket, `level admin`. Absolute.
  std::string socket;
  // As haproxy.cfg names it, which is the path of one of the service's files.
  std::string certificate;
};

struct ServiceReload {
  std::variant<NoReload, CommandReload, SignalReload, HaproxyReload> how;
  // Of a command, and of haproxy's answers all together.
  absl::Duration timeout = absl::Seconds(30);

  bool is_none() const { return std::holds_alternative<NoReload>(how); }
  bool is_disruptive() const {
    const auto* command = std::get_if<CommandReload>(&how);
    return command != nullptr && command->disruptive;
  }
};

struct Service {
  std::string name;
  // Of the files and probes that name no other.
  std::string certificate;
  // `nginx`, `apache` and so on (preset.h), or empty. Already applied to what follows.
  std::string preset;
  std::vector<ServiceFile> files;
  ServiceCommand check;
  ServiceReload reload;
  std::vector<ProbeSpec> probes;

  const std::string& CertificateOf(const ServiceFile& file) const {
    return file.certificate.empty() ? certificate : file.certificate;
  }
  // Whose certificate a probe that sees one must see.
  const std::string& CertificateOf(const ProbeSpec& probe) const {
    return probe.certificate.empty() ? certificate : probe.certificate;
  }
  // Each once, in the order of the files.
  std::vector<std::string> Certificates() const;
  // Those of that certificate, in their order.
  std::vector<const ServiceFile*> FilesOf(absl::string_view of_certificate) const;
};

}  // namespace certcast

#endif  // CERTCAST_COMMON_SERVICE_SERVICE_H_
