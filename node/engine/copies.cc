#include "node/engine/copies.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "node/engine/content.h"

namespace certcast::node {
namespace {

using Record = GenerationRecord;

constexpr size_t kNameDigits = 16;

// Named as atomic.h names its own, so that RemoveTemporaries takes it away after a crash.
std::string PreparedName(absl::string_view certificate, absl::string_view path, absl::string_view generation) {
  return absl::StrCat(".certcast-",
                      Sha256Hex(absl::StrCat(certificate, "\n", path, "\n", generation)).substr(0, kNameDigits));
}

bool IsCopyIn(const Record& record) {
  return std::any_of(record.services().begin(), record.services().end(), [](const Record::Service& service) {
    return std::any_of(service.files().begin(), service.files().end(),
                       [](const Record::File& file) { return file.copied(); });
  });
}

const Record::File* FindCopy(const Record& record, const std::string& path) {
  for (const Record::Service& service : record.services()) {
    for (const Record::File& file : service.files()) {
      if (file.copied() && file.path() == path) return &file;
    }
  }
  return nullptr;
}

bool AreTheSame(const Record::File& one, const Record::File& other) {
  return one.absent() == other.absent() && one.sha256() == other.sha256() && AttributesOf(one) == AttributesOf(other);
}

struct Found {
  std::string sha256;
  FileAttributes attributes;
};

// None: no regular file.
absl::StatusOr<std::optional<Found>> LookFor(Directory& directory, absl::string_view name) {
  const absl::StatusOr<FileInfo> info = directory.Stat(name);
  if (absl::IsNotFound(info.status())) return std::optional<Found>();
  if (!info.ok()) return info.status();
  if (info->kind != FileInfo::Kind::kFile) return std::optional<Found>();
  ASSIGN_OR_RETURN(const Secret bytes, ReadSecretFile(directory, name));
  return std::make_optional(Found{Sha256Hex(bytes.ExposeSecret()), info->attributes});
}

// What can't be read is not.
bool Holds(Directory& directory, absl::string_view name, absl::string_view sha256, const FileAttributes& attributes) {
  const absl::StatusOr<std::optional<Found>> found = LookFor(directory, name);
  return found.ok() && found->has_value() && (*found)->sha256 == sha256 && (*found)->attributes == attributes;
}

absl::Status RemoveIfThere(Directory& directory, absl::string_view name) {
  absl::Status removed = directory.Remove(name);
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

// None: there is none, or no directory is named.
absl::StatusOr<std::optional<Record>> ReadRecordIfThere(const EngineContext& engine, absl::string_view certificate,
                                                        absl::string_view directory) {
  if (directory.empty()) return std::optional<Record>();
  absl::StatusOr<Record> record = ReadRecord(engine, certificate, directory);
  if (absl::IsNotFound(record.status())) return std::optional<Record>();
  if (!record.ok()) return record.status();
  return std::make_optional(*std::move(record));
}

}  // namespace

class CopyPlan {
 public:
  CopyPlan(const EngineContext& engine, absl::string_view certificate, absl::string_view directory, const Record& to,
           const Record* leaving)
      : engine_(engine), certificate_(certificate), directory_(directory), to_(to), leaving_(leaving) {}

  absl::StatusOr<Copies> Make() {
    for (const Record::Service& service : to_.services()) {
      for (const Record::File& file : service.files()) {
        if (!file.copied()) continue;
        RETURN_IF_ERROR(Annotate(Add(service, file), file.path()));
      }
    }
    return std::move(copies_);
  }

  static absl::Status Prepare(Copies& copies) {
    for (const Copies::Copy& copy : copies.copies_) {
      if (copy.never_changes || !copy.bytes.has_value()) continue;
      RETURN_IF_ERROR(RemoveIfThere(*copy.directory, copy.prepared));
      RETURN_IF_ERROR(copy.directory->CreateFile(copy.prepared, copy.bytes->ExposeSecret(), copy.attributes));
    }
    return absl::OkStatus();
  }

 private:
  // Null: it is gone.
  absl::StatusOr<Directory*> Open(const std::string& path) {
    auto& known = copies_.directories_[path];
    if (known != nullptr) return known.get();
    auto opened = engine_.files().OpenDirectory(path);
    if (absl::IsNotFound(opened.status())) {
      copies_.directories_.erase(path);
      return nullptr;
    }
    if (!opened.ok()) return opened.status();
    known = *std::move(opened);
    return known.get();
  }

  absl::Status Add(const Record::Service& service, const Record::File& file) {
    const Record::File* const left = leaving_ == nullptr ? nullptr : FindCopy(*leaving_, file.path());
    if (left == nullptr && (leaving_ != nullptr || file.absent())) return absl::OkStatus();
    ASSIGN_OR_RETURN(const PathParts parts, SplitPath(file.path()));
    ASSIGN_OR_RETURN(Directory* const directory, Open(parts.directory));
    if (directory == nullptr) return absl::OkStatus();
    Copies::Copy copy;
    copy.directory = directory;
    copy.name = parts.name;
    if (file.absent()) {
      ASSIGN_OR_RETURN(const std::optional<Found> found, LookFor(*directory, parts.name));
      copy.in_place = !found.has_value() || left->absent() || found->sha256 != left->sha256();
    } else {
      ASSIGN_OR_RETURN(const std::unique_ptr<Directory> source,
                       engine_.files().OpenDirectory(
                           absl::StrCat(engine_.layout.Generation(certificate_, directory_), "/", service.name())));
      ASSIGN_OR_RETURN(copy.bytes, ReadSecretFile(*source, file.name()));
      copy.attributes = AttributesOf(file);
      copy.sha256 = file.sha256();
      copy.prepared = PreparedName(certificate_, file.path(), directory_);
      copy.in_place = Holds(*directory, copy.name, copy.sha256, copy.attributes);
      copy.never_changes = left != nullptr && AreTheSame(file, *left);
    }
    copies_.copies_.push_back(std::move(copy));
    return absl::OkStatus();
  }

  const EngineContext& engine_;
  const absl::string_view certificate_;
  const absl::string_view directory_;
  const Record& to_;
  const Record* const leaving_;
  Copies copies_;
};

absl::Status Copies::Place() {
  absl::Status first;
  for (const Copy& copy : copies_) {
    if (copy.in_place) continue;
    if (!copy.bytes.has_value()) {
      absl::Status removed = RemoveIfThere(*copy.directory, copy.name);
      if (!removed.ok()) removed = RemoveIfThere(*copy.directory, copy.name);
      first = KeepFirst(std::move(first), std::move(removed));
      continue;
    }
    if (Holds(*copy.directory, copy.prepared, copy.sha256, copy.attributes) &&
        copy.directory->Rename(copy.prepared, copy.name).ok()) {
      continue;
    }
    first = KeepFirst(std::move(first),
                      ReplaceFile(*copy.directory, copy.name, copy.bytes->ExposeSecret(), copy.attributes));
  }
  // Also of what is in place: its rename may have been done before, and the fsync not.
  for (const auto& [path, directory] : directories_) first = KeepFirst(std::move(first), directory->Sync());
  return first;
}

absl::StatusOr<Copies> PlanCopies(const EngineContext& engine, absl::string_view certificate,
                                  absl::string_view directory, const GenerationRecord& to, absl::string_view leaving) {
  if (!IsCopyIn(to)) return Copies();
  ASSIGN_OR_RETURN(const std::optional<Record> left, ReadRecordIfThere(engine, certificate, leaving));
  return CopyPlan(engine, certificate, directory, to, left.has_value() ? &*left : nullptr).Make();
}

absl::StatusOr<Copies> PrepareCopies(const EngineContext& engine, absl::string_view certificate,
                                     absl::string_view directory, const GenerationRecord& to,
                                     absl::string_view leaving) {
  if (!IsCopyIn(to)) return Copies();
  ASSIGN_OR_RETURN(const Record left, ReadRecord(engine, certificate, leaving));
  ASSIGN_OR_RETURN(Copies back, CopyPlan(engine, certificate, leaving, left, &to).Make());
  RETURN_IF_ERROR(CopyPlan::Prepare(back));
  ASSIGN_OR_RETURN(Copies forward, CopyPlan(engine, certificate, directory, to, &left).Make());
  RETURN_IF_ERROR(CopyPlan::Prepare(forward));
  return forward;
}

absl::Status RemovePreparedCopies(const EngineContext& engine, absl::string_view certificate,
                                  absl::string_view directory, absl::string_view leaving) {
  ASSIGN_OR_RETURN(const std::optional<Record> record, ReadRecordIfThere(engine, certificate, leaving));
  if (!record.has_value()) return absl::OkStatus();
  for (const Record::Service& service : record->services()) {
    for (const Record::File& file : service.files()) {
      if (!file.copied()) continue;
      ASSIGN_OR_RETURN(const PathParts parts, SplitPath(file.path()));
      const auto beside = engine.files().OpenDirectory(parts.directory);
      if (absl::IsNotFound(beside.status())) continue;
      if (!beside.ok()) return beside.status();
      for (const absl::string_view generation : {directory, leaving}) {
        RETURN_IF_ERROR(RemoveIfThere(**beside, PreparedName(certificate, file.path(), generation)));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace certcast::node
