#include "tests/testing/fault_file_system.h"

#include <algorithm>
#include <cerrno>
#include <initializer_list>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::testing {
namespace {

constexpr size_t kSector = 512;

bool IsOneOf(absl::string_view operation, std::initializer_list<absl::string_view> calls) {
  const absl::string_view call = operation.substr(0, operation.find(' '));
  return std::find(calls.begin(), calls.end(), call) != calls.end();
}

}  // namespace

bool ChangesDisk(absl::string_view operation) {
  return IsOneOf(operation,
                 {"MakeDirectory", "CreateFile", "OverwriteFile", "MakeLink", "Rename", "Remove", "RemoveDirectory"});
}

bool TakesDescriptor(absl::string_view operation) {
  return IsOneOf(operation, {"OpenDirectory", "MakeDirectory", "CreateFile", "OverwriteFile", "ReadFile", "ReadStart",
                             "ReadSecret", "List"});
}

class FaultFileSystem::Tear {
 public:
  static std::shared_ptr<Tear> FirstHalf() { return std::make_shared<Tear>(2, std::nullopt); }
  static std::shared_ptr<Tear> Whole() { return std::make_shared<Tear>(1, std::nullopt); }
  static std::shared_ptr<Tear> Sectors(uint64_t seed) { return std::make_shared<Tear>(1, seed); }

  // Without a seed: the first of `parts`.
  Tear(size_t parts, std::optional<uint64_t> seed)
      : parts_(parts), dice_(seed.value_or(0)), has_seed_(seed.has_value()) {}

  // What a new file holds.
  std::string OfNew(absl::string_view bytes) {
    if (!has_seed_) return std::string(bytes.substr(0, bytes.size() / parts_));
    std::string torn = Over(std::string(bytes.size(), '\0'), bytes);
    torn.resize(dice_() % (bytes.size() + 1));
    return torn;
  }

  // What is in the place of `bytes`, where `old` was.
  std::string Over(std::string old, absl::string_view bytes) {
    if (!has_seed_) return std::string(bytes.substr(0, bytes.size() / parts_));
    for (size_t at = 0; at < bytes.size(); at += kSector) {
      if ((dice_() & 1) != 0) old.replace(at, kSector, std::string(bytes.substr(at, kSector)));
    }
    return old;
  }

 private:
  const size_t parts_;
  std::mt19937_64 dice_;
  const bool has_seed_;
};

class FaultDirectory final : public Directory {
 public:
  FaultDirectory(FaultFileSystem& files, std::unique_ptr<Directory> inner) : files_(files), inner_(std::move(inner)) {
    files_.NoteOpen(1);
  }
  ~FaultDirectory() override { files_.NoteOpen(-1); }

  const std::string& path() const override { return inner_->path(); }

  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view name) override {
    RETURN_IF_ERROR(Next("OpenDirectory", name).error);
    ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, inner_->OpenDirectory(name));
    return std::make_unique<FaultDirectory>(files_, std::move(directory));
  }
  absl::Status MakeDirectory(absl::string_view name, const FileAttributes& attributes) override {
    RETURN_IF_ERROR(Next("MakeDirectory", name).error);
    return inner_->MakeDirectory(name, attributes);
  }
  absl::Status CreateFile(absl::string_view name, absl::string_view bytes, const FileAttributes& attributes) override {
    const auto decision = Next("CreateFile", name);
    if (decision.tear != nullptr) inner_->CreateFile(name, decision.tear->OfNew(bytes), attributes).IgnoreError();
    RETURN_IF_ERROR(decision.error);
    return inner_->CreateFile(name, bytes, attributes);
  }
  absl::Status OverwriteFile(absl::string_view name, absl::string_view bytes) override {
    const auto decision = Next("OverwriteFile", name);
    if (decision.tear != nullptr) {
      std::string old = inner_->ReadFile(name, SIZE_MAX).value_or("");
      old.resize(bytes.size());
      inner_->OverwriteFile(name, decision.tear->Over(std::move(old), bytes)).IgnoreError();
    }
    RETURN_IF_ERROR(decision.error);
    return inner_->OverwriteFile(name, bytes);
  }
  absl::StatusOr<std::string> ReadFile(absl::string_view name, size_t limit) override {
    RETURN_IF_ERROR(Next("ReadFile", name).error);
    return inner_->ReadFile(name, limit);
  }
  absl::StatusOr<std::string> ReadStart(absl::string_view name, size_t size, size_t limit) override {
    RETURN_IF_ERROR(Next("ReadStart", name).error);
    return inner_->ReadStart(name, size, limit);
  }
  absl::StatusOr<Secret> ReadSecret(absl::string_view name, size_t limit) override {
    RETURN_IF_ERROR(Next("ReadSecret", name).error);
    return inner_->ReadSecret(name, limit);
  }
  absl::Status MakeLink(absl::string_view name, absl::string_view target) override {
    RETURN_IF_ERROR(Next("MakeLink", name).error);
    return inner_->MakeLink(name, target);
  }
  absl::StatusOr<std::string> ReadLink(absl::string_view name) override {
    RETURN_IF_ERROR(Next("ReadLink", name).error);
    return inner_->ReadLink(name);
  }
  absl::StatusOr<FileInfo> Stat(absl::string_view name) override {
    RETURN_IF_ERROR(Next("Stat", name).error);
    return inner_->Stat(name);
  }
  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    RETURN_IF_ERROR(Next("Rename", absl::StrCat(from, " to ", to)).error);
    return inner_->Rename(from, to);
  }
  absl::Status Remove(absl::string_view name) override {
    RETURN_IF_ERROR(Next("Remove", name).error);
    return inner_->Remove(name);
  }
  absl::Status RemoveDirectory(absl::string_view name) override {
    RETURN_IF_ERROR(Next("RemoveDirectory", name).error);
    return inner_->RemoveDirectory(name);
  }
  absl::StatusOr<std::vector<std::string>> List() override {
    RETURN_IF_ERROR(Next("List").error);
    return inner_->List();
  }
  absl::StatusOr<FileInfo> StatSelf() override {
    RETURN_IF_ERROR(Next("StatSelf").error);
    return inner_->StatSelf();
  }
  absl::StatusOr<uint64_t> FreeBytes() override {
    RETURN_IF_ERROR(Next("FreeBytes").error);
    return inner_->FreeBytes();
  }
  absl::Status CheckWritable() override {
    RETURN_IF_ERROR(Next("CheckWritable").error);
    return inner_->CheckWritable();
  }
  absl::Status Sync() override {
    RETURN_IF_ERROR(Next("Sync").error);
    return inner_->Sync();
  }

 private:
  FaultFileSystem::Decision Next(absl::string_view call) { return files_.Next(absl::StrCat(call, " ", path())); }
  FaultFileSystem::Decision Next(absl::string_view call, absl::string_view name) {
    return files_.Next(absl::StrCat(call, " ", path(), absl::EndsWith(path(), "/") ? "" : "/", name));
  }

  FaultFileSystem& files_;
  const std::unique_ptr<Directory> inner_;
};

absl::StatusOr<std::unique_ptr<Directory>> FaultFileSystem::OpenDirectory(absl::string_view path) {
  RETURN_IF_ERROR(Next(absl::StrCat("OpenDirectory ", path)).error);
  ASSIGN_OR_RETURN(std::unique_ptr<Directory> directory, inner_.OpenDirectory(path));
  return std::make_unique<FaultDirectory>(*this, std::move(directory));
}

FaultFileSystem::Decision FaultFileSystem::Next(const std::string& operation) {
  const absl::MutexLock lock(&mutex_);
  operations_.push_back(operation);
  const int n = static_cast<int>(operations_.size());
  if (crash_at_ != 0 && n >= crash_at_) {
    const bool is_first = !std::exchange(has_crashed_, true);
    return {.tear = is_first ? tear_ : nullptr,
            .error = Fail(Reason::STORAGE_FAILED, absl::StrCat(operation, ": the process ended here"))};
  }
  if (n == fail_at_) return {.tear = fail_tear_, .error = FailErrno(fail_error_, operation)};
  if (n >= hit_from_ && is_hit_ && is_hit_(operation)) return {.error = FailErrno(hit_error_, operation)};
  return {};
}

void FaultFileSystem::NoteOpen(int change) {
  const absl::MutexLock lock(&mutex_);
  open_ += change;
}

void FaultFileSystem::FailAt(int n, int error) {
  const absl::MutexLock lock(&mutex_);
  fail_at_ = n;
  fail_error_ = error;
  fail_tear_ = nullptr;
}

void FaultFileSystem::FailInTheMiddleOf(int n, int error) {
  const absl::MutexLock lock(&mutex_);
  fail_at_ = n;
  fail_error_ = error;
  fail_tear_ = Tear::FirstHalf();
}

void FaultFileSystem::FailAtFsyncOf(int n, int error) {
  const absl::MutexLock lock(&mutex_);
  fail_at_ = n;
  fail_error_ = error;
  fail_tear_ = Tear::Whole();
}

void FaultFileSystem::FailWhere(std::function<bool(absl::string_view)> is_hit, int error) {
  FailFrom(0, std::move(is_hit), error);
}

void FaultFileSystem::FailFrom(int n, std::function<bool(absl::string_view)> is_hit, int error) {
  const absl::MutexLock lock(&mutex_);
  hit_from_ = n;
  is_hit_ = std::move(is_hit);
  hit_error_ = error;
}

void FaultFileSystem::CrashAt(int n) {
  const absl::MutexLock lock(&mutex_);
  crash_at_ = n;
  tear_ = nullptr;
}

void FaultFileSystem::CrashInTheMiddleOf(int n) {
  const absl::MutexLock lock(&mutex_);
  crash_at_ = n;
  tear_ = Tear::FirstHalf();
}

void FaultFileSystem::CrashInTheMiddleOf(int n, uint64_t seed) {
  const absl::MutexLock lock(&mutex_);
  crash_at_ = n;
  tear_ = Tear::Sectors(seed);
}

void FaultFileSystem::Heal() {
  const absl::MutexLock lock(&mutex_);
  fail_at_ = 0;
  is_hit_ = nullptr;
  crash_at_ = 0;
  has_crashed_ = false;
}

int FaultFileSystem::count() const {
  const absl::MutexLock lock(&mutex_);
  return static_cast<int>(operations_.size());
}

std::vector<std::string> FaultFileSystem::operations() const {
  const absl::MutexLock lock(&mutex_);
  return operations_;
}

bool FaultFileSystem::has_crashed() const {
  const absl::MutexLock lock(&mutex_);
  return has_crashed_;
}

int FaultFileSystem::open_directories() const {
  const absl::MutexLock lock(&mutex_);
  return open_;
}

}  // namespace certcast::testing
