#include "node/engine/drift.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/x509/digest.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

using Record = GenerationRecord;

const Record::File* FindFile(const Record& record, const Service& service, absl::string_view path) {
  for (const Record::Service& entry : record.services()) {
    if (entry.name() != service.name) continue;
    for (const Record::File& file : entry.files()) {
      if (file.path() == path) return &file;
    }
  }
  return nullptr;
}

std::string DescribeAttributes(const FileAttributes& now, const Record::File& file) {
  std::vector<std::string> differences;
  if (now.mode != file.mode()) differences.push_back(absl::StrFormat("mode %04o, not %04o", now.mode, file.mode()));
  if (now.owner != file.owner()) differences.push_back(absl::StrCat("owner ", now.owner, ", not ", file.owner()));
  if (now.group != file.group()) differences.push_back(absl::StrCat("group ", now.group, ", not ", file.group()));
  return absl::StrJoin(differences, "; ");
}

// Empty: as installed.
std::string DriftOfFile(const EngineContext& engine, const Service& service, const ServiceFile& declared,
                        const Record* record) {
  const Record::File* file = FindFile(*record, service, declared.path);
  if (file == nullptr) return "not installed yet";
  const absl::StatusOr<VisiblePath> at = LookAt(engine.files(), declared.path);
  if (!at.ok()) return std::string(at.status().message());
  const bool is_copy = declared.install == FileInstall::kCopy;
  if (file->absent()) {
    // Taken in as absent; its link goes when nothing else was installed since.
    const bool as_it_was = is_copy ? at->kind == VisiblePath::Kind::kAbsent : at->kind != VisiblePath::Kind::kFile;
    return as_it_was ? ""
                     : absl::StrCat("there is a ", at->kind == VisiblePath::Kind::kFile ? "file" : "link",
                                    " now, and was none");
  }
  switch (at->kind) {
    case VisiblePath::Kind::kAbsent:
      return "is gone";
    case VisiblePath::Kind::kFile:
      if (!is_copy) return "is a file of its own now, not certcast's link";
      break;
    case VisiblePath::Kind::kLink:
      if (is_copy) return absl::StrCat("is a link to ", at->target, ", not a copy (install: copy)");
      if (at->target != engine.layout.LinkTarget(service, declared)) {
        return absl::StrCat("links to ", at->target, " now");
      }
      break;
  }
  const absl::StatusOr<std::optional<FoundFile>> found = ReadDeclared(engine, service, declared);
  if (!found.ok()) return std::string(found.status().message());
  if (!found->has_value()) return "links to nothing: the file behind it is gone";
  if (Sha256Hex((*found)->bytes.ExposeSecret()) != file->sha256()) return "has other contents than were installed";
  return DescribeAttributes((*found)->attributes, *file);
}

}  // namespace

std::vector<std::string> FindDrift(const EngineContext& engine, const Service& service, absl::string_view certificate,
                                   const Record& record) {
  std::vector<std::string> lines;
  for (const ServiceFile* file : service.FilesOf(certificate)) {
    const std::string drift = DriftOfFile(engine, service, *file, &record);
    if (!drift.empty()) lines.push_back(absl::StrCat(file->path, ": ", drift));
  }
  return lines;
}

}  // namespace certcast::node
