#include "node/identity/identity.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "certcast/v1/identity.pb.h"
#include "common/file/atomic.h"
#include "common/identity/names.h"
#include "common/status/status.h"
#include "common/x509/pem.h"

namespace certcast::node {
namespace {

constexpr absl::string_view kKeyFile = "key.pem";
constexpr absl::string_view kIdentityFile = "identity.pem";
constexpr absl::string_view kCertificateBlock = "CERTIFICATE";
constexpr absl::string_view kFleetBlock = "CERTCAST FLEET";
constexpr uint32_t kSchema = 1;
constexpr size_t kMaxBlocks = 3;
constexpr size_t kMaxKeyFile = size_t{16} * 1024;

constexpr absl::string_view kSignHint =
    "an identity file is what `certcast nodes sign NAME < csr.pem` prints on the controller";

FileAttributes OwnFile(mode_t mode) {
  return {.mode = mode, .owner = geteuid(), .group = getegid()};
}

absl::StatusOr<v1::FleetIdentity> ParseFleet(const std::string& body) {
  v1::FleetIdentity fleet;
  if (!fleet.ParseFromString(body) || fleet.fleet_id().empty()) {
    return Fail(Reason::MALFORMED, "the identity's CERTCAST FLEET block does not parse", kSignHint);
  }
  if (fleet.schema() > kSchema) {
    return Fail(Reason::MALFORMED,
                absl::StrCat("the identity has schema ", fleet.schema(), ", this agent knows ", kSchema),
                "use a newer certcast-node");
  }
  return fleet;
}

// The names and the signature, not the dates: a file that has expired is still the same node's.
absl::Status CheckHoldsTogether(const IdentityFile& file) {
  if (!file.fleet_ca.is_ca())
    return Fail(Reason::CHAIN_INVALID, "the identity's second certificate is not a CA", kSignHint);
  const absl::Time within = std::max(file.certificate.not_before(), file.fleet_ca.not_before()) + absl::Seconds(1);
  absl::Status signature = CheckChainAgainstRoots({file.certificate}, {file.fleet_ca}, within);
  if (!signature.ok()) return Annotate(std::move(signature), "the identity's certificate is not the fleet CA's");

  std::vector<std::string> names = file.certificate.dns_names();
  names.insert(names.end(), file.certificate.uris().begin(), file.certificate.uris().end());
  const std::optional<std::string> peer = PeerNode(file.fleet_id, names);
  if (peer != file.node) {
    return Fail(Reason::AUTH_FAILED,
                absl::StrCat("the identity says it is node ", file.node, " of fleet ", file.fleet_id,
                             ", its certificate says ", peer.has_value() ? *peer : "otherwise"),
                kSignHint);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IdentityFile> IdentityFile::Parse(absl::string_view pem) {
  absl::StatusOr<std::vector<PemBlock>> split = SplitPem(pem, kMaxIdentityFile);
  if (!split.ok()) return WithHint(Annotate(split.status(), "the identity"), kSignHint);
  const std::vector<PemBlock>& blocks = *split;
  if (blocks.size() != kMaxBlocks || blocks[0].label != kCertificateBlock || blocks[1].label != kCertificateBlock ||
      blocks[2].label != kFleetBlock) {
    return Fail(Reason::MALFORMED,
                "an identity is three PEM blocks: the node's CERTIFICATE, the fleet CA's CERTIFICATE, CERTCAST FLEET",
                kSignHint);
  }
  ASSIGN_OR_RETURN(const std::string certificate_der, DecodePem(blocks[0]));
  ASSIGN_OR_RETURN(const std::string fleet_ca_der, DecodePem(blocks[1]));
  ASSIGN_OR_RETURN(const std::string fleet_body, DecodePem(blocks[2]));
  ASSIGN_OR_RETURN(Certificate certificate, Certificate::FromDer(certificate_der));
  ASSIGN_OR_RETURN(Certificate fleet_ca, Certificate::FromDer(fleet_ca_der));
  ASSIGN_OR_RETURN(v1::FleetIdentity fleet, ParseFleet(fleet_body));
  ASSIGN_OR_RETURN(ManifestKey manifest_key, ManifestKey::FromPem(fleet.manifest_key_pem()));
  IdentityFile file{std::move(certificate), std::move(fleet_ca), fleet.fleet_id(), fleet.node(),
                    std::move(manifest_key)};
  RETURN_IF_ERROR(CheckHoldsTogether(file));
  return file;
}

absl::Status CheckIdentityDates(const IdentityFile& file, absl::Time now) {
  return WithHint(
      Annotate(CheckDates(file.certificate, now), absl::StrCat("the identity of node ", file.node)),
      absl::StrCat("check the clock; else have it signed again: `certcast-node csr > csr.pem`, `certcast nodes "
                   "sign ",
                   file.node, " < csr.pem > identity.pem`, `certcast-node accept < identity.pem`"));
}

IdentityStore::IdentityStore(FileSystem& files, absl::string_view state, absl::string_view node)
    : files_(files), directory_(absl::StrCat(state, "/identity")), node_(node) {
}

absl::StatusOr<std::unique_ptr<Directory>> IdentityStore::MakeDirectory() {
  ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, OpenOrMakeDirectory(files_, directory_, OwnFile(0700)));
  // Of one that was killed: it may be a key.
  RETURN_IF_ERROR(RemoveTemporaries(*directory));
  return directory;
}

absl::StatusOr<PrivateKey> IdentityStore::ReadKey(Directory& directory, Secret* pem) {
  ASSIGN_OR_RETURN(Secret secret, directory.ReadSecret(kKeyFile, kMaxKeyFile));
  absl::StatusOr<PrivateKey> key = PrivateKey::FromPem(secret.ExposeSecret());
  if (!key.ok()) {
    return WithHint(Annotate(key.status(), absl::StrCat(directory_, "/", kKeyFile)),
                    "move the file away and run `certcast-node csr` for a new key; the node then needs a new identity");
  }
  if (pem != nullptr) *pem = std::move(secret);
  return key;
}

absl::StatusOr<PrivateKey> IdentityStore::MakeKey(Directory& directory) {
  ASSIGN_OR_RETURN(PrivateKey key, PrivateKey::Generate(KeyType::kEcdsaP256));
  ASSIGN_OR_RETURN(Secret pem, key.ToPem());
  RETURN_IF_ERROR(ReplaceFile(directory, kKeyFile, pem.ExposeSecret(), OwnFile(0600)));
  return key;
}

absl::StatusOr<std::string> IdentityStore::MakeRequest() {
  ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, MakeDirectory());
  absl::StatusOr<PrivateKey> key = ReadKey(*directory, nullptr);
  if (absl::IsNotFound(key.status())) key = MakeKey(*directory);
  RETURN_IF_ERROR(key.status());
  ASSIGN_OR_RETURN(std::string der, MakeCsr(*key, {NodeDnsName(node_)}));
  return CsrDerToPem(der);
}

absl::Status IdentityStore::CheckPin(Directory& directory, const IdentityFile& file, bool force, Accepted& accepted) {
  absl::StatusOr<std::string> bytes = directory.ReadFile(kIdentityFile, kMaxIdentityFile);
  if (absl::IsNotFound(bytes.status())) return absl::OkStatus();
  RETURN_IF_ERROR(bytes.status());
  absl::StatusOr<IdentityFile> before = IdentityFile::Parse(*bytes);
  if (before.ok() && before->fleet_id == file.fleet_id && before->manifest_key.raw() == file.manifest_key.raw()) {
    accepted.renewed = true;
    return absl::OkStatus();
  }
  if (force) {
    if (before.ok()) accepted.replaced_fleet_id = before->fleet_id;
    return absl::OkStatus();
  }
  if (!before.ok()) {
    return WithHint(Annotate(before.status(), absl::StrCat(directory_, "/", kIdentityFile, " can't be compared")),
                    "`certcast-node accept --force` replaces it");
  }
  return Fail(Reason::FOREIGN_FLEET,
              before->fleet_id == file.fleet_id
                  ? absl::StrCat("this node trusts another manifest key of fleet ", file.fleet_id)
                  : absl::StrCat("this node belongs to fleet ", before->fleet_id, ", the identity to ", file.fleet_id),
              "if the node is to change hands: `certcast-node accept --force`");
}

absl::StatusOr<IdentityStore::Accepted> IdentityStore::Accept(absl::string_view pem, absl::Time now, bool force) {
  ASSIGN_OR_RETURN(IdentityFile file, IdentityFile::Parse(pem));
  if (file.node != node_) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat("the identity is node ", file.node, "'s, this node is ", node_),
                absl::StrCat("`certcast nodes sign ", node_, "` on the controller, or another `name` in node.yaml"));
  }
  RETURN_IF_ERROR(CheckIdentityDates(file, now));
  ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, MakeDirectory());
  absl::StatusOr<PrivateKey> key = ReadKey(*directory, nullptr);
  if (absl::IsNotFound(key.status())) {
    return Fail(Reason::KEY_MISMATCH, absl::StrCat("this node has no key yet: ", directory_, "/", kKeyFile),
                absl::StrCat("run `certcast-node csr`, then `certcast nodes sign ", node_, "` on the controller"));
  }
  RETURN_IF_ERROR(key.status());
  RETURN_IF_ERROR(WithHint(Annotate(CheckKeyMatches(file.certificate, *key), "the identity was made for another key"),
                           "sign the request that `certcast-node csr` prints on this very node"));
  Accepted accepted{.file = file};
  RETURN_IF_ERROR(CheckPin(*directory, file, force, accepted));
  RETURN_IF_ERROR(ReplaceFile(*directory, kIdentityFile, pem, OwnFile(0600)));
  return accepted;
}

absl::StatusOr<Identity> IdentityStore::Load() {
  absl::StatusOr<std::unique_ptr<Directory>> directory = files_.OpenDirectory(directory_);
  absl::StatusOr<std::string> pem =
      directory.ok() ? (*directory)->ReadFile(kIdentityFile, kMaxIdentityFile) : directory.status();
  if (absl::IsNotFound(pem.status())) {
    return Fail(
        Reason::NOT_ENROLLED, absl::StrCat("node ", node_, " has no identity: ", directory_, "/", kIdentityFile),
        absl::StrCat("run `certcast-node csr > csr.pem` here, `certcast nodes sign ", node_,
                     " < csr.pem > identity.pem` on the controller, `certcast-node accept < identity.pem` here"));
  }
  RETURN_IF_ERROR(pem.status());
  absl::StatusOr<IdentityFile> file = IdentityFile::Parse(*pem);
  if (!file.ok()) return Annotate(file.status(), absl::StrCat(directory_, "/", kIdentityFile));
  if (file->node != node_) {
    return Fail(Reason::AUTH_FAILED, absl::StrCat("the identity is node ", file->node, "'s, node.yaml says ", node_),
                absl::StrCat("sign and accept it again under the name ", node_, ", or set `name` back"));
  }
  Secret key_pem;
  absl::StatusOr<PrivateKey> key = ReadKey(**directory, &key_pem);
  RETURN_IF_ERROR(key.status());
  RETURN_IF_ERROR(Annotate(CheckKeyMatches(file->certificate, *key), directory_));
  return Identity{*std::move(file), std::move(key_pem)};
}

}  // namespace certcast::node
