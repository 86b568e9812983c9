// Reads a document's values into types. Whatever does not fit becomes an error of the document, with its place,
// and the reader goes on with a default, so that one run shows everything that is wrong:
//
//   yaml::Map map = value.ReadMap("an account", {"name", "directory", "contact"});
//   account.name = map.Require("name").Name();
//   if (yaml::Value contact = map.Find("contact")) account.contact = contact.Texts("a list of mailto: URLs");
#ifndef CERTCAST_COMMON_YAML_VALUE_H_
#define CERTCAST_COMMON_YAML_VALUE_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/yaml/document.h"

namespace certcast::yaml {

class Map;

// A value, or the absence of one: then every function returns its default and reports nothing. Copies are cheap and
// must not outlive the document.
class Value {
 public:
  Value() = default;
  Value(Document* document, const Node* node) : document_(document), node_(node) {}

  // The same value; in what is read from it and from what it holds, a relative path is an error.
  Value WithAbsolutePaths() const { return Value(document_, node_, /*absolute_paths=*/true); }

  explicit operator bool() const { return node_ != nullptr; }
  bool is_text() const { return node_ != nullptr && node_->kind == Node::Kind::kText; }
  bool is_list() const { return node_ != nullptr && node_->kind == Node::Kind::kList; }
  bool is_map() const { return node_ != nullptr && node_->kind == Node::Kind::kMap; }
  Document& document() const { return *document_; }
  const Node* node() const { return node_; }
  // Key in the map that this is a value of.
  const std::string& key() const { return node_->key; }

  // `nodes[2].labels`; empty for the whole document.
  std::string Position() const;
  // `line 3, column 5`: for errors elsewhere that refer to this.
  std::string Where() const;

  // Adds `FILE:LINE:COLUMN: at POSITION: DETAIL; HINT`.
  void Fail(absl::string_view detail, absl::string_view hint = "") const;
  // The same with the status's text and hint; OK: nothing.
  void Fail(const absl::Status& status) const;
  // `found WHAT-IS-THERE, expected EXPECTED; HINT`.
  void FailExpected(absl::string_view expected, absl::string_view hint = "") const;

  // --- Texts. Numbers and words without quotes are texts as well. Never empty.
  std::string Text(absl::string_view expected = "a text") const;
  // One of `words`, else the first of them.
  std::string Word(const std::vector<absl::string_view>& words) const;
  // grammar.h's.
  std::string Name() const;
  std::string HostName() const;
  std::string HostPort() const;
  std::string AccountName() const;
  mode_t Mode(mode_t otherwise) const;
  double Percent(double otherwise) const;
  absl::Duration Duration(absl::Duration least, absl::Duration most, absl::Duration otherwise) const;
  // Absolute; a relative one is taken from the file's directory, or is an error under WithAbsolutePaths.
  std::string Path() const;
  // Must be written absolute, and without "..".
  std::string AbsolutePath() const;
  // Without quotes: `true` or `false`; a decimal whole number.
  bool Boolean(bool otherwise) const;
  int Integer(int least, int most, int otherwise) const;

  // --- Lists and maps.
  std::vector<Value> Items(absl::string_view expected, size_t least, size_t most) const;
  // What a list or map holds; nothing of anything else. Reports nothing.
  std::vector<Value> Children() const;
  // A list of texts.
  std::vector<std::string> Texts(absl::string_view expected, size_t least, size_t most) const;
  // A map with these keys alone.
  Map ReadMap(absl::string_view expected, const std::vector<absl::string_view>& keys) const;
  // A map with any keys, in the file's order.
  std::vector<Value> Entries(absl::string_view expected) const;

 private:
  friend class Map;

  Value(Document* document, const Node* node, bool absolute_paths)
      : document_(document), node_(node), absolute_paths_(absolute_paths) {}

  // Absent where a map has no such key.
  Value Child(absl::string_view key) const;
  // What is there, for messages: `a list`, `"abc"`.
  std::string Describe() const;
  // Of a text; nullptr after an error, or where there is nothing to read.
  const std::string* Scalar(absl::string_view expected, absl::string_view hint = "") const;

  Document* document_ = nullptr;
  const Node* node_ = nullptr;
  bool absolute_paths_ = false;
};

class Map {
 public:
  Map() = default;
  explicit Map(Value value, bool has_unknown_keys = false) : value_(value), has_unknown_keys_(has_unknown_keys) {}

  explicit operator bool() const { return static_cast<bool>(value_); }
  Value value() const { return value_; }
  // Absent where the key is.
  Value Find(absl::string_view key) const;
  // The same; an absent key is an error, at the place where the map begins.
  Value Require(absl::string_view key, absl::string_view hint = "") const;
  // The only one of `keys` that is there. None or several: an error, and absent. None where ReadMap found unknown keys
  // says nothing more: one of them was probably meant.
  Value RequireOneOf(const std::vector<absl::string_view>& keys) const;

 private:
  Value value_;
  bool has_unknown_keys_ = false;
};

}  // namespace certcast::yaml

#endif  // CERTCAST_COMMON_YAML_VALUE_H_
