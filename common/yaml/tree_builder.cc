#include "common/yaml/tree_builder.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <istream>
#include <optional>
#include <streambuf>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/yaml/grammar.h"

namespace certcast::yaml {
namespace {

Place PlaceOf(const YAML::Mark& mark) {
  return mark.is_null() ? Place{} : Place{.line = mark.line + 1, .column = mark.column + 1};
}

// Reads `text` where it is.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(const std::string& text) {
    char* begin =
        const_cast<char*>(text.data());  // streambuf's interface; nothing is ever put back other than was read
    setg(begin, begin, begin + text.size());
  }
};

// Where the quoted text that begins at `start` ends; npos: nowhere. yaml-cpp takes the end of the file for its end.
size_t FindClosingQuote(absl::string_view text, size_t start) {
  const char quote = text[start];
  for (size_t i = start + 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 == text.size() || text[i + 1] != quote) return i;
      ++i;  // '' within '...' is one quote
    }
  }
  return absl::string_view::npos;
}

// Whether the last line of `before` begins with white space that has a tab in it.
bool IsIndentedByTab(absl::string_view before) {
  const absl::string_view line = before.substr(before.rfind('\n') + 1);  // npos + 1 is 0
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != absl::string_view::npos;
}

// yaml-cpp's words for the mistakes that are made most, in terms of what to change.
std::string Explain(absl::string_view message, absl::string_view text, size_t at) {
  if (absl::StartsWith(text.substr(at), "*")) {
    return R"(a value that begins with * must be in quotes, as in "*.example.com")";
  }
  if (IsIndentedByTab(text.substr(0, at))) return "indented by a tab; use spaces";
  struct Explanation {
    absl::string_view message;
    absl::string_view text;
  };
  static constexpr Explanation kExplanations[] = {
      {"end of map not found", "wrong indentation, or something left over after a value"},
      {"end of sequence not found", "wrong indentation, or something left over after a value"},
      {"end of map flow not found", "a map that begins with { is not closed by }, or a comma or quote is missing"},
      {"end of sequence flow not found",
       "a list that begins with [ is not closed by ], or a comma or quote is missing"},
      {"illegal map value",
       "a `: ` that does not belong here: a second one on the line (put the text in quotes), wrong indentation, or no "
       "space after the `:` above"},
      {"illegal tab", "indented by a tab; use spaces"},
      {"unknown token", "a value that begins with this character must be in quotes"},
      {"illegal flow end", "closes what was not opened"},
      // yaml-cpp adds the character as it is, which may be none.
      {"unknown escape character", R"(a \ within double quotes that begins no escape: write \\, or use single quotes)"},
  };
  for (const Explanation& explanation : kExplanations) {
    if (absl::StartsWith(message, explanation.message)) return std::string(explanation.text);
  }
  return absl::CHexEscape(message);
}

// The first byte that no configuration has: a control character, or one that is not UTF-8 (RFC 3629 section 4).
// yaml-cpp would take some of them for the end of the file, or for another encoding.
class ByteCheck {
 public:
  explicit ByteCheck(absl::string_view text) : text_(text) {}

  bool ok() {
    while (at_ < text_.size()) {
      const size_t length = SequenceLength();
      if (length == 0) return false;
      at_ += length;
    }
    return true;
  }
  size_t at() const { return at_; }

 private:
  uint8_t Byte(size_t i) const { return at_ + i < text_.size() ? static_cast<uint8_t>(text_[at_ + i]) : 0; }

  static bool IsPrintable(uint8_t byte) { return byte >= 0x20 && byte != 0x7f; }

  // Bytes of the character at at_; 0: none that is allowed.
  size_t SequenceLength() const {
    const uint8_t first = Byte(0);
    if (first < 0x80) return IsPrintable(first) || first == '\n' || first == '\r' || first == '\t' ? 1 : 0;
    const size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < length; ++i) {
      if ((Byte(i) & 0xc0) != 0x80) return 0;
    }
    // Longer than needed, surrogates, beyond U+10FFFF, U+0080 to U+009F.
    const uint8_t second = Byte(1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f) || (first == 0xc2 && second < 0xa0)) {
      return 0;
    }
    return length;
  }

  absl::string_view text_;
  size_t at_ = 0;
};

// Builds one document. Throws YAML::ParserException, through yaml-cpp's parser, where going on makes no sense.
class Handler : public YAML::EventHandler {
 public:
  Handler(Document& document, absl::string_view text, std::deque<Node>& nodes, const Limits& limits)
      : document_(document), text_(text), nodes_(nodes), limits_(limits) {}

  const Node* root() const { return root_; }
  // The last text in quotes that goes over several lines: what a forgotten quote looks like.
  const std::optional<Place>& long_quote() const { return long_quote_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (root_ == nullptr) return;
    const bool marker = Rest(mark).substr(0, 3) == "---";
    throw YAML::ParserException(mark, marker
                                          ? "a second document begins here, expected one"
                                          : "does not belong to the lines above: is it indented less than they are?");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node* node = Add(Node::Kind::kNull, mark, "", anchor);
    // yaml-cpp's place is that of what comes next, which may be lines below.
    if (node->parent != nullptr) {
      node->place = node->parent->kind == Node::Kind::kMap ? node->key_place : node->parent->place;
    }
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "found an alias (*), which is not supported; write the value out");
    Add(Node::Kind::kInvalid, mark, "", YAML::NullAnchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool quoted = tag == "!";
    if (quoted) CheckQuotes(mark);
    if (value.find('\0') != std::string::npos) Refuse(mark, "found a NUL character, expected a text without");
    if (IsKeyNext()) return TakeKey(mark, tag, anchor, value);
    Node* node = Add(Node::Kind::kText, mark, tag, anchor);
    node->quoted = quoted;
    node->text = value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Node::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Node::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override {
    RefuseDuplicates(*open_.back().node);
    open_.pop_back();
  }

 private:
  // A list or map that has begun.
  struct Level {
    Node* node;
    bool has_key = false;
    Place key_place;
    std::string key;
  };

  absl::string_view Rest(const YAML::Mark& mark) const {
    return mark.pos < 0 || static_cast<size_t>(mark.pos) > text_.size() ? "" : text_.substr(mark.pos);
  }

  void Refuse(const YAML::Mark& mark, absl::string_view text) { document_.AddError(PlaceOf(mark), text); }

  void CheckQuotes(const YAML::Mark& mark) {
    const absl::string_view rest = Rest(mark);
    if (rest.empty() || (rest[0] != '"' && rest[0] != '\'')) return;  // a block
    const size_t end = FindClosingQuote(rest, 0);
    if (end == absl::string_view::npos) throw YAML::ParserException(mark, "this quote is not closed");
    if (rest.substr(0, end).find('\n') != absl::string_view::npos) long_quote_ = PlaceOf(mark);
  }

  bool IsKeyNext() const {
    return !open_.empty() && open_.back().node->kind == Node::Kind::kMap && !open_.back().has_key;
  }

  void TakeKey(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& key) {
    RefuseDecoration(mark, tag, anchor);
    Level& level = open_.back();
    level.has_key = true;
    level.key = key;
    level.key_place = PlaceOf(mark);
  }

  void RefuseDecoration(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) Refuse(mark, "found an anchor (&), which is not supported; write the value out");
    if (!tag.empty() && tag != "?" && tag != "!") {
      Refuse(mark, absl::StrCat("found the tag ", Quoted(tag), ", expected none; put texts in quotes instead"));
    }
  }

  void Open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (open_.size() >= static_cast<size_t>(limits_.depth)) {
      throw YAML::ParserException(mark, absl::StrCat("nested deeper than ", limits_.depth, " levels"));
    }
    open_.push_back({.node = Add(kind, mark, tag, anchor)});
  }

  Node* Add(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (nodes_.size() >= limits_.values) {
      throw YAML::ParserException(mark, absl::StrCat("more than ", limits_.values, " values"));
    }
    // No key of a known schema is a list, a map or nothing.
    if (IsKeyNext()) throw YAML::ParserException(mark, "expected a text as key");
    RefuseDecoration(mark, tag, anchor);
    Node& node = nodes_.emplace_back();
    node.kind = kind;
    node.place = PlaceOf(mark);
    if (open_.empty()) {
      root_ = &node;
    } else {
      Attach(open_.back(), node);
    }
    return &node;
  }

  static void Attach(Level& level, Node& node) {
    node.parent = level.node;
    if (level.node->kind == Node::Kind::kList) {
      node.index = static_cast<int>(level.node->children.size());
    } else {
      node.key = std::move(level.key);
      node.key_place = level.key_place;
      level.has_key = false;
    }
    level.node->children.push_back(&node);
  }

  void RefuseDuplicates(const Node& map) {
    absl::flat_hash_map<absl::string_view, Place> seen;
    for (const Node* child : map.children) {
      const auto [first, is_new] = seen.emplace(child->key, child->key_place);
      if (is_new) continue;
      document_.AddError(child->key_place,
                         absl::StrCat("found the key ", Quoted(child->key), " a second time; the first is at line ",
                                      first->second.line, ", column ", first->second.column));
    }
  }

  Document& document_;
  absl::string_view text_;
  std::deque<Node>& nodes_;
  Limits limits_;
  std::vector<Level> open_;
  const Node* root_ = nullptr;
  std::optional<Place> long_quote_;
};

}  // namespace

bool TreeBuilder::Build(Document& document, const Limits& limits) {
  ByteCheck bytes(document.text_);
  if (!bytes.ok()) {
    const absl::string_view before = absl::string_view(document.text_).substr(0, bytes.at());
    const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
    const int line = 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
    const auto byte = static_cast<uint8_t>(document.text_[bytes.at()]);
    document.AddError({.line = line, .column = static_cast<int>(bytes.at() - line_start) + 1},
                      absl::StrCat("found the byte 0x", absl::Hex(byte, absl::kZeroPad2),
                                   ", expected text in UTF-8 without control characters"));
    return false;
  }
  TextBuffer buffer(document.text_);
  std::istream stream(&buffer);
  Handler handler(document, document.text_, document.nodes_, limits);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(handler)) {
    }
    document.root_ = handler.root();
    return true;
  } catch (const YAML::Exception& error) {
    const size_t at = error.mark.pos < 0 ? document.text_.size() : static_cast<size_t>(error.mark.pos);
    std::string text = Explain(error.msg, document.text_, std::min(at, document.text_.size()));
    if (const std::optional<Place>& quote = handler.long_quote()) {
      absl::StrAppend(&text, "; the quote at line ", quote->line, ", column ", quote->column,
                      " goes on over several lines: should it end earlier?");
    }
    document.AddError(PlaceOf(error.mark), absl::StrCat("not valid YAML: ", text));
  } catch (const std::exception& error) {
    document.AddError({}, absl::StrCat("not valid YAML: ", error.what()));
  }
  return false;
}

}  // namespace certcast::yaml
