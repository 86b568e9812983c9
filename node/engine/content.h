// From a bundle to the bytes of a file, and from a file back to the certificate in it.
#ifndef CERTCAST_NODE_ENGINE_CONTENT_H_
#define CERTCAST_NODE_ENGINE_CONTENT_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/file/file_system.h"
#include "common/manifest/manifest.h"
#include "common/secret/secret.h"
#include "common/service/service.h"
#include "common/x509/certificate.h"

namespace certcast::node {

// What a file holds. The same bundle gives the same bytes, except for PKCS#12, whose salts are random. Fails where the
// password of a PKCS#12 file can't be read, and for a `ca` file of a bundle without a CA (CHAIN_INVALID).
absl::StatusOr<Secret> RenderFile(const ServiceFile& file, const VerifiedBundle& bundle);

// Whether `bytes`, as they were found in the file, say the same as RenderFile would: for PKCS#12, that they open with
// the password, and have the same key, certificates, alias and encryption.
bool SaysTheSame(const ServiceFile& file, const VerifiedBundle& bundle, absl::string_view bytes);

// The leaf in a file: its first certificate. None in what holds none, is not one, is empty, or does not open.
std::optional<Certificate> LeafIn(const ServiceFile& file, absl::string_view bytes);

// All certificates of a file that holds leaf and intermediates. Empty for other contents, and for what does not parse.
std::vector<Certificate> ChainIn(FileContent content, absl::string_view bytes);

// Directory::ReadSecret with the limit below.
absl::StatusOr<Secret> ReadSecretFile(Directory& directory, absl::string_view name);

// No file that certcast installs or takes in is larger.
inline constexpr size_t kMaxFileBytes = 1024 * 1024;

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_CONTENT_H_
