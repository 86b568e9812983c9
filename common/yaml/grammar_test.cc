#include "common/yaml/grammar.h"

#include <string>
#include <vector>

#include "common/status/status.h"
#include "gtest/gtest.h"

namespace certcast {
namespace {

TEST(CheckName, TakesWhatIsSafeAsOnePathComponent) {
  for (const std::string name : {"a", "0", "web-01", "web-01.example.com", "a--b"}) {
    EXPECT_TRUE(CheckName(name).ok()) << name;
  }
  EXPECT_TRUE(CheckName(std::string(63, 'a')).ok());
}

TEST(CheckName, RefusesAllElse) {
  for (const std::string name : {"", ".", "..", ".a", "-a", "A", "a b", "a/b", "a_b", "a\n", "\xc3\xa9", "a*", "web-",
                                 "web.", "a..b", "a.-b", "a-.b"}) {
    EXPECT_FALSE(CheckName(name).ok()) << name;
  }
  EXPECT_FALSE(CheckName(std::string(64, 'a')).ok());
  EXPECT_FALSE(CheckName(absl::string_view("a\0b", 3)).ok());
}

TEST(CheckHostName, TakesNamesAlone) {
  for (const std::string name : {"localhost", "www.example.com", "WWW.Example.COM", "a-1.b", "1a.2b"}) {
    EXPECT_TRUE(CheckHostName(name).ok()) << name;
  }
  for (const std::string name :
       {"", "*.example.com", "10.0.0.1", "::1", "a..b", "-a.b", "a-.b", "a.b.", "a_b.c", "a:1", "a/b", "1.2.3"}) {
    EXPECT_FALSE(CheckHostName(name).ok()) << name;
  }
  EXPECT_FALSE(CheckHostName(std::string(64, 'a')).ok());
}

struct Time {
  std::string text;
  absl::Duration duration;
};

class Durations : public testing::TestWithParam<Time> {};

TEST_P(Durations, AreSumsOfNumbersWithUnits) {
  const auto duration = ParseDuration(GetParam().text);
  ASSERT_TRUE(duration.ok()) << duration.status();
  EXPECT_EQ(*duration, GetParam().duration);
}

INSTANTIATE_TEST_SUITE_P(Texts, Durations,
                         testing::Values(Time{"0", absl::ZeroDuration()}, Time{"0s", absl::ZeroDuration()},
                                         Time{"10s", absl::Seconds(10)}, Time{"2m", absl::Minutes(2)},
                                         Time{"1h30m", absl::Minutes(90)}, Time{"15d", absl::Hours(360)},
                                         Time{"1d12h", absl::Hours(36)}, Time{"500ms", absl::Milliseconds(500)},
                                         Time{"1.5s", absl::Milliseconds(1500)},
                                         Time{"1m500ms", absl::Milliseconds(60'500)},
                                         Time{"36500d", absl::Hours(24 * 36500)}));

TEST(ParseDuration, RefusesWhatItIsNotSureOf) {
  for (const std::string text :
       {"",     "10",   "s",   "10 s", " 10s",  "10s ", "-10s", "+10s", "10sec",  "1w",
        "1m1m", "1s1m", "1.s", ".5s",  "1..5s", "1e3s", "inf",  "10S",  "36501d", "9999999999999s"}) {
    EXPECT_FALSE(ParseDuration(text).ok()) << text;
  }
}

TEST(ParseDuration, AsksForTheUnit) {
  const v1::Failure failure = FailureOf(ParseDuration("30").status());
  EXPECT_EQ(failure.detail(), "found \"30\", expected a time such as 30s, 1h30m or 15d");
  EXPECT_EQ(failure.hint(), "a number needs its unit: 30s?");
}

TEST(ShowDuration, IsReadBackAsTheSame) {
  for (const std::string text : {"0", "10s", "1m30s", "1h", "15d", "1d1h1m1s1ms"}) {
    EXPECT_EQ(ShowDuration(*ParseDuration(text)), text);
  }
}

TEST(ParsePercent, IsAboveZeroAndAtMostAHundred) {
  EXPECT_EQ(*ParsePercent("66%"), 66);
  EXPECT_EQ(*ParsePercent("0.5%"), 0.5);
  EXPECT_EQ(*ParsePercent("100%"), 100);
  for (const std::string text :
       {"", "%", "66", "0%", "100.1%", "-5%", "5 %", " 5%", "1.%", ".5%", "1e1%", "5%%", "nan%"}) {
    EXPECT_FALSE(ParsePercent(text).ok()) << text;
  }
}

TEST(ParseWholeNumber, HasDigitsAlone) {
  EXPECT_EQ(*ParseWholeNumber("0"), 0);
  EXPECT_EQ(*ParseWholeNumber("2147483647"), 2147483647);
  for (const std::string text : {"", "-1", "+1", " 1", "1 ", "1.0", "0x1", "2147483648"}) {
    EXPECT_FALSE(ParseWholeNumber(text).ok()) << text;
  }
}

TEST(ParseMode, IsFourOctalDigits) {
  EXPECT_EQ(*ParseMode("0644"), 0644u);
  EXPECT_EQ(*ParseMode("0000"), 0u);
  EXPECT_EQ(*ParseMode("0777"), 0777u);
  // 420 is what a program that read 0644 as a number writes.
  for (const std::string text : {"", "644", "420", "0o644", "4755", "0648", "00644", "u=rw", "-644"}) {
    EXPECT_FALSE(ParseMode(text).ok()) << text;
  }
}

TEST(CheckHostPort, IsWrittenInOneWay) {
  for (const std::string text : {"a:1", "web-01.example.com:443", "10.0.0.1:65535", "[::1]:443", "h_1:80"}) {
    EXPECT_TRUE(CheckHostPort(text).ok()) << text;
  }
  for (const std::string text : {"", "a", ":1", "a:", "a:0", "a:65536", "a:01", "a:1 ", " a:1", "a:+1", "::1:443",
                                 "[::1]", "[::1]443", "[a]:1", "10.0.0.256:1", "10.0.1:1", "1:1", "a b:1"}) {
    EXPECT_FALSE(CheckHostPort(text).ok()) << text;
  }
}

TEST(CheckUrl, TakesTheSchemesThatAreAskedFor) {
  EXPECT_TRUE(CheckUrl("https://a.example/dir?x=y&z", {"https"}).ok());
  EXPECT_TRUE(CheckUrl("https://[::1]:8443", {"https"}).ok());
  EXPECT_TRUE(CheckUrl("http://127.0.0.1:80/", {"https", "http"}).ok());
  EXPECT_FALSE(CheckUrl("http://127.0.0.1:80/", {"https"}).ok());
  for (const std::string text : {"", "https://", "https:///x", "https://a b/", "https://a/#x", "https://a:99999/",
                                 "ftp://a/", "https://a/\xc3\xa9", "https://a/ "}) {
    EXPECT_FALSE(CheckUrl(text, {"https", "http"}).ok()) << text;
  }
  EXPECT_FALSE(CheckUrl("https://a/" + std::string(2048, 'x'), {"https"}).ok());
}

TEST(CheckUrl, DoesNotRepeatAPassword) {
  const absl::Status status = CheckUrl("https://me:hunter2@a.example/x", {"https"});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.ToString().find("hunter2"), std::string::npos);
  // An @ of the path or query is none.
  EXPECT_TRUE(CheckUrl("https://a.example/x@y?z@", {"https"}).ok());
}

TEST(CheckMailto, IsOneAddress) {
  EXPECT_TRUE(CheckMailto("mailto:ops+acme@example.com").ok());
  for (const std::string text : {"", "mailto:", "mailto:ops", "mailto:@a.b", "mailto:a@", "mailto:a@b,c@d", "tel:1",
                                 "mailto:a@b?subject=x", "mailto:a b@c", "MAILTO:a@b"}) {
    EXPECT_FALSE(CheckMailto(text).ok()) << text;
  }
}

TEST(CheckAccountName, IsANameOrANumber) {
  for (const std::string text : {"root", "www-data", "_x", "0", "1000", "4294967294", "systemd-network", "a.b"}) {
    EXPECT_TRUE(CheckAccountName(text).ok()) << text;
  }
  for (const std::string text : {"", "-a", ".a", "a b", "a:b", "4294967295", "4294967296", "a/b"}) {
    EXPECT_FALSE(CheckAccountName(text).ok()) << text;
  }
  EXPECT_FALSE(CheckAccountName(std::string(33, 'a')).ok());
}

TEST(Quoted, EscapesAndCuts) {
  EXPECT_EQ(Quoted("a"), "\"a\"");
  EXPECT_EQ(Quoted("a\n\x1b"), R"("a\n\033")");
  EXPECT_EQ(Quoted(std::string(60, 'x')), "\"" + std::string(60, 'x') + "\"");
  EXPECT_EQ(Quoted(std::string(61, 'x')), "\"" + std::string(60, 'x') + "...\"");
  // Never within a character.
  EXPECT_EQ(Quoted(std::string(59, 'x') + "\xc3\xa9"), "\"" + std::string(59, 'x') + "...\"");
}

TEST(NearestWord, IsWhatWasProbablyMeant) {
  const std::vector<absl::string_view> words = {"name", "nodes", "domains", "terms_of_service_agreed", "at"};
  EXPECT_EQ(NearestWord("nmae", words), "name");
  EXPECT_EQ(NearestWord("node", words), "nodes");
  EXPECT_EQ(NearestWord("domain", words), "domains");
  EXPECT_EQ(NearestWord("terms-of-service-agreed", words), "terms_of_service_agreed");
  EXPECT_EQ(NearestWord("on", words), "");
  EXPECT_EQ(NearestWord("listen", words), "");
  EXPECT_EQ(NearestWord("", words), "");
  EXPECT_EQ(NearestWord(std::string(100'000, 'x'), words), "");
}

}  // namespace
}  // namespace certcast
