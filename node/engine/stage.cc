#include "node/engine/stage.h"

#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/accounts.h"
#include "common/status/status.h"
#include "google/protobuf/util/time_util.h"
#include "node/engine/content.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

absl::StatusOr<FileAttributes> AttributesOf(const EngineContext& engine, const Service& service,
                                            const ServiceFile& file) {
  FileAttributes attributes = {.mode = file.mode, .owner = geteuid(), .group = getegid()};
  const std::string whose = absl::StrCat("service ", service.name, ", ", file.path);
  if (!file.owner.empty()) {
    const auto owner = FindUser(engine.files(), file.owner, *engine.environment.processes);
    if (!owner.ok()) return WithReason(Annotate(owner.status(), whose), Reason::PERMISSION_DENIED);
    attributes.owner = *owner;
  }
  if (!file.group.empty()) {
    const auto group = FindGroup(engine.files(), file.group, *engine.environment.processes);
    if (!group.ok()) return WithReason(Annotate(group.status(), whose), Reason::PERMISSION_DENIED);
    attributes.group = *group;
  }
  return attributes;
}

// Where what is there says the same, its very bytes, so that the same bundle again is seen to be in place.
absl::StatusOr<Secret> BytesOf(const EngineContext& engine, const Service& service, const ServiceFile& file,
                               const VerifiedBundle& bundle) {
  if (file.content == FileContent::kPkcs12) {
    absl::StatusOr<std::optional<FoundFile>> found = ReadDeclared(engine, service, file);
    if (found.ok() && found->has_value() && SaysTheSame(file, bundle, (*found)->bytes.ExposeSecret())) {
      return std::move((*found)->bytes);
    }
  }
  absl::StatusOr<Secret> bytes = RenderFile(file, bundle);
  if (bytes.ok()) return bytes;
  return Annotate(bytes.status(), absl::StrCat("service ", service.name, ", ", file.path));
}

}  // namespace

absl::StatusOr<StagedGeneration> PlanGeneration(const EngineContext& engine,
                                                const std::vector<const Service*>& services,
                                                const VerifiedBundle& bundle) {
  StagedGeneration generation;
  for (const Service* service : services) {
    for (const ServiceFile* file : service->FilesOf(bundle.manifest.certificate())) {
      ASSIGN_OR_RETURN(const FileAttributes attributes, AttributesOf(engine, *service, *file));
      ASSIGN_OR_RETURN(Secret bytes, BytesOf(engine, *service, *file, bundle));
      generation.files.push_back({service, file, std::move(bytes), attributes});
    }
  }
  generation.record = RecordOf(bundle.manifest.generation(), services, generation.files);
  const Certificate& leaf = bundle.chain.front();
  for (GenerationRecord::Service& service : *generation.record.mutable_services()) {
    service.set_leaf_sha256(leaf.sha256());
    for (const Certificate& certificate : bundle.chain) service.add_chain_sha256(certificate.sha256());
    *service.mutable_not_after() =
        google::protobuf::util::TimeUtil::SecondsToTimestamp(absl::ToUnixSeconds(leaf.not_after()));
  }
  return generation;
}

absl::Status StageGeneration(const EngineContext& engine, absl::string_view certificate, absl::string_view directory,
                             const StagedGeneration& generation) {
  return WriteGeneration(engine, certificate, directory, generation.record, generation.files);
}

}  // namespace certcast::node
