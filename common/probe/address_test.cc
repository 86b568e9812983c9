#include "common/probe/address.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::IsOk;

TEST(ParseHostPortTest, TakesNamesAndNumbers) {
  for (const absl::string_view text :
       {"127.0.0.1:443", "web-01.example.com:8443", "[::1]:443", "[2001:db8::1]:1", "localhost:65535", "a_b:1"}) {
    const auto parsed = ParseHostPort(text);
    ASSERT_THAT(parsed, IsOk()) << text;
    EXPECT_EQ(parsed->ToString(), text);
  }
}

TEST(ParseHostPortTest, RefusesWhatIsNoAddress) {
  for (const absl::string_view text :
       {"",           "443",     "host",    "host:",    ":443",       "host:0",
        "host:65536", "host:+1", "host:-1", "host: 1",  "host:1 ",    "host:https",
        "::1",        "::1:443", "[::1]",   "[::1]443", "[::1:443",   "[host]:1",
        "a b:1",      "a/b:1",   "-h:1",    "host:1:2", "http://h:1", "host:99999999999999999999"}) {
    EXPECT_THAT(ParseHostPort(text), HasCode(absl::StatusCode::kInvalidArgument)) << text;
  }
}

TEST(ParseHostPortTest, SaysWhatIsWrong) {
  EXPECT_EQ(ParseHostPort("web-01").status().message(), "\"web-01\" is not an address: it has no port");
  EXPECT_EQ(ParseHostPort("::1").status().message(),
            "\"::1\" is not an address: an IPv6 address needs brackets, and a port after them");
}

TEST(IsNumericAddressTest, KnowsBothFamilies) {
  EXPECT_TRUE(IsNumericAddress("10.0.0.1"));
  EXPECT_TRUE(IsNumericAddress("::1"));
  EXPECT_FALSE(IsNumericAddress("10.0.0"));
  EXPECT_FALSE(IsNumericAddress("example.com"));
}

TEST(ParseUrlTest, TakesItApart) {
  const auto url = ParseUrl("https://[::1]:8443/health?deep=1#top");
  ASSERT_THAT(url, IsOk());
  EXPECT_TRUE(url->is_https);
  EXPECT_EQ(url->to.ToString(), "[::1]:8443");
  EXPECT_EQ(url->authority, "[::1]:8443");
  EXPECT_EQ(url->path, "/health?deep=1");
}

TEST(ParseUrlTest, FillsInPortAndPath) {
  const auto http = ParseUrl("http://example.com");
  ASSERT_THAT(http, IsOk());
  EXPECT_FALSE(http->is_https);
  EXPECT_EQ(http->to.port, 80);
  EXPECT_EQ(http->path, "/");
  EXPECT_EQ(ParseUrl("https://example.com")->to.port, 443);
  EXPECT_EQ(ParseUrl("https://example.com?x")->path, "/?x");
}

TEST(ParseUrlTest, RefusesWhatCanNotBeProbed) {
  for (const absl::string_view text :
       {"", "example.com", "ftp://example.com/", "https://", "https:///x", "https://user:pw@host/", "https://host:0/",
        "https://host:x/", "https://ho st/", "https://host/a b", "https://host/\r\nX: y", "https://[::1/"}) {
    EXPECT_THAT(ParseUrl(text), HasCode(absl::StatusCode::kInvalidArgument)) << text;
  }
}

}  // namespace
}  // namespace certcast
