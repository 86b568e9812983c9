// certcast.yaml as validated structs. Relative paths are absolute here: they are relative to the file.
#ifndef CERTCAST_CONTROLLER_CONFIG_CONFIG_H_
#define CERTCAST_CONTROLLER_CONFIG_CONFIG_H_

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/probe/start_tls_protocol.h"
#include "common/secret/reference.h"
#include "common/x509/private_key.h"
#include "controller/config/challenge.h"
#include "controller/config/ssh_node.h"
#include "controller/schedule/window.h"

namespace certcast::controller {

struct ExternalAccount {
  std::string key_id;
  // base64url, padded or not.
  SecretReference hmac_key;
  // HS256, HS384 or HS512 (RFC 7518 section 3.2).
  std::string algorithm = "HS256";
};

// Something of the contract with the CA that ends, after which it issues nothing (or nothing of that kind) any more.
struct ContractEnd {
  // `contract`, `vetting` or `external_account`.
  std::string what;
  // The last day is over, in UTC.
  absl::Time at;
};

struct AccountConfig {
  std::string name;
  // Whole, with its query string.
  std::string directory;
  // For a private ACME server; empty: the system's roots.
  std::string ca_file;
  std::vector<std::string> contact;
  bool terms_of_service_agreed = false;
  std::optional<ExternalAccount> external_account;
  std::vector<ContractEnd> ends;
};

// Which of the chains that a CA offers for a certificate; what is empty does not matter.
struct ChainPreference {
  // Common name of the issuer of a certificate in it.
  std::string issuer;
  // SHA-256 of the root that it ends at, lower-case hex.
  std::string root_sha256;

  bool any() const { return issuer.empty() && root_sha256.empty(); }
  // `issuer NAME`, `root SHA-256`; empty for any.
  std::string ToString() const;
};

// When to renew without being told to.
struct RenewalConfig {
  // Follow what the CA suggests (RFC 9773), where it does; the rest is for where it does not.
  bool ari = true;
  // Share of the lifetime in (0, 1]; unset: 2/3, or 1/2 where the lifetime is below 10 days.
  std::optional<double> at;
  // Instead of `at`.
  std::optional<absl::Duration> before_expiry;
};

// `1` (nodes) or `10%` of the certificate's nodes, rounded up. Cumulative.
struct WaveSize {
  int count = 0;
  double percent = 0;  // used when count is 0
};

struct RolloutPolicy {
  std::vector<WaveSize> waves = {{.count = 1}, {.percent = 10}, {.percent = 100}};
  // Nodes in flight at once.
  int parallel = 64;
  int max_failures = 0;
  // Nodes that may be missing before the rollout halts; unset: any number.
  std::optional<int> max_unreachable;
  enum class OnHalt { kRevert, kStop };
  OnHalt on_halt = OnHalt::kRevert;
  // Between waves.
  absl::Duration soak = absl::ZeroDuration();
  absl::Duration confirm_timeout = absl::Seconds(60);
  // From the first byte to a node until its result.
  absl::Duration node_timeout = absl::Minutes(3);
  // That controllers may work on one rollout, soaks included; what has not had its turn then waits for the next one.
  // Infinite: no such bound.
  absl::Duration timeout = absl::InfiniteDuration();
  // Nodes that share the value of this label: at most so many in flight. Empty label: no such bound.
  std::string spread_label;
  int spread_in_flight = 1;
  // When nodes may begin; nullopt: always.
  std::optional<RolloutWindows> windows;
};

// The nodes of a certificate.
struct NodeSelector {
  bool all = false;
  std::vector<std::string> names;
  // Every one of them must match.
  std::map<std::string, std::string> labels;
};

struct CertificateConfig {
  std::string name;
  // Empty: imported by hand; then there is no challenge either.
  std::string account;
  // Asked in this order when it can't be obtained from `account`.
  std::vector<std::string> further_accounts = {};
  std::vector<std::string> domains;
  KeyType key_type = KeyType::kEcdsaP256;
  // The next order is for the key of the latest generation, unless that is out.
  bool reuse_key = false;
  std::string profile;
  ChainPreference chain;
  std::optional<ChallengeConfig> challenge;
  RenewalConfig renewal;
  NodeSelector nodes;
  RolloutPolicy rollout;
  // PEM roots that the chain must end at, checked at import and issuance; empty: not checked.
  std::string ca_file;

  bool imported() const { return account.empty(); }
  // All of them, in the order in which they are asked.
  std::vector<std::string> Accounts() const;
  // The first name, `*` read as `www`: what plain verify addresses are asked for.
  std::string DefaultServerName() const;
};

// What the controller looks at itself before it confirms.
struct VerifyEndpoint {
  // host:port.
  std::string address;
  // Empty: the certificate's DefaultServerName().
  std::string server_name = {};
  StartTlsProtocol starttls = StartTlsProtocol::kNone;
  // Which of the node's certificates is served there; empty: each of them, to who asks for its own server name.
  std::string certificate = {};
};

struct NodeConfig {
  std::string name;
  // `grpc://host:port`, as host:port. Of an ssh node: `user@host:port`, for messages.
  std::string address;
  // The host is logged in to; no agent listens there.
  std::optional<SshNode> ssh;
  std::map<std::string, std::string> labels;
  std::vector<VerifyEndpoint> verify;
  // host:port where it answers HTTP for the certificate's names; empty: port 80 of the host in `address`.
  std::string http_address;
};

struct MasterKeyConfig {
  // Either a reference to 32 random bytes (base64), or one to a passphrase.
  SecretReference key;
  SecretReference passphrase;
};

struct Config {
  // The file this was read from, absolute.
  std::string path;
  std::string state;
  MasterKeyConfig master_key;
  std::vector<AccountConfig> accounts;
  std::vector<CertificateConfig> certificates;
  std::vector<NodeConfig> nodes;
  // Positions of certificates and nodes by name, as ParseConfig leaves them. Without an index (a Config made by hand)
  // the names are looked through one by one.
  absl::flat_hash_map<std::string, size_t> certificate_index;
  absl::flat_hash_map<std::string, size_t> node_index;

  // nullptr when there is none of that name.
  const AccountConfig* FindAccount(absl::string_view name) const;
  const CertificateConfig* FindCertificate(absl::string_view name) const;
  const NodeConfig* FindNode(absl::string_view name) const;
  // In the order of the config.
  std::vector<const NodeConfig*> NodesOf(const CertificateConfig& certificate) const;
};

// Errors are kInvalidArgument: `FILE:LINE:COLUMN: what was found, what was expected`, all of them, a line each (at most
// 20).
absl::StatusOr<Config> ReadConfig(const std::string& path);
// The same for text that is at hand; `path` is for messages and relative paths.
absl::StatusOr<Config> ParseConfig(absl::string_view text, const std::string& path);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_CONFIG_CONFIG_H_
