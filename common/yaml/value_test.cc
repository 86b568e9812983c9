#include "common/yaml/value.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/yaml/first_seen.h"
#include "common/yaml/secret.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::yaml {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// One line `v: TEXT`, and what reading v finds wrong with it.
class ValueTest : public testing::Test {
 protected:
  Value Of(absl::string_view text) {
    auto document = Document::Parse(absl::StrCat("v: ", text, "\n"), "/d/f.yaml", {});
    EXPECT_TRUE(document.ok()) << document.status();
    document_ = *std::move(document);
    return Map(document_->root()).Find("v");
  }

  // Without "/d/f.yaml:1:4: at v: ".
  std::string Error() const {
    std::string text(document_->status().message());
    const size_t at = text.find("at v: ");
    return at == std::string::npos ? text : text.substr(at + 6);
  }

  std::unique_ptr<Document> document_;
};

TEST_F(ValueTest, AbsenceReportsNothingAndGivesDefaults) {
  const Value none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.Text(), "");
  EXPECT_EQ(none.Name(), "");
  EXPECT_EQ(none.HostPort(), "");
  EXPECT_EQ(none.Path(), "");
  EXPECT_EQ(none.AbsolutePath(), "");
  EXPECT_EQ(none.Mode(0600), 0600u);
  EXPECT_EQ(none.Percent(5), 5);
  EXPECT_EQ(none.Integer(1, 2, 7), 7);
  EXPECT_TRUE(none.Boolean(true));
  EXPECT_EQ(none.Duration(absl::ZeroDuration(), absl::Hours(1), absl::Minutes(1)), absl::Minutes(1));
  EXPECT_THAT(none.Items("", 1, 2), IsEmpty());
  EXPECT_THAT(none.Entries(""), IsEmpty());
  EXPECT_FALSE(none.ReadMap("", {}));
  EXPECT_FALSE(Map().Require("x"));
  EXPECT_FALSE(Map().RequireOneOf({"x"}));
  EXPECT_TRUE(ReadSecretReference(none).empty());
}

TEST_F(ValueTest, PlainWordsAndNumbersAreTexts) {
  for (const std::string text : {"abc", "0644", "true", "1.5", "2026-03-15", "yes"}) EXPECT_EQ(Of(text).Text(), text);
  EXPECT_EQ(Of("\"\"").Text(), "");
  EXPECT_EQ(Error(), "found an empty text, expected a text");
  for (const std::string text : {"", "~", "null"}) {
    EXPECT_EQ(Of(text).Text(), "");
    EXPECT_EQ(document_->status().message(), "/d/f.yaml:1:1: at v: found nothing, expected a text") << text;
  }
  EXPECT_EQ(Of("{a: b}").Text(), "");
  EXPECT_EQ(Error(), "found a map, expected a text");
}

TEST_F(ValueTest, BooleansAreTwoWordsWithoutQuotes) {
  EXPECT_TRUE(Of("true").Boolean(false));
  EXPECT_FALSE(Of("false").Boolean(true));
  for (const std::string text : {"yes", "no", "on", "True", "TRUE", "1", "y"}) {
    EXPECT_FALSE(Of(text).Boolean(false));
    EXPECT_EQ(Error(), absl::StrCat("found \"", text, "\", expected true or false"));
  }
  EXPECT_FALSE(Of("'true'").Boolean(false));
  EXPECT_EQ(Error(), "found \"true\", expected true or false; write it without quotes");
}

TEST_F(ValueTest, IntegersAreBounded) {
  EXPECT_EQ(Of("5").Integer(5, 6, 0), 5);
  EXPECT_EQ(Of("6").Integer(5, 6, 0), 6);
  for (const std::string text : {"4", "7", "5.0", "0x5", "-5", "5e0", "99999999999"}) {
    EXPECT_EQ(Of(text).Integer(5, 6, 0), 0);
    EXPECT_EQ(Error(), absl::StrCat("found \"", text, "\", expected a whole number from 5 to 6"));
  }
}

TEST_F(ValueTest, ModesAreOctalTextWithOrWithoutQuotes) {
  EXPECT_EQ(Of("\"0644\"").Mode(0), 0644u);
  EXPECT_EQ(Of("0644").Mode(0), 0644u);
  EXPECT_EQ(Of("420").Mode(0600), 0600u);
  EXPECT_EQ(Error(),
            "found \"420\", expected permissions as four octal digits, the first of them 0; write them as \"0644\"");
}

TEST_F(ValueTest, DurationsAreBounded) {
  const auto read = [&](absl::string_view text) {
    return Of(text).Duration(absl::Seconds(1), absl::Hours(1), absl::Minutes(1));
  };
  EXPECT_EQ(read("1s"), absl::Seconds(1));
  EXPECT_EQ(read("1h"), absl::Hours(1));
  EXPECT_EQ(read("999ms"), absl::Minutes(1));
  EXPECT_EQ(Error(), "found \"999ms\", expected a time from 1s to 1h");
  EXPECT_EQ(read("61m"), absl::Minutes(1));
  EXPECT_EQ(Error(), "found \"61m\", expected a time from 1s to 1h");
  EXPECT_EQ(read("[1s]"), absl::Minutes(1));
  EXPECT_EQ(Error(), "found a list, expected a time such as 30s, 1h30m or 15d");
}

TEST_F(ValueTest, PathsAreAbsoluteOrRelativeToTheFile) {
  EXPECT_EQ(Of("x/y").Path(), "/d/x/y");
  EXPECT_EQ(Of("/x//y/").Path(), "/x/y");
  EXPECT_EQ(Of("/x/./y").AbsolutePath(), "/x/y");
  for (const std::string text : {"x/y", "./x", "/x/../y", "/.."}) {
    EXPECT_EQ(Of(text).AbsolutePath(), "");
    EXPECT_EQ(Error(), absl::StrCat("found \"", text, "\", expected an absolute path without .."));
  }
}

TEST_F(ValueTest, WordsAreListed) {
  EXPECT_EQ(Of("stop").Word({"revert", "stop"}), "stop");
  EXPECT_EQ(Of("revrt").Word({"revert", "stop"}), "revert");
  EXPECT_EQ(Error(), "found \"revrt\", expected one of revert, stop; did you mean revert?");
  EXPECT_EQ(Of("undo").Word({"exec"}), "exec");
  EXPECT_EQ(Error(), "found \"undo\", expected exec");
}

TEST_F(ValueTest, ListsAreBounded) {
  EXPECT_THAT(Of("[a, b]").Texts("a list of words", 1, 2), ElementsAre("a", "b"));
  EXPECT_THAT(Of("[]").Texts("a list of words", 1, 2), IsEmpty());
  EXPECT_EQ(Error(), "found an empty list, expected a list of words");
  EXPECT_THAT(Of("[a, b, c]").Texts("a list of words", 1, 2), ElementsAre("a", "b"));
  EXPECT_EQ(Error(), "found 3 items, expected at most 2");
  EXPECT_THAT(Of("a").Texts("a list of words", 1, 2), IsEmpty());
  EXPECT_EQ(Error(), "found \"a\", expected a list of words");
  EXPECT_THAT(Of("[a, [b]]").Texts("a list of words", 1, 2), SizeIs(2));
  EXPECT_EQ(document_->status().message(), "/d/f.yaml:1:8: at v[1]: found a list, expected a text");
}

TEST_F(ValueTest, UnknownKeysAreErrorsAtTheKey) {
  EXPECT_TRUE(Of("{name: x}").ReadMap("a thing", {"name", "mode"}));
  EXPECT_EQ(Error(), "");
  Of("{name: x, mod: y, other: z}").ReadMap("a thing", {"name", "mode"});
  EXPECT_EQ(document_->status().message(),
            "/d/f.yaml:1:14: at v: unknown key \"mod\"; did you mean mode?\n"
            "/d/f.yaml:1:22: at v: unknown key \"other\"; known here: name, mode");
  EXPECT_FALSE(Of("[]").ReadMap("a thing", {"name"}));
  EXPECT_EQ(Error(), "found a list, expected a thing");
}

TEST_F(ValueTest, MissingKeysAreErrorsWhereTheMapBegins) {
  const Map map(Of("{a: 1, b: 2}"));
  EXPECT_TRUE(map.Require("a"));
  EXPECT_FALSE(map.Require("c", "like this"));
  EXPECT_EQ(document_->status().message(), "/d/f.yaml:1:4: at v: missing key \"c\"; like this");
}

TEST_F(ValueTest, ExactlyOneOf) {
  EXPECT_EQ(Map(Of("{a: 1}")).RequireOneOf({"a", "b"}).Text(), "1");
  EXPECT_FALSE(Map(Of("{c: 1}")).RequireOneOf({"a", "b"}));
  EXPECT_EQ(Error(), "found none of a, b, expected exactly one");
  EXPECT_FALSE(Map(Of("{a: 1, b: 2}")).RequireOneOf({"a", "b"}));
  EXPECT_EQ(Error(), "found several of a, b, expected exactly one");
}

TEST_F(ValueTest, PositionsAreQuotedWhereTheyMustBe) {
  const Value value = Of("[{\"a.b\": [x]}, {c_d: {e-f: y}}]");
  const Value first = Map(value.Children()[0]).Find("a.b").Children()[0];
  const Value second = Map(Map(value.Children()[1]).Find("c_d")).Find("e-f");
  EXPECT_EQ(first.Position(), "v[0].\"a.b\"[0]");
  EXPECT_EQ(second.Position(), "v[1].c_d.e-f");
  EXPECT_EQ(document_->root().Position(), "");
}

TEST_F(ValueTest, RefusedValuesSayNothingMore) {
  auto document = Document::Parse("a: &x 1\nb: *x\n", "f.yaml", {});
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(Map((*document)->root()).Find("b").Text(), "");
  EXPECT_EQ((*document)->status().message(),
            "f.yaml:1:4: found an anchor (&), which is not supported; write the value out\n"
            "f.yaml:2:4: found an alias (*), which is not supported; write the value out");
}

TEST_F(ValueTest, ThingsThatAreThereTwiceNameTheFirst) {
  FirstSeen seen("the name");
  const std::vector<Value> items = Of("[a, b, a, a]").Children();
  EXPECT_TRUE(seen.Add("a", items[0]));
  EXPECT_TRUE(seen.Add("b", items[1]));
  EXPECT_FALSE(seen.Add("a", items[2]));
  EXPECT_TRUE(seen.Add("", items[3]));
  EXPECT_TRUE(seen.Add("", items[3]));
  EXPECT_EQ(document_->status().message(),
            "/d/f.yaml:1:11: at v[2]: found the name \"a\" a second time; the first is at line 1, column 5");
}

TEST_F(ValueTest, SecretsAreReferences) {
  SecretReference reference = ReadSecretReference(Of("{file: k}"));
  EXPECT_EQ(reference.kind, SecretReference::Kind::kFile);
  EXPECT_EQ(reference.name, "/d/k");
  reference = ReadSecretReference(Of("{env: MY_KEY1}"));
  EXPECT_EQ(reference.kind, SecretReference::Kind::kEnvironment);
  EXPECT_EQ(reference.name, "MY_KEY1");
  reference = ReadSecretReference(Of("{credential: my.key-1}"));
  EXPECT_EQ(reference.kind, SecretReference::Kind::kCredential);
  EXPECT_EQ(reference.name, "my.key-1");
}

TEST_F(ValueTest, WhatMayBeASecretIsNeverRepeated) {
  for (const std::string text :
       {"hunter2", "{hunter2}", "{hunter2: x}", "{key: hunter2}", "[hunter2]", "{env: \"hunter2!\"}", "{env: 1hunter2}",
        "{credential: /hunter2}", "{credential: .hunter2}", "{credential: [hunter2]}", "{file: a, env: hunter2}", "{}",
        "{env: }"}) {
    EXPECT_TRUE(ReadSecretReference(Of(text)).empty()) << text;
    EXPECT_FALSE(document_->status().ok()) << text;
    EXPECT_EQ(document_->status().ToString().find("hunter2"), std::string::npos) << document_->status();
  }
}

}  // namespace
}  // namespace certcast::yaml
