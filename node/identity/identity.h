// Who this node is: its own key, the certificate that the fleet's CA made for it, and the fleet that it takes orders
// from.
//
// Joining goes over a channel that the operator trusts already: `csr` makes the key and a request, the controller signs
// it, `accept` pins the answer. The key never leaves the node.
//
// On disk, all of it 0600 in the 0700 directory <state>/identity:
//   key.pem       made once, never overwritten
//   identity.pem  what `accept` was given: the node's certificate, the fleet CA's, a CERTCAST FLEET block
#ifndef CERTCAST_NODE_IDENTITY_IDENTITY_H_
#define CERTCAST_NODE_IDENTITY_IDENTITY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/file/file_system.h"
#include "common/manifest/manifest.h"
#include "common/secret/secret.h"
#include "common/x509/certificate.h"
#include "common/x509/private_key.h"

namespace certcast::node {

// Largest identity file that is looked at.
inline constexpr size_t kMaxIdentityFile = size_t{64} * 1024;

// An identity file as it parses and holds together by itself: the certificate is the named node's and signed by the CA
// in the file. Holds no secret.
struct IdentityFile {
  Certificate certificate;
  Certificate fleet_ca;
  std::string fleet_id;
  std::string node;
  ManifestKey manifest_key;

  // MALFORMED for a missing or foreign block; AUTH_FAILED where signature or names do not fit together.
  static absl::StatusOr<IdentityFile> Parse(absl::string_view pem);
};

// What a front end needs to speak for this node.
struct Identity {
  IdentityFile file;
  Secret private_key_pem;
};

// Thread-compatible. `files` outlives it.
class IdentityStore {
 public:
  // `state`: the node's state directory, absolute; made when missing. `node`: its name as configured.
  IdentityStore(FileSystem& files, absl::string_view state, absl::string_view node);

  // A request (PEM, RFC 2986) for the node's own key, which is made the first time. Idempotent: later calls use that
  // key.
  absl::StatusOr<std::string> MakeRequest();

  struct Accepted {
    IdentityFile file;
    // Another identity of the same fleet was there before.
    bool renewed = false;
    // The id of another fleet that this one replaces; empty as a rule.
    std::string replaced_fleet_id;
  };
  // Checks the identity and makes it this node's, atomically; what was there stays when it is refused. Refused: another
  // node's name, another key's certificate, one that is not valid at `now`, and, without `force`, a fleet id or
  // manifest key other than those accepted before. Idempotent.
  absl::StatusOr<Accepted> Accept(absl::string_view pem, absl::Time now, bool force);

  // Changes nothing. NOT_ENROLLED, saying how to join, while there is no identity. An expired certificate is no error
  // here: see CheckIdentityDates.
  absl::StatusOr<Identity> Load();

 private:
  absl::StatusOr<std::unique_ptr<Directory>> MakeDirectory();
  absl::StatusOr<PrivateKey> ReadKey(Directory& directory, Secret* pem);
  absl::StatusOr<PrivateKey> MakeKey(Directory& directory);
  absl::Status CheckPin(Directory& directory, const IdentityFile& file, bool force, Accepted& accepted);

  FileSystem& files_;
  const std::string directory_;
  const std::string node_;
};

// EXPIRED or NOT_YET_VALID, saying how to get another.
absl::Status CheckIdentityDates(const IdentityFile& file, absl::Time now);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_IDENTITY_IDENTITY_H_
