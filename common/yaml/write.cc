#include "common/yaml/write.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace certcast::yaml {
namespace {

// Of what stood without quotes: what reads as a text without them anywhere. All else goes into quotes.
bool IsPlain(const Node& node) {
  return !node.quoted && !node.text.empty() && std::all_of(node.text.begin(), node.text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  });
}

// U+0080 to U+009F, which documents do not hold as they are; U+2028, U+2029 and U+FEFF, which some readers take for
// line ends or nothing. Bytes of the character that begins at `at` when it is one of them, else 0.
size_t HiddenCharacter(absl::string_view text, size_t at) {
  const absl::string_view rest = text.substr(at);
  if (rest.size() >= 2 && rest[0] == '\xc2' && static_cast<unsigned char>(rest[1]) < 0xa0) return 2;
  for (const absl::string_view hidden : {"\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf"}) {
    if (rest.substr(0, 3) == hidden) return 3;
  }
  return 0;
}

// Of a character of two or three bytes.
unsigned CodePoint(absl::string_view bytes) {
  unsigned point = static_cast<unsigned char>(bytes[0]) & (bytes.size() == 2 ? 0x1f : 0x0f);
  for (const char c : bytes.substr(1)) point = (point << 6) | (static_cast<unsigned char>(c) & 0x3f);
  return point;
}

void AppendQuoted(absl::string_view text, std::string& out) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    const size_t hidden = HiddenCharacter(text, at);
    if (hidden != 0) {
      absl::StrAppend(&out, "\\u", absl::Hex(CodePoint(text.substr(at, hidden)), absl::kZeroPad4));
    } else if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppend(&out, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      out += c;
    }
    at += std::max<size_t>(hidden, 1);
  }
  out += '"';
}

void Append(const Node& node, std::string& out) {
  switch (node.kind) {
    case Node::Kind::kText:
      if (IsPlain(node)) {
        out += node.text;
      } else {
        AppendQuoted(node.text, out);
      }
      return;
    case Node::Kind::kList:
    case Node::Kind::kMap: {
      const bool is_map = node.kind == Node::Kind::kMap;
      out += is_map ? '{' : '[';
      for (const Node* child : node.children) {
        if (child != node.children.front()) out += ", ";
        if (is_map) {
          AppendQuoted(child->key, out);
          out += ": ";
        }
        Append(*child, out);
      }
      out += is_map ? '}' : ']';
      return;
    }
    case Node::Kind::kNull:
    case Node::Kind::kInvalid:
      out += "null";
      return;
  }
}

}  // namespace

std::string WriteFlow(const Value& value) {
  std::string out;
  if (value) Append(*value.node(), out);
  return out;
}

}  // namespace certcast::yaml
