#include "common/yaml/write.h"

#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/yaml/document.h"
#include "gtest/gtest.h"

namespace certcast::yaml {
namespace {

std::string Rewritten(const std::string& text) {
  const auto document = Document::Parse(text, "f.yaml", {});
  EXPECT_TRUE(document.ok()) << document.status();
  return document.ok() ? WriteFlow((*document)->root()) : "";
}

TEST(WriteFlow, WritesOneLine) {
  EXPECT_EQ(Rewritten("a: [x, 'y']\nb:\n  c: 10\n  d: true\n  \"e f\": null\n  g: {}\n  h: []\n  i: \"10\"\n"),
            R"({"a": [x, "y"], "b": {"c": 10, "d": true, "e f": null, "g": {}, "h": [], "i": "10"}})");
}

TEST(WriteFlow, QuotesWhatCouldBeTakenForSomethingElse) {
  EXPECT_EQ(Rewritten("['https://a.b/c?d#e', 0:1, '-', 'null', \"true\", '~', a b, \"*.example.com\"]"),
            R"(["https://a.b/c?d#e", "0:1", "-", "null", "true", "~", "a b", "*.example.com"])");
}

TEST(WriteFlow, BlocksBecomeTexts) {
  EXPECT_EQ(Rewritten("a: |\n  one \"two\"\n  three\\\nb: >\n  four\n  five\n"),
            R"({"a": "one \"two\"\x0athree\\\x0a", "b": "four five\x0a"})");
}

TEST(WriteFlow, AnAbsentValueIsNoText) {
  EXPECT_EQ(WriteFlow(Value()), "");
}

// --- Whatever a document holds, it holds again after being written and read.

// Texts that a reader is tempted to take for something else, and characters that need care.
constexpr const char* kPieces[] = {"a",
                                   "Z",
                                   "0",
                                   "_",
                                   "-",
                                   ".",
                                   ":",
                                   ": ",
                                   " #",
                                   "#",
                                   "'",
                                   "\\\"",
                                   "\\\\",
                                   "\\n",
                                   "\\r",
                                   "\\t",
                                   "\\a",
                                   "\\x7f",
                                   "{",
                                   "}",
                                   "[",
                                   "]",
                                   ",",
                                   " ",
                                   "!",
                                   "&",
                                   "*",
                                   "|",
                                   ">",
                                   "%",
                                   "@",
                                   "`",
                                   "~",
                                   "null",
                                   "true",
                                   "yes",
                                   "<<",
                                   "---",
                                   "...",
                                   "?",
                                   "\\x85",
                                   "\\xa0",
                                   "\\u2028",
                                   "\\ufeff",
                                   "\xc3\xa4",
                                   "\xe2\x82\xac",
                                   "\xf0\x9f\x94\x91",
                                   "\\U0001F511",
                                   "=",
                                   "\\e"};

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  // In flow style, with every text in double quotes or plain.
  std::string Value(int depth) {
    switch (depth == 0 ? random_() % 3 : random_() % 6) {
      case 0:
        return std::to_string(random_() % 2000);
      case 1:
        return random_() % 4 == 0 ? "null" : random_() % 2 == 0 ? "true" : "word_1";
      case 2:
        return Quoted();
      case 3:
        return "[]";
      case 4:
        return Joined("[", "]", [&] { return Value(depth - 1); });
      default: {
        int key = 0;
        return Joined("{", "}", [&] {
          // Keys differ by their number.
          std::string quoted = Quoted();
          quoted.insert(1, std::to_string(key++));
          return absl::StrCat(quoted, ": ", Value(depth - 1));
        });
      }
    }
  }

 private:
  std::string Quoted() {
    std::string text = "\"";
    for (size_t count = random_() % 12; count > 0; --count) {
      text += kPieces[random_() % std::size(kPieces)];
    }
    return text + "\"";
  }

  template <typename Item>
  std::string Joined(const char* open, const char* close, const Item& item) {
    std::string text = open;
    const size_t count = random_() % 5;
    for (size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ", ") + item();
    return text + close;
  }

  std::mt19937 random_;
};

void ExpectSame(const Node& a, const Node& b) {
  ASSERT_EQ(static_cast<int>(a.kind), static_cast<int>(b.kind));
  ASSERT_EQ(a.key, b.key);
  ASSERT_EQ(a.text, b.text);
  ASSERT_EQ(a.quoted, b.quoted);
  ASSERT_EQ(a.children.size(), b.children.size());
  for (size_t i = 0; i < a.children.size(); ++i) ASSERT_NO_FATAL_FAILURE(ExpectSame(*a.children[i], *b.children[i]));
}

TEST(WriteFlow, ReadsBackTheSame) {
  size_t bytes = 0;
  for (unsigned seed = 0; seed < 5000; ++seed) {
    // Not a text alone, which a document may be but no configuration is.
    const std::string text = absl::StrCat("[", Maker(seed).Value(4), "]");
    const auto first = Document::Parse(text, "f.yaml", {});
    ASSERT_TRUE(first.ok() && (*first)->status().ok()) << first.status() << (*first)->status() << text;
    const std::string written = WriteFlow((*first)->root());
    EXPECT_EQ(written.find('\n'), std::string::npos);
    const auto second = Document::Parse(written, "f.yaml", {});
    ASSERT_TRUE(second.ok() && (*second)->status().ok()) << written;
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*(*first)->root().node(), *(*second)->root().node())) << written;
    bytes += written.size();
  }
  // They were not all empty.
  EXPECT_GT(bytes, 100'000u);
}

}  // namespace
}  // namespace certcast::yaml
