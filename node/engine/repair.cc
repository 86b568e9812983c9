#include "node/engine/repair.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/file/atomic.h"
#include "common/status/status.h"
#include "common/x509/digest.h"
#include "node/engine/activate.h"
#include "node/engine/content.h"
#include "node/engine/generation.h"
#include "node/engine/strangers.h"
#include "node/engine/visible.h"

namespace certcast::node {
namespace {

// Of one certificate.
class Repair {
 public:
  Repair(const EngineContext& engine, const NodeState::Certificate& certificate, GenerationRecord record)
      : engine_(engine),
        certificate_(certificate.name()),
        directory_(certificate.in_force().directory()),
        record_(std::move(record)) {}

  // Adds to `recovery`.
  void Run(Recovery& recovery) {
    const absl::StatusOr<std::string> current = CurrentDirectory(engine_, certificate_);
    if (!current.ok() || (!current->empty() && *current != directory_)) return;
    if (current->empty()) {
      const std::string path = absl::StrCat(engine_.layout.Certificate(certificate_), "/", kCurrentLink);
      Note(recovery, path, SwitchBack(engine_, certificate_, directory_));
    }
    for (const Service* service : engine_.ServicesOf(certificate_)) {
      for (const ServiceFile& file : service->files) {
        const GenerationRecord::File* const installed = Find(*service, file);
        if (installed == nullptr || installed->absent()) continue;
        if (installed->copied() != (file.install == FileInstall::kCopy)) continue;
        const absl::StatusOr<VisiblePath> found = LookAt(engine_.files(), file.path);
        if (!found.ok() || found->kind != VisiblePath::Kind::kAbsent) continue;
        Note(recovery, file.path, PutBack(*service, file, *installed));
      }
    }
  }

 private:
  const GenerationRecord::File* Find(const Service& service, const ServiceFile& file) const {
    for (const GenerationRecord::Service& entry : record_.services()) {
      if (entry.name() != service.name) continue;
      for (const GenerationRecord::File& installed : entry.files()) {
        if (installed.path() == file.path) return &installed;
      }
    }
    return nullptr;
  }

  absl::Status PutBack(const Service& service, const ServiceFile& file, const GenerationRecord::File& installed) {
    RETURN_IF_ERROR(CheckNoStranger(engine_, file.path, service, record_));
    ASSIGN_OR_RETURN(const PathParts parts, SplitPath(file.path));
    ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, engine_.files().OpenDirectory(parts.directory));
    ASSIGN_OR_RETURN(const Secret bytes, ReadInstalled(service, installed));
    if (!installed.copied()) return ReplaceLink(*directory, parts.name, engine_.layout.LinkTarget(service, file));
    return ReplaceFile(*directory, parts.name, bytes.ExposeSecret(),
                       {.mode = installed.mode(), .owner = installed.owner(), .group = installed.group()});
  }

  absl::StatusOr<Secret> ReadInstalled(const Service& service, const GenerationRecord::File& installed) {
    const std::string path = absl::StrCat(engine_.layout.Generation(certificate_, directory_), "/", service.name);
    ASSIGN_OR_RETURN(const std::unique_ptr<Directory> directory, engine_.files().OpenDirectory(path));
    ASSIGN_OR_RETURN(Secret bytes, ReadSecretFile(*directory, installed.name()));
    if (Sha256Hex(bytes.ExposeSecret()) == installed.sha256()) return bytes;
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(path, "/", installed.name(), " is not what was written there"));
  }

  static void Note(Recovery& recovery, absl::string_view path, const absl::Status& done) {
    if (done.ok()) return recovery.Add(absl::StrCat("put back ", path, ", which was gone"));
    recovery.Add(absl::StrCat(path, " is gone and can't be put back: ", done.message()),
                 WithHint(Fail(ReasonOf(done), absl::StrCat(path, " is gone")), FailureOf(done).hint()));
  }

  const EngineContext& engine_;
  const std::string certificate_;
  const std::string directory_;
  const GenerationRecord record_;
};

}  // namespace

Recovery PutBackWhatIsGone(const EngineContext& engine) {
  Recovery recovery;
  if (engine.journal->Get().step() != Journal::IDLE) return recovery;
  for (const NodeState::Certificate& certificate : engine.state->Certificates()) {
    const std::string& directory = certificate.in_force().directory();
    if (directory.empty() || engine.ServicesOf(certificate.name()).empty()) continue;
    // One that can't be read is drift, and no reason not to start.
    absl::StatusOr<GenerationRecord> record = ReadRecord(engine, certificate.name(), directory);
    if (!record.ok()) continue;
    Repair(engine, certificate, *std::move(record)).Run(recovery);
  }
  return recovery;
}

}  // namespace certcast::node
