// What other ACME clients left on a disk: certificates with their keys, and accounts.
#ifndef CERTCAST_CONTROLLER_ADOPT_ADOPT_H_
#define CERTCAST_CONTROLLER_ADOPT_ADOPT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"

namespace certcast::controller {

struct AdoptedAccount {
  // For the configuration: `letsencrypt`, or made of the CA's host.
  std::string name;
  // Of the ACME directory.
  std::string directory;
  // The client keeps the host alone: the rest is a guess.
  bool directory_is_guessed = false;
  // As the CA calls it; empty where the client did not keep it.
  std::string url;
  std::string email;
  std::string key_id;
  // PEM; empty: the key was not found, and the CA is asked for another account.
  Secret key;
};

struct AdoptedCertificate {
  // For the configuration.
  std::string name;
  std::vector<std::string> domains;
  // As in the configuration: `ecdsa-p256`.
  std::string key_type;
  std::string fullchain_pem;
  Secret key;
  // Of the CA that it came from, as AdoptedAccount::directory; empty: not known.
  std::string directory;
  // Name of one of Adoption::accounts.
  std::string account;
  // What stands for `challenge` in the configuration, as YAML's flow style; empty: the client's way can't be continued.
  std::string challenge;
  // How the client did it, for people: `dns-cloudflare`.
  std::string authenticator;
  bool reuse_key = false;
};

struct Adoption {
  std::vector<AdoptedAccount> accounts;
  std::vector<AdoptedCertificate> certificates;
  // What was found and can't be taken over, and why, a line each.
  std::vector<std::string> left;
};

// Accounts and certificates have different names, each certificate's account is there, and no two accounts have the
// same directory and key id, so that ConfigFor is a configuration.
//
// `client`: certbot, acme.sh, lego or dehydrated. `directory`: /etc/letsencrypt, ~/.acme.sh, .lego,
// /var/lib/dehydrated. Only reads. FailInput where it is not one of that client.
absl::StatusOr<Adoption> ReadClient(absl::string_view client, const std::string& directory);

// Whether a configured account is that one, by its directory and key id; where the directory is guessed, by its host.
bool IsSameAccount(const AdoptedAccount& account, absl::string_view directory, absl::string_view key_id);

// `accounts:` and `certificates:` that continue it, as YAML, for the operator to put into certcast.yaml.
std::string ConfigFor(const Adoption& adoption);

// The same as a whole certcast.yaml, for an operator who has none. `source`: where it comes from, for a comment.
// `state`: the directory of that name.
std::string NewConfigFor(const Adoption& adoption, const std::string& source, const std::string& state);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ADOPT_ADOPT_H_
