// The paths that services read, as they are now.
#ifndef CERTCAST_NODE_ENGINE_VISIBLE_H_
#define CERTCAST_NODE_ENGINE_VISIBLE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/secret/secret.h"
#include "node/engine/context.h"

namespace certcast::node {

struct VisiblePath {
  enum class Kind { kAbsent, kFile, kLink };
  Kind kind = Kind::kAbsent;
  // Of a link.
  std::string target;
};

// What is at `path` itself. A directory, device or socket is an error.
absl::StatusOr<VisiblePath> LookAt(FileSystem& files, absl::string_view path);

// Whether it is the link that certcast makes for it (of a file of `install: link`).
absl::StatusOr<bool> IsOurLink(const EngineContext& engine, const Service& service, const ServiceFile& file);

// Whether any of the service's paths of that certificate is a link into its directory, under whatever name. One that
// can't be looked at counts as such: the service must then be seen to serve what it should.
bool LeadsIntoCertificate(const EngineContext& engine, const Service& service, absl::string_view certificate);

// What a service gets that opens `path`: links are followed, by the rule of FileSystem::OpenDirectory. None: nothing is
// there, or a link that leads nowhere.
struct FoundFile {
  Secret bytes;
  FileAttributes attributes;
};
absl::StatusOr<std::optional<FoundFile>> ReadVisible(FileSystem& files, absl::string_view path);

// The same of a declared file. Where certcast's own link is there, what that must lead to is read, whoever owns the
// directory: some services (PostgreSQL) keep their certificate in one of their own, where links are not followed.
absl::StatusOr<std::optional<FoundFile>> ReadDeclared(const EngineContext& engine, const Service& service,
                                                      const ServiceFile& file);

// Whether the file's path could be replaced, as far as that is told without trying: the directory is there and may be
// written to, and no link leads into another state directory that is there. PERMISSION_DENIED, with a hint, when not.
absl::Status CheckCouldReplace(const EngineContext& engine, const ServiceFile& file);

// Whether it can be: as above, and the directory takes a new name. Makes a temporary link and removes it.
absl::Status CheckCanReplace(const EngineContext& engine, const ServiceFile& file);

}  // namespace certcast::node

#endif  // CERTCAST_NODE_ENGINE_VISIBLE_H_
