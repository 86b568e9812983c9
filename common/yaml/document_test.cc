#include "common/yaml/document.h"

#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/yaml/value.h"
#include "gtest/gtest.h"

namespace certcast::yaml {
namespace {

std::string ErrorOf(absl::string_view text, const Limits& limits = {}) {
  const auto document = Document::Parse(text, "f.yaml", limits);
  return std::string((document.ok() ? (*document)->status() : document.status()).message());
}

struct Strictness {
  const char* name;
  std::string text;
  std::string error;
};

void PrintTo(const Strictness& strictness, std::ostream* out) {
  *out << strictness.text;
}

class Refuses : public testing::TestWithParam<Strictness> {};

TEST_P(Refuses, WithThePlace) {
  EXPECT_EQ(ErrorOf(GetParam().text), GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Yaml, Refuses,
    testing::Values(
        Strictness{"KeyTwiceFarApart", "a: 1\nb: {c: 1}\na: 2\n",
                   R"(f.yaml:3:1: found the key "a" a second time; the first is at line 1, column 1)"},
        Strictness{"EveryRepetition", "a: 1\na: 2\na: 3\n",
                   R"(f.yaml:2:1: found the key "a" a second time; the first is at line 1, column 1
f.yaml:3:1: found the key "a" a second time; the first is at line 1, column 1)"},
        Strictness{"QuotedKeyTwice", "a: 1\n\"a\": 2\n",
                   R"(f.yaml:2:1: found the key "a" a second time; the first is at line 1, column 1)"},
        Strictness{"ListAsKey", "[a]: 1\n", "f.yaml:1:1: not valid YAML: expected a text as key"},
        Strictness{"MapAsKey", "? {a: 1}\n: 1\n", "f.yaml:1:3: not valid YAML: expected a text as key"},
        Strictness{"NothingAsKey", "? \n: 1\n", "f.yaml:2:1: not valid YAML: expected a text as key"},
        Strictness{"AliasAsKey", "a: &x b\n*x : 1\n",
                   R"(f.yaml:1:4: found an anchor (&), which is not supported; write the value out
f.yaml:2:1: found an alias (*), which is not supported; write the value out
f.yaml:2:1: not valid YAML: a value that begins with * must be in quotes, as in "*.example.com")"},
        Strictness{"AnchorOnAMap", "a: &x {b: 1}\n",
                   "f.yaml:1:4: found an anchor (&), which is not supported; write the value out"},
        Strictness{"TagOnAList", "a: !!set [b]\n",
                   R"(f.yaml:1:4: found the tag "tag:yaml.org,2002:set", expected none; put texts in quotes instead)"},
        Strictness{"UnclosedDoubleQuote", "a: 1\nb: \"x\nc: 2\n",
                   "f.yaml:2:4: not valid YAML: this quote is not closed"},
        Strictness{"UnclosedSingleQuote", "b: 'it''s\n", "f.yaml:1:4: not valid YAML: this quote is not closed"},
        Strictness{"EscapedClosingQuote", "b: \"x\\\"\n", "f.yaml:1:4: not valid YAML: this quote is not closed"},
        Strictness{"TextAfterAQuote", "b: \"x\" y\n",
                   "f.yaml:1:8: not valid YAML: wrong indentation, or something left over after a value"},
        Strictness{
            "UnknownEscape", "b: \"\\q\"\n",
            R"(f.yaml:1:7: not valid YAML: a \ within double quotes that begins no escape: write \\, or use single quotes)"},
        // yaml-cpp puts the byte after it into its message, which here is one of two that make a character.
        Strictness{
            "EscapeOfHalfACharacter", "b: \"\\\xc3\xbc\"\n",
            R"(f.yaml:1:7: not valid YAML: a \ within double quotes that begins no escape: write \\, or use single quotes)"},
        Strictness{
            "EscapeOfTheEnd", "b: \"\\",
            R"(f.yaml:1:6: not valid YAML: a \ within double quotes that begins no escape: write \\, or use single quotes)"},
        Strictness{
            "LessIndented", "  a: 1\n b: 2\n",
            "f.yaml:2:2: not valid YAML: does not belong to the lines above: is it indented less than they are?"},
        Strictness{"SecondDocument", "a: 1\n---\nb: 2\n",
                   "f.yaml:2:1: not valid YAML: a second document begins here, expected one"},
        Strictness{
            "TextAfterTheEnd", "a: 1\n...\nb: 2\n",
            "f.yaml:3:1: not valid YAML: does not belong to the lines above: is it indented less than they are?"},
        Strictness{"ClosedWithoutBeingOpened", "a: {b: 1}}\n",
                   "f.yaml:1:10: not valid YAML: closes what was not opened"},
        Strictness{"Tab", "a:\n\tb: 1\n", "f.yaml:2:3: not valid YAML: indented by a tab; use spaces"},
        Strictness{"ReservedCharacter", "a: @b\n",
                   "f.yaml:1:4: not valid YAML: a value that begins with this character must be in quotes"},
        Strictness{"Backtick", "a: `b`\n",
                   "f.yaml:1:4: not valid YAML: a value that begins with this character must be in quotes"},
        Strictness{"TwoColons", "a: b: c\n",
                   "f.yaml:1:5: not valid YAML: a `: ` that does not belong here: a second one on the line (put the "
                   "text in quotes), wrong indentation, or no space after the `:` above"},
        Strictness{"KeyWithoutSpace", "a:b\nc: d\n",
                   "f.yaml:2:2: not valid YAML: a `: ` that does not belong here: a second one on the line (put the "
                   "text in quotes), wrong indentation, or no space after the `:` above"},
        Strictness{"EndOfTransmission", "a: 1\n\x04\nb: 2\n",
                   "f.yaml:2:1: found the byte 0x04, expected text in UTF-8 without control characters"},
        Strictness{"Nul", std::string("a: 1\0", 5),
                   "f.yaml:1:5: found the byte 0x00, expected text in UTF-8 without control characters"},
        Strictness{"Delete", "a: \x7f\n",
                   "f.yaml:1:4: found the byte 0x7f, expected text in UTF-8 without control characters"},
        Strictness{"Latin1", "a: \xe9\n",
                   "f.yaml:1:4: found the byte 0xe9, expected text in UTF-8 without control characters"},
        Strictness{"OverlongSlash", "a: \xc0\xaf\n",
                   "f.yaml:1:4: found the byte 0xc0, expected text in UTF-8 without control characters"},
        Strictness{"Surrogate", "a: \xed\xa0\x80\n",
                   "f.yaml:1:4: found the byte 0xed, expected text in UTF-8 without control characters"},
        Strictness{"CutCharacter", "a: \xc3",
                   "f.yaml:1:4: found the byte 0xc3, expected text in UTF-8 without control characters"},
        Strictness{"Utf16",
                   std::string("\xff\xfe"
                               "a\0",
                               4),
                   "f.yaml:1:1: found the byte 0xff, expected text in UTF-8 without control characters"},
        Strictness{"C1Control", "a: \xc2\x85\n",
                   "f.yaml:1:4: found the byte 0xc2, expected text in UTF-8 without control characters"}),
    [](const testing::TestParamInfo<Strictness>& info) { return info.param.name; });

TEST(Document, TakesTheYamlThatPeopleWrite) {
  for (const std::string text :
       {"", "# only a comment\n", "---\na: 1\n", "%YAML 1.2\n---\na: 1\n", "\xef\xbb\xbf---\na: 1\n",
        "a: 1\r\nb: 2\r\n", "a: 'it''s'\n", "a: \"say \\\"x\\\"\"\n", "a: |\n  one\n  two\n", "a: >-\n  one\n  two\n",
        "a: [x, y,]\n", "a: {b: c, d: [e]}\n", "a:\n- b\n- c\n", "a: \xf0\x9f\x94\x92\n", "a: 1 # b\n", "a: x#y\n",
        "a: \"x\n  y\"\n"}) {
    EXPECT_EQ(ErrorOf(text), "") << text;
  }
}

TEST(Document, IsBounded) {
  EXPECT_EQ(ErrorOf("a: 1\n", {.bytes = 5}), "");
  EXPECT_EQ(ErrorOf("a: 1\n", {.bytes = 4}), "f.yaml: larger than 4 bytes");
  EXPECT_EQ(ErrorOf("a: [[1]]", {.depth = 3}), "");
  EXPECT_EQ(ErrorOf("a: [[1]]", {.depth = 2}), "f.yaml:1:5: not valid YAML: nested deeper than 2 levels");
  EXPECT_EQ(ErrorOf("a: [1, 2]", {.values = 4}), "");
  EXPECT_EQ(ErrorOf("a: [1, 2]", {.values = 3}), "f.yaml:1:8: not valid YAML: more than 3 values");
}

TEST(Document, SurvivesAnyDepth) {
  for (const std::string open : {"[", "{a: ", "- ", "? "}) {
    std::string text;
    for (int i = 0; i < 20'000; ++i) text += open;
    EXPECT_NE(ErrorOf(text), "") << open;
  }
}

TEST(Document, OrdersErrorsByPlace) {
  auto document = Document::Parse("a: 1\nb: 2\n", "f.yaml", {});
  ASSERT_TRUE(document.ok());
  (*document)->AddError({.line = 2, .column = 4}, "third");
  (*document)->AddError({.line = 2, .column = 1}, "second");
  (*document)->AddError({.line = 1, .column = 4}, "first");
  (*document)->AddError({.line = 2, .column = 4}, "fourth");
  EXPECT_EQ((*document)->status().message(),
            "f.yaml:1:4: first\nf.yaml:2:1: second\nf.yaml:2:4: third\nf.yaml:2:4: fourth");
}

TEST(Document, CountsColumnsInCharacters) {
  auto document = Document::Parse("\"\xc3\xa9\xe2\x82\xac\": 1\n", "f.yaml", {});
  ASSERT_TRUE(document.ok());
  (*document)->root().Children()[0].Fail("here");
  EXPECT_EQ((*document)->status().message(), "f.yaml:1:7: at \"\xc3\xa9\xe2\x82\xac\": here");
}

TEST(Document, ResolvesPathsFromTheFilesDirectory) {
  auto document = Document::Parse("", "/etc/certcast/./x/../f.yaml", {});
  ASSERT_TRUE(document.ok());
  EXPECT_EQ((*document)->absolute_path(), "/etc/certcast/f.yaml");
  EXPECT_EQ((*document)->Resolve("a/b"), "/etc/certcast/a/b");
  EXPECT_EQ((*document)->Resolve("../a//b/"), "/etc/a/b");
  EXPECT_EQ((*document)->Resolve("/a/./b"), "/a/b");
  EXPECT_EQ((*document)->Resolve("/"), "/");
  auto relative = Document::Parse("", "f.yaml", {});
  ASSERT_TRUE(relative.ok());
  EXPECT_TRUE(absl::StartsWith((*relative)->absolute_path(), "/"));
}

TEST(Document, SurvivesRandomBytes) {
  std::mt19937 random(7);
  const std::string alphabet = "ab:-?[]{},#&*!|>'\"%@`\n \t\\0~<\r";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t size = random() % 40; size > 0; --size) text += alphabet[random() % alphabet.size()];
    const std::string error = ErrorOf(text);
    EXPECT_TRUE(error.empty() || absl::StartsWith(error, "f.yaml:")) << text << "\n" << error;
  }
}

}  // namespace
}  // namespace certcast::yaml
