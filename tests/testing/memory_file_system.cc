#include "tests/testing/memory_file_system.h"

#include <unistd.h>

#include <cerrno>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"

namespace certcast::testing {

struct MemoryFileSystem::Node {
  using Entries = std::map<std::string, NodePtr>;
  // One change of a directory: what each of the names is from then on; nullptr: nothing. Kept or lost as a whole.
  using Change = std::map<std::string, NodePtr>;

  FileInfo::Kind kind;
  FileAttributes attributes;
  // A file's contents or a link's target.
  std::string bytes;

  // Of a directory: as it is seen, as it is on the disk, and what is between.
  Entries entries;
  Entries durable;
  std::vector<Change> unsynced;
  // Removed while somebody has it open.
  bool is_gone = false;

  FileInfo Info() const { return {.kind = kind, .attributes = attributes, .size = bytes.size()}; }

  static void Apply(const Change& change, Entries& entries) {
    for (const auto& [name, node] : change) {
      if (node == nullptr) {
        entries.erase(name);
      } else {
        entries[name] = node;
      }
    }
  }
  void Make(Change change) {
    Apply(change, entries);
    unsynced.push_back(std::move(change));
  }
  void Sync() {
    durable = entries;
    unsynced.clear();
  }
  int CountUnsynced() const {
    int count = static_cast<int>(unsynced.size());
    for (const auto& [name, node] : entries) count += node->CountUnsynced();
    return count;
  }
  // `is_kept` is asked for each change, oldest first.
  void LosePower(const std::function<bool()>& is_kept) {
    for (const Change& change : unsynced) {
      if (is_kept()) Apply(change, durable);
    }
    unsynced.clear();
    entries = durable;
    is_gone = false;
    for (const auto& [name, node] : entries) node->LosePower(is_kept);
  }
};

namespace {

constexpr int kMaxLinks = 40;
constexpr FileAttributes DirectoryDefaults() {
  return {.mode = 0755};
}

FileAttributes OfThisUser(FileAttributes attributes) {
  attributes.owner = geteuid();
  attributes.group = getegid();
  return attributes;
}

}  // namespace

class MemoryDirectory final : public Directory {
 public:
  using Node = MemoryFileSystem::Node;
  using NodePtr = MemoryFileSystem::NodePtr;

  MemoryDirectory(MemoryFileSystem& files, NodePtr node, std::string path, int life)
      : files_(files), node_(std::move(node)), path_(std::move(path)), life_(life) {}

  const std::string& path() const override { return path_; }

  absl::StatusOr<std::unique_ptr<Directory>> OpenDirectory(absl::string_view name) override {
    const absl::MutexLock lock(&files_.mutex_);
    ASSIGN_OR_RETURN(const NodePtr node, Find(name, "opening the directory"));
    if (node->kind == FileInfo::Kind::kLink) return LinkInTheWay(name);
    if (node->kind != FileInfo::Kind::kDirectory) return Error(ENOTDIR, "opening the directory", name);
    return std::make_unique<MemoryDirectory>(files_, node, PathOf(name), life_);
  }

  absl::Status MakeDirectory(absl::string_view name, const FileAttributes& attributes) override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckFree(name, "making the directory"));
    Add(name, {.kind = FileInfo::Kind::kDirectory, .attributes = attributes});
    return absl::OkStatus();
  }

  absl::Status CreateFile(absl::string_view name, absl::string_view bytes, const FileAttributes& attributes) override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckFree(name, "creating"));
    const absl::string_view fits = bytes.substr(0, files_.FreeBytes());
    Add(name, {.kind = FileInfo::Kind::kFile, .attributes = attributes, .bytes = std::string(fits)});
    return fits.size() < bytes.size() ? Error(ENOSPC, "writing", name) : absl::OkStatus();
  }

  absl::Status OverwriteFile(absl::string_view name, absl::string_view bytes) override {
    const absl::MutexLock lock(&files_.mutex_);
    ASSIGN_OR_RETURN(const NodePtr node, FindFile(name));
    if (node->bytes.size() < bytes.size()) {
      return Fail(Reason::STORAGE_FAILED, absl::StrCat(PathOf(name), " is smaller than what is to be written over it"));
    }
    node->bytes.replace(0, bytes.size(), std::string(bytes));
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadFile(absl::string_view name, size_t limit) override {
    const absl::MutexLock lock(&files_.mutex_);
    ASSIGN_OR_RETURN(const NodePtr node, FindFile(name));
    if (node->bytes.size() > limit) {
      return Fail(Reason::MALFORMED, absl::StrCat(PathOf(name), " has ", node->bytes.size(), " bytes, more than the ",
                                                  limit, " it may have"));
    }
    return node->bytes;
  }

  absl::StatusOr<std::string> ReadStart(absl::string_view name, size_t size, size_t limit) override {
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(name, limit));
    return bytes.substr(0, size);
  }

  absl::StatusOr<Secret> ReadSecret(absl::string_view name, size_t limit) override {
    ASSIGN_OR_RETURN(const std::string bytes, ReadFile(name, limit));
    return Secret(bytes);
  }

  absl::Status MakeLink(absl::string_view name, absl::string_view target) override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckFree(name, "making the link"));
    if (target.empty()) return Error(ENOENT, "making the link", name);
    Add(name, {.kind = FileInfo::Kind::kLink, .attributes = OfThisUser({.mode = 0777}), .bytes = std::string(target)});
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadLink(absl::string_view name) override {
    const absl::MutexLock lock(&files_.mutex_);
    ASSIGN_OR_RETURN(const NodePtr node, Find(name, "reading the link"));
    if (node->kind != FileInfo::Kind::kLink) return Error(EINVAL, "reading the link", name);
    return node->bytes;
  }

  absl::StatusOr<FileInfo> Stat(absl::string_view name) override {
    const absl::MutexLock lock(&files_.mutex_);
    ASSIGN_OR_RETURN(const NodePtr node, Find(name, "looking at"));
    return node->Info();
  }

  absl::Status Rename(absl::string_view from, absl::string_view to) override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckFileName(to));
    ASSIGN_OR_RETURN(const NodePtr node, Find(from, "renaming"));
    const absl::StatusOr<NodePtr> replaced = Find(to, "renaming");
    if (replaced.ok()) {
      if (*replaced == node) return absl::OkStatus();
      const bool is_directory = node->kind == FileInfo::Kind::kDirectory;
      const bool onto_directory = (*replaced)->kind == FileInfo::Kind::kDirectory;
      if (is_directory && !onto_directory) return Error(ENOTDIR, "renaming", from);
      if (!is_directory && onto_directory) return Error(EISDIR, "renaming", from);
      if (onto_directory && !(*replaced)->entries.empty()) return Error(ENOTEMPTY, "renaming", from);
      (*replaced)->is_gone = true;
    }
    node_->Make({{std::string(from), nullptr}, {std::string(to), node}});
    return absl::OkStatus();
  }

  absl::Status Remove(absl::string_view name) override {
    const absl::MutexLock lock(&files_.mutex_);
    ASSIGN_OR_RETURN(const NodePtr node, Find(name, "removing"));
    if (node->kind == FileInfo::Kind::kDirectory) return Error(EISDIR, "removing", name);
    node_->Make({{std::string(name), nullptr}});
    return absl::OkStatus();
  }

  absl::Status RemoveDirectory(absl::string_view name) override {
    const absl::MutexLock lock(&files_.mutex_);
    ASSIGN_OR_RETURN(const NodePtr node, Find(name, "removing"));
    if (node->kind != FileInfo::Kind::kDirectory) return Error(ENOTDIR, "removing", name);
    if (!node->entries.empty()) return Error(ENOTEMPTY, "removing", name);
    node->is_gone = true;
    node_->Make({{std::string(name), nullptr}});
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List() override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    std::vector<std::string> names;
    for (const auto& [name, node] : node_->entries) names.push_back(name);
    return names;
  }

  absl::StatusOr<FileInfo> StatSelf() override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    return node_->Info();
  }

  absl::StatusOr<uint64_t> FreeBytes() override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    return files_.FreeBytes();
  }

  absl::Status CheckWritable() override {
    const absl::MutexLock lock(&files_.mutex_);
    return CheckAlive();
  }

  absl::Status Sync() override {
    const absl::MutexLock lock(&files_.mutex_);
    RETURN_IF_ERROR(CheckAlive());
    node_->Sync();
    return absl::OkStatus();
  }

 private:
  std::string PathOf(absl::string_view name) const {
    return absl::StrCat(path_, absl::EndsWith(path_, "/") ? "" : "/", name);
  }
  absl::Status Error(int error, absl::string_view doing, absl::string_view name) const {
    return FailErrno(error, absl::StrCat(doing, " ", PathOf(name)));
  }
  absl::Status LinkInTheWay(absl::string_view name) const {
    return Fail(Reason::PERMISSION_DENIED, absl::StrCat(PathOf(name), " is a symbolic link where none is expected"));
  }

  absl::Status CheckAlive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_.mutex_) {
    if (life_ == files_.life_) return absl::OkStatus();
    return Fail(Reason::STORAGE_FAILED, absl::StrCat(path_, " was opened by a process that is gone"));
  }

  absl::StatusOr<NodePtr> Find(absl::string_view name, absl::string_view doing) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_.mutex_) {
    RETURN_IF_ERROR(CheckAlive());
    RETURN_IF_ERROR(CheckFileName(name));
    const auto found = node_->entries.find(std::string(name));
    if (found == node_->entries.end()) return Error(ENOENT, doing, name);
    return found->second;
  }

  absl::StatusOr<NodePtr> FindFile(absl::string_view name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_.mutex_) {
    ASSIGN_OR_RETURN(NodePtr node, Find(name, "opening"));
    if (node->kind == FileInfo::Kind::kLink) return LinkInTheWay(name);
    if (node->kind != FileInfo::Kind::kFile) {
      return Fail(Reason::STORAGE_FAILED, absl::StrCat(PathOf(name), " is not a regular file"));
    }
    return node;
  }

  absl::Status CheckFree(absl::string_view name, absl::string_view doing) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_.mutex_) {
    const absl::StatusOr<NodePtr> found = Find(name, doing);
    if (found.ok()) return Error(EEXIST, doing, name);
    if (!absl::IsNotFound(found.status())) return found.status();
    return node_->is_gone ? found.status() : absl::OkStatus();
  }

  void Add(absl::string_view name, Node node) ABSL_EXCLUSIVE_LOCKS_REQUIRED(files_.mutex_) {
    node_->Make({{std::string(name), std::make_shared<Node>(std::move(node))}});
  }

  MemoryFileSystem& files_;
  const NodePtr node_;
  const std::string path_;
  const int life_;
};

MemoryFileSystem::MemoryFileSystem()
    : root_(std::make_shared<Node>(
          Node{.kind = FileInfo::Kind::kDirectory, .attributes = OfThisUser(DirectoryDefaults())})),
      capacity_(std::numeric_limits<uint64_t>::max()) {
}

MemoryFileSystem::~MemoryFileSystem() = default;

absl::StatusOr<std::unique_ptr<Directory>> MemoryFileSystem::OpenDirectory(absl::string_view path) {
  const absl::MutexLock lock(&mutex_);
  const std::string doing = absl::StrCat("opening the directory ", path);
  if (!absl::StartsWith(path, "/")) return FailInput(absl::StrCat("\"", path, "\" is not an absolute path"));
  std::vector<NodePtr> way = {root_};
  std::deque<std::string> rest = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (int links = 0; !rest.empty();) {
    const std::string component = rest.front();
    rest.pop_front();
    if (component == ".") continue;
    if (component == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    const Node& here = *way.back();
    const auto found = here.entries.find(component);
    if (found == here.entries.end()) return FailErrno(ENOENT, doing);
    const NodePtr next = found->second;
    if (next->kind == FileInfo::Kind::kFile) return FailErrno(ENOTDIR, doing);
    if (next->kind == FileInfo::Kind::kDirectory) {
      way.push_back(next);
      continue;
    }
    if (!IsTrustedOwner(next->attributes.owner) || !IsTrustedOwner(here.attributes.owner)) {
      return Fail(Reason::PERMISSION_DENIED, absl::StrCat(doing, ": \"", component, "\" is another user's link"),
                  "links on the way must belong, with their directory, to root or to the user certcast runs as");
    }
    if (++links > kMaxLinks) return FailErrno(ELOOP, doing);
    const std::vector<std::string> target = absl::StrSplit(next->bytes, '/', absl::SkipEmpty());
    if (absl::StartsWith(next->bytes, "/")) way = {root_};
    rest.insert(rest.begin(), target.begin(), target.end());
  }
  return std::make_unique<MemoryDirectory>(*this, way.back(), std::string(path), life_);
}

void MemoryFileSystem::Crash() {
  const absl::MutexLock lock(&mutex_);
  ++life_;
  root_->LosePower([] { return false; });
}

void MemoryFileSystem::Crash(uint64_t seed) {
  const absl::MutexLock lock(&mutex_);
  ++life_;
  std::mt19937_64 dice(seed);
  root_->LosePower([&] { return (dice() & 1) != 0; });
}

void MemoryFileSystem::CrashKeeping(uint64_t kept) {
  const absl::MutexLock lock(&mutex_);
  ++life_;
  root_->LosePower([&] {
    const bool is_kept = (kept & 1) != 0;
    kept >>= 1;
    return is_kept;
  });
}

int MemoryFileSystem::UnsyncedChanges() {
  const absl::MutexLock lock(&mutex_);
  return root_->CountUnsynced();
}

void MemoryFileSystem::Restart() {
  const absl::MutexLock lock(&mutex_);
  ++life_;
}

void MemoryFileSystem::SetFreeBytes(uint64_t bytes) {
  const absl::MutexLock lock(&mutex_);
  capacity_ = UsedBytes() + bytes;
}

uint64_t MemoryFileSystem::UsedBytes() const {
  uint64_t sum = 0;
  const std::function<void(const Node&)> add = [&](const Node& node) {
    sum += node.bytes.size();
    for (const auto& [name, child] : node.entries) add(*child);
  };
  add(*root_);
  return sum;
}

uint64_t MemoryFileSystem::FreeBytes() const {
  const uint64_t used = UsedBytes();
  return used > capacity_ ? 0 : capacity_ - used;
}

void MemoryFileSystem::PutFile(absl::string_view path, absl::string_view bytes, const FileAttributes& attributes) {
  const absl::MutexLock lock(&mutex_);
  Put(path, std::make_shared<Node>(
                Node{.kind = FileInfo::Kind::kFile, .attributes = attributes, .bytes = std::string(bytes)}));
}

void MemoryFileSystem::PutLink(absl::string_view path, absl::string_view target, uid_t owner) {
  const absl::MutexLock lock(&mutex_);
  const FileAttributes attributes = {.mode = 0777, .owner = owner};
  Put(path, std::make_shared<Node>(
                Node{.kind = FileInfo::Kind::kLink, .attributes = attributes, .bytes = std::string(target)}));
}

void MemoryFileSystem::PutDirectory(absl::string_view path, const FileAttributes& attributes) {
  const absl::MutexLock lock(&mutex_);
  Put(path, std::make_shared<Node>(Node{.kind = FileInfo::Kind::kDirectory, .attributes = attributes}));
}

void MemoryFileSystem::Put(absl::string_view path, NodePtr node) {
  std::vector<std::string> components = absl::StrSplit(path, '/', absl::SkipEmpty());
  const std::string last = components.back();
  components.pop_back();
  Node* here = root_.get();
  for (const std::string& component : components) {
    NodePtr& next = here->entries[component];
    if (next == nullptr) {
      next = std::make_shared<Node>(
          Node{.kind = FileInfo::Kind::kDirectory, .attributes = OfThisUser(DirectoryDefaults())});
    }
    here->durable[component] = next;
    here = next.get();
  }
  here->entries[last] = node;
  here->durable[last] = std::move(node);
}

MemoryFileSystem::NodePtr MemoryFileSystem::Resolve(absl::string_view path, bool follow_last) {
  std::vector<NodePtr> way = {root_};
  std::deque<std::string> rest = absl::StrSplit(path, '/', absl::SkipEmpty());
  for (int steps = 0; !rest.empty(); ++steps) {
    if (steps > 1000) return nullptr;
    const std::string component = rest.front();
    rest.pop_front();
    if (component == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    const auto found = way.back()->entries.find(component);
    if (found == way.back()->entries.end()) return nullptr;
    const NodePtr next = found->second;
    if (next->kind != FileInfo::Kind::kLink || (rest.empty() && !follow_last)) {
      way.push_back(next);
      continue;
    }
    const std::vector<std::string> target = absl::StrSplit(next->bytes, '/', absl::SkipEmpty());
    if (absl::StartsWith(next->bytes, "/")) way = {root_};
    rest.insert(rest.begin(), target.begin(), target.end());
  }
  return way.back();
}

std::optional<std::string> MemoryFileSystem::GetFile(absl::string_view path) {
  const absl::MutexLock lock(&mutex_);
  const NodePtr node = Resolve(path, /*follow_last=*/true);
  if (node == nullptr || node->kind != FileInfo::Kind::kFile) return std::nullopt;
  return node->bytes;
}

bool MemoryFileSystem::Exists(absl::string_view path) {
  const absl::MutexLock lock(&mutex_);
  return Resolve(path, /*follow_last=*/false) != nullptr;
}

}  // namespace certcast::testing
