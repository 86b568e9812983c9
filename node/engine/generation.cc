#include "node/engine/generation.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "google/protobuf/util/time_util.h"
#include "node/engine/content.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

using Record = GenerationRecord;

constexpr uint32_t kSchema = 1;
constexpr size_t kMaxRecordBytes = size_t{1024} * 1024;

absl::Status WriteFile(Directory& directory, absl::string_view name, const GenerationFile& file) {
  RETURN_IF_ERROR(directory.CreateFile(name, file.bytes->ExposeSecret(), file.attributes));
  ASSIGN_OR_RETURN(const Secret written, ReadSecretFile(directory, name));
  ASSIGN_OR_RETURN(const FileInfo info, directory.Stat(name));
  if (!written.Equals(*file.bytes) || info.attributes != file.attributes) {
    return Fail(Reason::STORAGE_FAILED,
                absl::StrCat(directory.path(), "/", name, " does not read back as it was written"),
                "check the disk (dmesg, smartctl) and what else writes there");
  }
  return absl::OkStatus();
}

absl::Status WriteService(Directory& generation, const std::string& service, const std::vector<GenerationFile>& files) {
  RETURN_IF_ERROR(generation.MakeDirectory(service, DirectoryAttributes()));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, generation.OpenDirectory(service));
  for (const GenerationFile& file : files) {
    if (file.service->name != service || !file.bytes.has_value()) continue;
    RETURN_IF_ERROR(WriteFile(*directory, FileNameOf(*file.service, *file.file), file));
  }
  return directory->Sync();
}

absl::Status CheckFile(Directory& service, const Record::File& file) {
  const absl::StatusOr<Secret> bytes = ReadSecretFile(service, file.name());
  if (!bytes.ok()) return bytes.status();
  if (Sha256Hex(bytes->ExposeSecret()) == file.sha256()) return absl::OkStatus();
  return Fail(Reason::STORAGE_FAILED, absl::StrCat(service.path(), "/", file.name(), " is not what was written there"));
}

// What the record has, under whatever name, as copies at the service's paths.
std::vector<const Record::File*> CopiesOf(const Record& record, const Service& service) {
  std::vector<const Record::File*> copies;
  for (const Record::Service& entry : record.services()) {
    for (const Record::File& file : entry.files()) {
      const bool is_there = std::any_of(service.files.begin(), service.files.end(),
                                        [&](const ServiceFile& declared) { return declared.path == file.path(); });
      if (file.copied() && is_there) copies.push_back(&file);
    }
  }
  return copies;
}

// Whether all that the service reads beside this certificate is there. What can't be looked at counts as there: the
// service's check says more.
bool HasFilesOfOthers(const EngineContext& engine, absl::string_view certificate, const Service& service) {
  for (const ServiceFile& file : service.files) {
    if (service.CertificateOf(file) == certificate) continue;
    const absl::StatusOr<std::optional<FoundFile>> found = ReadDeclared(engine, service, file);
    if (found.ok() && !found->has_value()) return false;
  }
  return true;
}

}  // namespace

FileAttributes AttributesOf(const Record::File& file) {
  return {.mode = file.mode(), .owner = file.owner(), .group = file.group()};
}

Record RecordOf(uint64_t generation, const std::vector<const Service*>& services,
                const std::vector<GenerationFile>& files) {
  Record record;
  record.set_schema(kSchema);
  record.set_generation(generation);
  for (const Service* service : services) {
    Record::Service& entry = *record.add_services();
    entry.set_name(service->name);
    for (const GenerationFile& file : files) {
      if (file.service != service) continue;
      Record::File& in_record = *entry.add_files();
      in_record.set_path(file.file->path);
      in_record.set_name(FileNameOf(*service, *file.file));
      in_record.set_absent(!file.bytes.has_value());
      in_record.set_copied(file.file->install == FileInstall::kCopy);
      if (!file.bytes.has_value()) continue;
      in_record.set_sha256(Sha256Hex(file.bytes->ExposeSecret()));
      in_record.set_mode(file.attributes.mode);
      in_record.set_owner(file.attributes.owner);
      in_record.set_group(file.attributes.group);
    }
  }
  return record;
}

absl::Status WriteGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                             const Record& record, const std::vector<GenerationFile>& files) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> generations,
                   OpenOrMakeDirectory(engine.files(), engine.layout.Generations(certificate), DirectoryAttributes()));
  RETURN_IF_ERROR(generations->MakeDirectory(directory, DirectoryAttributes()));
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> generation, generations->OpenDirectory(directory));
  for (const Record::Service& service : record.services()) {
    RETURN_IF_ERROR(WriteService(*generation, service.name(), files));
  }
  RETURN_IF_ERROR(generation->Sync());
  RETURN_IF_ERROR(generations->Sync());
  return ReplaceFile(*generation, kRecordFile, record.SerializeAsString(), PrivateFileAttributes());
}

absl::StatusOr<Record> ReadRecord(const EngineContext& engine, absl::string_view certificate,
                                  absl::string_view directory) {
  const std::string path = engine.layout.Generation(certificate, directory);
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> generation, engine.files().OpenDirectory(path));
  ASSIGN_OR_RETURN(const std::string bytes, generation->ReadFile(kRecordFile, kMaxRecordBytes));
  Record record;
  if (!record.ParseFromString(bytes) || record.schema() == 0 || record.schema() > kSchema) {
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(path, "/", kRecordFile, " can't be read"),
                "written by a newer certcast-node? Install that version again; changed by hand? Remove it: the next "
                "install then "
                "takes in what services read");
  }
  return record;
}

absl::Status CheckGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                             const Record& record) {
  const std::string path = engine.layout.Generation(certificate, directory);
  ASSIGN_OR_RETURN(const std::unique_ptr<Directory> generation, engine.files().OpenDirectory(path));
  for (const Record::Service& service : record.services()) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Directory> of_service, generation->OpenDirectory(service.name()));
    for (const Record::File& file : service.files()) {
      if (!file.absent()) RETURN_IF_ERROR(CheckFile(*of_service, file));
    }
  }
  return absl::OkStatus();
}

bool HasAttributesOfRecord(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                           const Record& record) {
  const std::string path = engine.layout.Generation(certificate, directory);
  for (const Record::Service& service : record.services()) {
    const auto of_service = engine.files().OpenDirectory(absl::StrCat(path, "/", service.name()));
    if (!of_service.ok()) return false;
    for (const Record::File& file : service.files()) {
      if (file.absent()) continue;
      const absl::StatusOr<FileInfo> info = (*of_service)->Stat(file.name());
      if (!info.ok() || info->attributes != AttributesOf(file)) return false;
    }
  }
  return true;
}

absl::StatusOr<std::vector<std::string>> ListGenerations(const EngineContext& engine, absl::string_view certificate) {
  const auto generations = engine.files().OpenDirectory(engine.layout.Generations(certificate));
  if (absl::IsNotFound(generations.status())) return std::vector<std::string>();
  if (!generations.ok()) return generations.status();
  ASSIGN_OR_RETURN(std::vector<std::string> names, (*generations)->List());
  names.erase(std::remove_if(names.begin(), names.end(),
                             [](const std::string& name) { return !ParseGenerationDirectoryName(name).has_value(); }),
              names.end());
  return names;
}

absl::StatusOr<std::string> NewDirectoryName(const EngineContext& engine, absl::string_view certificate,
                                             uint64_t generation, absl::string_view taken) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListGenerations(engine, certificate));
  for (uint64_t copy = 0;; ++copy) {
    std::string name = GenerationDirectoryName(generation, copy);
    if (name != taken && std::find(names.begin(), names.end(), name) == names.end()) return name;
  }
}

absl::Status RemoveGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory) {
  const auto generations = engine.files().OpenDirectory(engine.layout.Generations(certificate));
  if (absl::IsNotFound(generations.status())) return absl::OkStatus();
  if (!generations.ok()) return generations.status();
  RETURN_IF_ERROR(RemoveTree(**generations, directory));
  return (*generations)->Sync();
}

GenerationOnDisk OnDisk(const Record& record, absl::string_view directory) {
  GenerationOnDisk generation;
  generation.set_generation(record.generation());
  generation.set_directory(std::string(directory));
  for (const Record::Service& service : record.services()) {
    if (service.leaf_sha256().empty()) continue;
    generation.set_leaf_sha256(service.leaf_sha256());
    *generation.mutable_not_after() = service.not_after();
    break;
  }
  return generation;
}

std::string LeafOf(const Record& record, const Service& service) {
  for (const Record::Service& entry : record.services()) {
    if (entry.name() == service.name) return entry.leaf_sha256();
  }
  return OnDisk(record, "").leaf_sha256();
}

std::vector<std::string> ChainOf(const Record& record, const Service& service) {
  for (const Record::Service& entry : record.services()) {
    if (entry.name() == service.name) return {entry.chain_sha256().begin(), entry.chain_sha256().end()};
  }
  return {};
}

Concern ConcernOf(const EngineContext& engine, absl::string_view certificate, const Record& record,
                  const Service& service) {
  if (!HasFilesOfOthers(engine, certificate, service)) return Concern::kNone;
  for (const Record::Service& entry : record.services()) {
    if (entry.name() != service.name || entry.files().empty()) continue;
    const bool absent =
        std::all_of(entry.files().begin(), entry.files().end(), [](const Record::File& file) { return file.absent(); });
    return absent ? Concern::kLeftWithout : Concern::kServesIt;
  }
  const std::vector<const Record::File*> copies = CopiesOf(record, service);
  const bool absent =
      std::all_of(copies.begin(), copies.end(), [](const Record::File* file) { return file->absent(); });
  if (!copies.empty()) return absent ? Concern::kLeftWithout : Concern::kServesIt;
  return LeadsIntoCertificate(engine, service, certificate) ? Concern::kServesIt : Concern::kNone;
}

absl::Status CheckNotExpired(const Record& record, absl::Time now) {
  absl::Status expired;
  for (const Record::Service& service : record.services()) {
    if (service.leaf_sha256().empty()) continue;
    const absl::Time end =
        absl::FromUnixSeconds(google::protobuf::util::TimeUtil::TimestampToSeconds(service.not_after()));
    if (now < end) return absl::OkStatus();
    if (!expired.ok()) continue;
    expired = Fail(Reason::EXPIRED,
                   absl::StrCat("the certificate of generation ", record.generation(), " for service ", service.name(),
                                " expired at ", absl::FormatTime(absl::RFC3339_sec, end, absl::UTCTimeZone())));
  }
  return expired;
}

}  // namespace certcast::node
