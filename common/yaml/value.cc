#include "common/yaml/value.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/status/status.h"
#include "common/yaml/grammar.h"

namespace certcast::yaml {
namespace {

// `[a-z0-9_]+` is shown bare, anything else (a label with dots) in quotes.
std::string ShowKey(const std::string& key) {
  const bool plain = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return plain ? key : Quoted(key);
}

std::string Listed(const std::vector<absl::string_view>& words) {
  return absl::StrJoin(words, ", ");
}

std::string DidYouMean(absl::string_view word, const std::vector<absl::string_view>& words) {
  const absl::string_view nearest = NearestWord(word, words);
  return nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "?");
}

}  // namespace

std::string Value::Position() const {
  std::vector<const Node*> chain;
  for (const Node* node = node_; node != nullptr && node->parent != nullptr; node = node->parent) chain.push_back(node);
  std::string position;
  for (auto node = chain.rbegin(); node != chain.rend(); ++node) {
    if ((*node)->index >= 0) {
      absl::StrAppend(&position, "[", (*node)->index, "]");
    } else {
      absl::StrAppend(&position, position.empty() ? "" : ".", ShowKey((*node)->key));
    }
  }
  return position;
}

std::string Value::Where() const {
  return node_ == nullptr ? "" : absl::StrCat("line ", node_->place.line, ", column ", node_->place.column);
}

void Value::Fail(absl::string_view detail, absl::string_view hint) const {
  if (node_ == nullptr) return;
  const std::string position = Position();
  document_->AddError(node_->place, absl::StrCat(position.empty() ? "" : "at ", position, position.empty() ? "" : ": ",
                                                 detail, hint.empty() ? "" : "; ", hint));
}

void Value::Fail(const absl::Status& status) const {
  if (status.ok()) return;
  const v1::Failure failure = FailureOf(status);
  Fail(failure.detail(), failure.hint());
}

void Value::FailExpected(absl::string_view expected, absl::string_view hint) const {
  if (node_ == nullptr || node_->kind == Node::Kind::kInvalid) return;
  Fail(absl::StrCat("found ", Describe(), ", expected ", expected), hint);
}

std::string Value::Describe() const {
  switch (node_->kind) {
    case Node::Kind::kText:
      return node_->text.empty() ? "an empty text" : Quoted(node_->text);
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
    case Node::Kind::kNull:
    case Node::Kind::kInvalid:
      break;
  }
  return "nothing";
}

Value Value::Child(absl::string_view key) const {
  for (const Node* child : node_->children) {
    if (child->key == key) return Value(document_, child, absolute_paths_);
  }
  return Value();
}

const std::string* Value::Scalar(absl::string_view expected, absl::string_view hint) const {
  if (node_ == nullptr) return nullptr;
  if (node_->kind == Node::Kind::kText && !node_->text.empty()) return &node_->text;
  FailExpected(expected, hint);
  return nullptr;
}

std::string Value::Text(absl::string_view expected) const {
  const std::string* text = Scalar(expected);
  return text == nullptr ? "" : *text;
}

std::string Value::Word(const std::vector<absl::string_view>& words) const {
  const std::string expected = absl::StrCat(words.size() == 1 ? "" : "one of ", Listed(words));
  const std::string* text = Scalar(expected);
  if (text == nullptr) return std::string(words.front());
  if (std::find(words.begin(), words.end(), *text) != words.end()) return *text;
  FailExpected(expected, DidYouMean(*text, words));
  return std::string(words.front());
}

std::string Value::Name() const {
  const std::string* text = Scalar("a name");
  if (text == nullptr) return "";
  const absl::Status status = CheckName(*text);
  Fail(status);
  return status.ok() ? *text : "";
}

std::string Value::HostName() const {
  const std::string* text = Scalar("a host name");
  if (text == nullptr) return "";
  const absl::Status status = CheckHostName(*text);
  Fail(status);
  return status.ok() ? *text : "";
}

std::string Value::HostPort() const {
  const std::string* text = Scalar("host:port");
  if (text == nullptr) return "";
  const absl::Status status = CheckHostPort(*text);
  Fail(status);
  return status.ok() ? *text : "";
}

std::string Value::AccountName() const {
  const std::string* text = Scalar("the name or number of a user or group");
  if (text == nullptr) return "";
  const absl::Status status = CheckAccountName(*text);
  Fail(status);
  return status.ok() ? *text : "";
}

mode_t Value::Mode(mode_t otherwise) const {
  const std::string* text = Scalar("permissions as four octal digits, the first of them 0", R"(write them as "0644")");
  if (text == nullptr) return otherwise;
  const auto parsed = ParseMode(*text);
  Fail(parsed.status());
  return parsed.ok() ? *parsed : otherwise;
}

double Value::Percent(double otherwise) const {
  const std::string* text = Scalar("a share such as 66%");
  if (text == nullptr) return otherwise;
  const auto parsed = ParsePercent(*text);
  Fail(parsed.status());
  return parsed.ok() ? *parsed : otherwise;
}

absl::Duration Value::Duration(absl::Duration least, absl::Duration most, absl::Duration otherwise) const {
  const std::string* text = Scalar("a time such as 30s, 1h30m or 15d");
  if (text == nullptr) return otherwise;
  const auto parsed = ParseDuration(*text);
  Fail(parsed.status());
  if (!parsed.ok()) return otherwise;
  if (*parsed >= least && *parsed <= most) return *parsed;
  FailExpected(absl::StrCat("a time from ", ShowDuration(least), " to ", ShowDuration(most)));
  return otherwise;
}

std::string Value::Path() const {
  const std::string* text = Scalar("a path");
  if (text == nullptr) return "";
  if (!absolute_paths_ || text->front() == '/') return document_->Resolve(*text);
  FailExpected("an absolute path", "there is no directory that it could be relative to");
  return "";
}

std::string Value::AbsolutePath() const {
  constexpr absl::string_view kExpected = "an absolute path without ..";
  const std::string* text = Scalar(kExpected);
  if (text == nullptr) return "";
  const std::filesystem::path path(*text);
  const bool climbs = std::find(path.begin(), path.end(), "..") != path.end();
  if (text->front() == '/' && !climbs) return document_->Resolve(*text);
  FailExpected(kExpected);
  return "";
}

bool Value::Boolean(bool otherwise) const {
  const std::string* text = Scalar("true or false");
  if (text == nullptr) return otherwise;
  if (!node_->quoted && (*text == "true" || *text == "false")) return *text == "true";
  FailExpected("true or false", node_->quoted ? "write it without quotes" : "");
  return otherwise;
}

int Value::Integer(int least, int most, int otherwise) const {
  const std::string expected = absl::StrCat("a whole number from ", least, " to ", most);
  const std::string* text = Scalar(expected);
  if (text == nullptr) return otherwise;
  const auto parsed = ParseWholeNumber(*text);
  if (!node_->quoted && parsed.ok() && *parsed >= least && *parsed <= most) return *parsed;
  FailExpected(expected, node_->quoted && parsed.ok() ? "write it without quotes" : "");
  return otherwise;
}

std::vector<Value> Value::Children() const {
  std::vector<Value> children;
  if (node_ == nullptr) return children;
  children.reserve(node_->children.size());
  for (const Node* child : node_->children) children.push_back(Value(document_, child, absolute_paths_));
  return children;
}

std::vector<Value> Value::Items(absl::string_view expected, size_t least, size_t most) const {
  if (!is_list()) {
    FailExpected(expected);
    return {};
  }
  std::vector<Value> items = Children();
  if (items.size() < least) Fail(absl::StrCat("found an empty list, expected ", expected));
  if (items.size() > most) {
    Fail(absl::StrCat("found ", items.size(), " items, expected at most ", most));
    items.resize(most);
  }
  return items;
}

std::vector<std::string> Value::Texts(absl::string_view expected, size_t least, size_t most) const {
  std::vector<std::string> texts;
  for (const Value& item : Items(expected, least, most)) texts.push_back(item.Text());
  return texts;
}

std::vector<Value> Value::Entries(absl::string_view expected) const {
  if (is_map()) return Children();
  FailExpected(expected);
  return {};
}

Map Value::ReadMap(absl::string_view expected, const std::vector<absl::string_view>& keys) const {
  bool has_unknown_keys = false;
  for (const Value& entry : Entries(expected)) {
    if (std::find(keys.begin(), keys.end(), entry.key()) != keys.end()) continue;
    has_unknown_keys = true;
    const std::string meant = DidYouMean(entry.key(), keys);
    const std::string position = Position();
    document_->AddError(
        entry.node_->key_place,
        absl::StrCat(position.empty() ? "" : "at ", position, position.empty() ? "" : ": ", "unknown key ",
                     Quoted(entry.key()), "; ", meant.empty() ? absl::StrCat("known here: ", Listed(keys)) : meant));
  }
  return is_map() ? Map(*this, has_unknown_keys) : Map();
}

Value Map::Find(absl::string_view key) const {
  return value_ ? value_.Child(key) : Value();
}

Value Map::Require(absl::string_view key, absl::string_view hint) const {
  const Value found = Find(key);
  if (value_ && !found) value_.Fail(absl::StrCat("missing key ", Quoted(key)), hint);
  return found;
}

Value Map::RequireOneOf(const std::vector<absl::string_view>& keys) const {
  Value only;
  int count = 0;
  for (const absl::string_view key : keys) {
    if (const Value found = Find(key)) {
      only = found;
      ++count;
    }
  }
  if (count == 1) return only;
  if (value_ && (count > 1 || !has_unknown_keys_)) {
    value_.Fail(
        absl::StrCat("found ", count == 0 ? "none" : "several", " of ", Listed(keys), ", expected exactly one"));
  }
  return Value();
}

}  // namespace certcast::yaml
