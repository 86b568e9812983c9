#include "tests/testing/fault_file_system.h"

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/status/status.h"

namespace certcast::testing {

class FaultDirectory final : public Directory {
 public:
  FaultDirectory(FaultFileSystem& files, std::unique_ptr<Directory> inner) : files_(files), inner_(std::move(inner)) {}

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
    if (decision.verdict == FaultFileSystem::Verdict::kDoHalf) {
      inner_->CreateFile(name, bytes.substr(0, bytes.size() / 2), attributes).IgnoreError();
    }
    RETURN_IF_ERROR(decision.error);
    return inner_->CreateFile(name, bytes, attributes);
  }
  absl::Status OverwriteFile(absl::string_view name, absl::string_view bytes) override {
    const auto decision = Next("OverwriteFile", name);
    if (decision.verdict == FaultFileSystem::Verdict::kDoHalf) {
      inner_->OverwriteFile(name, bytes.substr(0, bytes.size() / 2)).IgnoreError();
    }
    RETURN_IF_ERROR(decision.error);
    return inner_->OverwriteFile(name, bytes);
  }
  absl::StatusOr<std::string> ReadFile(absl::string_view name, size_t limit) override {
    RETURN_IF_ERROR(Next("ReadFile", name).error);
    return inner_->ReadFile(name, limit);
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

FaultFileSystem::Decision FaultFileSystem::Next(std::string operation) {
  const absl::MutexLock lock(&mutex_);
  operations_.push_back(operation);
  const int n = static_cast<int>(operations_.size());
  if (crash_at_ != 0 && n >= crash_at_) {
    const bool is_first = !std::exchange(has_crashed_, true);
    return {.verdict = is_first && in_the_middle_ ? Verdict::kDoHalf : Verdict::kFail,
            .error = Fail(Reason::STORAGE_FAILED, absl::StrCat(operation, ": the process ended here"))};
  }
  if (n == fail_at_) return {.verdict = Verdict::kFail, .error = FailErrno(fail_error_, operation)};
  if (is_hit_ && is_hit_(operation)) return {.verdict = Verdict::kFail, .error = FailErrno(hit_error_, operation)};
  return {};
}

void FaultFileSystem::FailAt(int n, int error) {
  const absl::MutexLock lock(&mutex_);
  fail_at_ = n;
  fail_error_ = error;
}

void FaultFileSystem::FailWhere(std::function<bool(absl::string_view)> is_hit, int error) {
  const absl::MutexLock lock(&mutex_);
  is_hit_ = std::move(is_hit);
  hit_error_ = error;
}

void FaultFileSystem::CrashAt(int n) {
  const absl::MutexLock lock(&mutex_);
  crash_at_ = n;
  in_the_middle_ = false;
}

void FaultFileSystem::CrashInTheMiddleOf(int n) {
  const absl::MutexLock lock(&mutex_);
  crash_at_ = n;
  in_the_middle_ = true;
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

}  // namespace certcast::testing
