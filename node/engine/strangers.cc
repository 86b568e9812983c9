#include "node/engine/strangers.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/file/file_system.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

struct Trusted {
  std::set<uid_t> owners;
  // Of the service alone.
  std::set<gid_t> own_groups;
  std::set<gid_t> groups;
};

Trusted TrustedBy(const Service& service, const GenerationRecord& record) {
  Trusted trusted = {.owners = {0, geteuid()}};
  for (const GenerationRecord::Service& entry : record.services()) {
    if (entry.name() != service.name) continue;
    for (const GenerationRecord::File& file : entry.files()) {
      if (file.absent()) continue;
      trusted.owners.insert(file.owner());
      if (file.group() != 0 && file.group() != getegid()) trusted.own_groups.insert(file.group());
    }
  }
  trusted.groups = trusted.own_groups;
  trusted.groups.insert({0, getegid()});
  return trusted;
}

absl::Status Stranger(absl::string_view directory, absl::string_view path, absl::string_view who,
                      absl::string_view hint) {
  return Fail(Reason::PERMISSION_DENIED,
              absl::StrCat(directory, " ", who, ", who could put another file or link at ", path), hint);
}

}  // namespace

absl::Status CheckNoStranger(const EngineContext& engine, absl::string_view path, const Service& service,
                             const GenerationRecord& record) {
  ASSIGN_OR_RETURN(const PathParts parts, SplitPath(path));
  const auto directory = engine.files().OpenDirectory(parts.directory);
  if (absl::IsNotFound(directory.status())) return absl::OkStatus();
  if (!directory.ok()) return directory.status();
  ASSIGN_OR_RETURN(const FileInfo info, (*directory)->StatSelf());
  const FileAttributes& found = info.attributes;
  if ((found.mode & S_IWOTH) != 0) {
    return Stranger(parts.directory, path, "may be written to by every user",
                    absl::StrCat("chmod o-w ", parts.directory));
  }
  const Trusted trusted = TrustedBy(service, record);
  if (trusted.owners.count(found.owner) == 0 && trusted.own_groups.count(found.group) == 0) {
    return Stranger(
        parts.directory, path, absl::StrCat("belongs to user ", found.owner),
        absl::StrCat("chown root ", parts.directory, "; or, where it is the service's own user, say so: `owner: \"",
                     found.owner, "\"` for its files in ", engine.config.file()));
  }
  if ((found.mode & S_IWGRP) != 0 && trusted.groups.count(found.group) == 0) {
    return Stranger(
        parts.directory, path, absl::StrCat("may be written to by group ", found.group),
        absl::StrCat("chmod g-w ", parts.directory, "; or, where it is the service's own group, say so: `group: \"",
                     found.group, "\"` for its files in ", engine.config.file()));
  }
  return absl::OkStatus();
}

}  // namespace certcast::node
