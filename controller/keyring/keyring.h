// The fleet's keys: the master key that seals every secret at rest, the internal CA that signs identities, the key that
// signs manifests, and the controller's own identity.
//
// Where they live. The master key is outside of the state directory: a file (base64 of 32 random bytes), a systemd
// credential, or made of a passphrase by scrypt (N=2^17, r=8, p=1; RFC 7914). All else is in the store, under
//   keyring/master       how the master key is made, and a sealed constant that tells a wrong one
//   keyring/fleet        fleet id, CA certificate; sealed: CA key, manifest key
//   keyring/controller   the controller's certificate; sealed: its key
// The private keys are sealed with purposes that hold the fleet id, so records can't be swapped between fleets.
//
// What is sealed is AES-256-GCM under a data key of its own, which is wrapped by the master key: see Sealed in
// store.proto.
#ifndef CERTCAST_CONTROLLER_KEYRING_KEYRING_H_
#define CERTCAST_CONTROLLER_KEYRING_KEYRING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/clock/clock.h"
#include "common/file/file_system.h"
#include "common/secret/secret.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"
#include "controller/config/config.h"
#include "controller/keyring/sealer.h"
#include "controller/store/store.h"

namespace certcast::controller {

// What the keyring uses; all must outlive it.
struct KeyringEnvironment {
  Store* store = nullptr;
  // For making the master key file.
  FileSystem* files = &FileSystem::Real();
  const Clock* clock = &Clock::Real();
};

// The controller's own end of a mutual TLS link.
struct ControllerIdentity {
  // PEM: the certificate, then the fleet CA's.
  std::string chain_pem;
  Secret private_key_pem;
  // What peers must chain to.
  std::string fleet_ca_pem;
  absl::Time not_before;
  absl::Time not_after;
  // What nodes check manifests with: hosts that are logged in to pin it.
  std::string manifest_key_pem;
};

struct NodeIdentity {
  // What `certcast-node accept` reads: the node's certificate, the fleet CA's, and a CERTCAST FLEET block with a
  // serialized v1::FleetIdentity. PEM, no secret.
  std::string pem;
  // Of the node's certificate.
  std::string sha256;
  absl::Time not_after;
};

// Thread-safe.
class Keyring : public Sealer {
 public:
  // Makes what is missing, in this order, then opens it: the master key file (only where the configuration names a file
  // and nothing was ever sealed here; 0400, its directory 0700 if that is missing too); keyring/master and
  // keyring/fleet in one transaction; keyring/controller. Idempotent; after a crash at any point the next call goes on.
  // `epoch`: of the lease that the caller holds, so that two can't do this at once. Adds to `made` what it made, a line
  // each for people; may be nullptr.
  //
  // A missing master key file is never made again once something is sealed under it: that is an error.
  static absl::StatusOr<std::unique_ptr<Keyring>> Init(const MasterKeyConfig& config,
                                                       const KeyringEnvironment& environment, uint64_t epoch,
                                                       std::vector<std::string>* made);

  // Opens what Init made. kFailedPrecondition with the hint `certcast init` when there is nothing; kInvalidArgument
  // (the configuration names it) when the master key is missing, malformed, of another kind, or not the one that sealed
  // this store; PERMISSION_DENIED when it can't be read, is open to others, or is the file or link of another user.
  static absl::StatusOr<std::unique_ptr<Keyring>> Open(const MasterKeyConfig& config,
                                                       const KeyringEnvironment& environment);

  using Sealer::Open;

  // UUID (RFC 9562), lower case.
  virtual const std::string& fleet_id() const = 0;
  virtual const Certificate& fleet_ca() const = 0;
  // Signs manifests (Ed25519); for MakeBundle. Its ManifestKey is what nodes pin.
  virtual const PrivateKey& manifest_key() const = 0;

  // The controller's certificate and key; renewed first when two thirds of its 30 days are over. Where the renewed one
  // can't be saved, the old one serves until it expires; then that is the error.
  virtual absl::StatusOr<ControllerIdentity> LoadControllerIdentity() = 0;

  // Signs a node's request: a certificate for `name`, whatever the request says of names, valid from a minute ago for
  // 30 days. Errors are kInvalidArgument: not a node name, not one PEM request of at most 16 KiB, its signature does
  // not verify, its key is not P-256, P-384 or RSA of 2048 to 8192 bits. Not idempotent: each call is another
  // certificate. Writes nothing: the caller records it.
  virtual absl::StatusOr<NodeIdentity> SignNode(absl::string_view name, absl::string_view csr_pem) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_KEYRING_KEYRING_H_
