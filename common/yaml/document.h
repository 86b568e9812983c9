// A YAML file as a tree in which every value knows its place, and the list of what is wrong with it.
//
// Stricter than YAML, so that a configuration means what it looks like: one document; no anchors, aliases, tags or
// merge keys; no key twice; keys are text; no control characters; quotes must be closed (yaml-cpp forgives that one).
//
// Thread-compatible.
#ifndef CERTCAST_COMMON_YAML_DOCUMENT_H_
#define CERTCAST_COMMON_YAML_DOCUMENT_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace certcast::yaml {

class Value;

// Line and column of a value, both from 1. The column counts bytes here and characters in messages.
struct Place {
  int line = 1;
  int column = 1;
};

// One value of the tree; owned by its document.
struct Node {
  // kInvalid: refused already; reading it says nothing more.
  enum class Kind { kInvalid, kNull, kText, kList, kMap };
  Kind kind = Kind::kInvalid;
  // Of kText: written in quotes or as a block.
  bool quoted = false;
  // Position in the parent list, or -1.
  int index = -1;
  Place place;
  Place key_place;
  const Node* parent = nullptr;
  // In the parent map.
  std::string key;
  std::string text;
  std::vector<const Node*> children;
};

struct Limits {
  size_t bytes = 1 << 20;
  int depth = 32;
  // Values in all.
  size_t values = 2'000'000;
};

class Document {
 public:
  // Errors are kInvalidArgument. A file that is missing, unreadable, too large, or may be written by others (what it
  // says is run as root) is one without a place.
  static absl::StatusOr<std::unique_ptr<Document>> Read(const std::string& path, const Limits& limits);
  // Text at hand; `path` is for messages and relative paths.
  static absl::StatusOr<std::unique_ptr<Document>> Parse(absl::string_view text, const std::string& path,
                                                         const Limits& limits);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  Value root();

  // The file, absolute and without "." and "..".
  const std::string& absolute_path() const { return absolute_path_; }
  // `path` as seen from the file's directory, absolute and without "." and "..".
  std::string Resolve(absl::string_view path) const;

  void AddError(Place place, absl::string_view text);
  // OK, or all errors ordered by line, one a line, `FILE:LINE:COLUMN: TEXT`. At most 20, then how many more there are.
  absl::Status status() const;

 private:
  friend class TreeBuilder;
  struct Error {
    Place place;
    std::string text;
  };

  Document(absl::string_view text, const std::string& path);
  int CharacterColumn(Place place) const;

  // As the operator named it.
  std::string path_;
  std::string absolute_path_;
  std::string text_;
  std::vector<size_t> line_starts_;
  std::deque<Node> nodes_;
  const Node* root_ = nullptr;
  std::vector<Error> errors_;
};

}  // namespace certcast::yaml

#endif  // CERTCAST_COMMON_YAML_DOCUMENT_H_
