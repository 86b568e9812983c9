#include "common/yaml/document.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "common/yaml/tree_builder.h"
#include "common/yaml/value.h"

namespace certcast::yaml {
namespace {

constexpr size_t kMaxShownErrors = 20;

std::string Absolute(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  return (error ? std::filesystem::path(path) : absolute).lexically_normal().string();
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

absl::Status FailReading(const std::string& path, int error) {
  const absl::string_view hint =
      error == ENOENT ? "write one (docs/examples/ has some) or name another with --config" : "";
  const v1::Failure failure = FailureOf(FailErrno(error, absl::StrCat("reading ", path), hint));
  return FailInput(failure.detail(), failure.hint());
}

// At most one byte more than `limit`.
absl::StatusOr<std::string> ReadText(int fd, const std::string& path, size_t limit) {
  std::string text;
  char buffer[16 * 1024];
  while (text.size() <= limit) {
    const ssize_t got = read(fd, buffer, std::min(sizeof(buffer), limit + 1 - text.size()));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailReading(path, errno);
    if (got == 0) break;
    text.append(buffer, got);
  }
  return text;
}

std::vector<size_t> LineStarts(absl::string_view text) {
  std::vector<size_t> starts = {0};
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') starts.push_back(i + 1);
  }
  return starts;
}

}  // namespace

Document::Document(absl::string_view text, const std::string& path)
    : path_(path), absolute_path_(Absolute(path)), text_(text), line_starts_(LineStarts(text)) {
}

absl::StatusOr<std::unique_ptr<Document>> Document::Read(const std::string& path, const Limits& limits) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return FailReading(path, errno);
  struct stat info;
  if (fstat(file.get(), &info) != 0) return FailReading(path, errno);
  if (S_ISREG(info.st_mode) && (info.st_mode & S_IWOTH) != 0) {
    return FailInput(absl::StrCat("reading ", path, ": everybody may write to it"),
                     absl::StrCat("what it says is trusted: chmod o-w ", path));
  }
  ASSIGN_OR_RETURN(const std::string text, ReadText(file.get(), path, limits.bytes));
  return Parse(text, path, limits);
}

absl::StatusOr<std::unique_ptr<Document>> Document::Parse(absl::string_view text, const std::string& path,
                                                          const Limits& limits) {
  if (text.size() > limits.bytes) {
    return FailInput(absl::StrCat(path, ": larger than ", limits.bytes, " bytes"), "is it the right file?");
  }
  // UTF-8's byte order mark says nothing and would shift the first column.
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  auto document = std::unique_ptr<Document>(new Document(text, path));
  if (!TreeBuilder::Build(*document, limits)) return document->status();
  // An empty file: nothing, at its start.
  if (document->root_ == nullptr) document->root_ = &document->nodes_.emplace_back(Node{.kind = Node::Kind::kNull});
  return document;
}

Value Document::root() {
  return Value(this, root_);
}

std::string Document::Resolve(absl::string_view path) const {
  const std::filesystem::path directory = std::filesystem::path(absolute_path_).parent_path();
  std::string resolved = (directory / std::string(path)).lexically_normal().string();
  while (resolved.size() > 1 && resolved.back() == '/') resolved.pop_back();
  return resolved;
}

void Document::AddError(Place place, absl::string_view text) {
  errors_.push_back({place, std::string(text)});
}

int Document::CharacterColumn(Place place) const {
  if (place.line < 1 || static_cast<size_t>(place.line) > line_starts_.size()) return place.column;
  const absl::string_view before =
      absl::string_view(text_).substr(line_starts_[place.line - 1], std::max(place.column - 1, 0));
  const auto is_first = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  return 1 + static_cast<int>(std::count_if(before.begin(), before.end(), is_first));
}

absl::Status Document::status() const {
  if (errors_.empty()) return absl::OkStatus();
  std::vector<const Error*> ordered;
  for (const Error& error : errors_) ordered.push_back(&error);
  std::stable_sort(ordered.begin(), ordered.end(), [](const Error* a, const Error* b) {
    return a->place.line != b->place.line ? a->place.line < b->place.line : a->place.column < b->place.column;
  });
  std::string lines;
  for (size_t i = 0; i < std::min(ordered.size(), kMaxShownErrors); ++i) {
    const Place place = ordered[i]->place;
    absl::StrAppend(&lines, i == 0 ? "" : "\n", path_, ":", place.line, ":", CharacterColumn(place), ": ",
                    ordered[i]->text);
  }
  if (ordered.size() > kMaxShownErrors) absl::StrAppend(&lines, "\nand ", ordered.size() - kMaxShownErrors, " more");
  // Not FailInput, which makes one line of it.
  return absl::InvalidArgumentError(lines);
}

}  // namespace certcast::yaml
