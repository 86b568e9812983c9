#include "common/x509/names.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::HasSubstr;

struct Pair {
  absl::string_view pattern;
  absl::string_view host;
};

TEST(NameMatchesTest, Matches) {
  const Pair pairs[] = {
      {"example.com", "example.com"},
      {"EXAMPLE.com", "example.COM"},
      {"*.example.com", "www.example.com"},
      {"*.EXAMPLE.com", "WWW.example.com"},
      {"*.example.com", "xn--bcher-kva.example.com"},
      {"*.a.b.example.com", "x.a.b.example.com"},
      {"localhost", "localhost"},
      {"*.0.example", "1.0.example"},
  };
  for (const Pair& p : pairs) EXPECT_TRUE(NameMatches(p.pattern, p.host)) << p.pattern << " " << p.host;
}

TEST(NameMatchesTest, DoesNotMatch) {
  const Pair pairs[] = {
      {"example.com", "www.example.com"},
      {"www.example.com", "example.com"},
      {"example.com", "example.com."},
      // Exactly one label (RFC 6125 section 6.4.3, item 2).
      {"*.example.com", "example.com"},
      {"*.example.com", "a.b.example.com"},
      {"*.example.com", ".example.com"},
      {"*.example.com", "wwwexample.com"},
      // Only as the whole left-most label (items 1 and 3).
      {"w*.example.com", "www.example.com"},
      {"*w.example.com", "www.example.com"},
      {"www.*.com", "www.example.com"},
      {"**.example.com", "www.example.com"},
      {"*.*.com", "www.example.com"},
      {"*", "localhost"},
      {"*", "example.com"},
      {"*.", "example."},
      // Not for a whole top-level domain.
      {"*.com", "example.com"},
      // Not for addresses.
      {"*.0.0.1", "127.0.0.1"},
      // A host is not a pattern.
      {"*.example.com", "*.example.com"},
      {"", ""},
      {"*.example.com", ""},
      {"", "example.com"},
  };
  for (const Pair& p : pairs) EXPECT_FALSE(NameMatches(p.pattern, p.host)) << p.pattern << " " << p.host;
}

TEST(NameMatchesTest, NulIsACharacterLikeAnyOther) {
  EXPECT_FALSE(NameMatches("example.com", absl::string_view("example.com\0.evil.test", 22)));
  EXPECT_FALSE(NameMatches(absl::string_view("example.com\0.evil.test", 22), "example.com"));
}

TEST(NameAllowedTest, Table) {
  struct {
    std::vector<std::string> allowed;
    absl::string_view name;
    bool expected;
  } const cases[] = {
      {{"*.example.com"}, "*.example.com", true},
      {{"*.EXAMPLE.com"}, "*.example.COM", true},
      {{"*.example.com"}, "a.example.com", true},
      {{"a.example.com"}, "a.example.com", true},
      {{"other.test", "a.example.com"}, "a.example.com", true},
      {{"*"}, "*.example.com", true},
      {{"*"}, "anything.test", true},
      {{"*"}, "192.0.2.1", true},
      {{"192.0.2.1"}, "192.0.2.1", true},
      {{"2001:db8::1"}, "2001:db8::1", true},
      {{"localhost"}, "localhost", true},

      {{"*.example.com"}, "example.com", false},
      {{"*.example.com"}, "a.b.example.com", false},
      {{"*.example.com"}, "*.b.example.com", false},
      {{"a.example.com"}, "*.example.com", false},
      {{"example.com"}, "*.example.com", false},
      {{"*.com"}, "*.example.com", false},
      {{"*.com"}, "example.com", false},
      {{"*.2.1"}, "*.2.1.test", false},
      {{"*.0.2.1"}, "192.0.2.1", false},
      {{"**"}, "example.com", false},
      {{""}, "example.com", false},
      {{"*"}, "", false},
      {{}, "example.com", false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(NameAllowed(c.allowed, c.name), c.expected) << ::testing::PrintToString(c.allowed) << " " << c.name;
  }
}

TEST(CheckDnsNameTest, Accepts) {
  const std::string label(63, 'a');
  for (const std::string& name : std::vector<std::string>{
           "example.com", "*.example.com", "a.b", "xn--bcher-kva.example", "1.example", "A-b.EXAMPLE.com",
           label + ".com", absl::StrCat(label, ".", label, ".", label, ".", std::string(61, 'b')), "3com.com",
           "a.3com"}) {
    EXPECT_THAT(CheckDnsName(name), IsOk()) << name;
  }
}

TEST(CheckDnsNameTest, RefusesAndSaysWhy) {
  const std::string label(63, 'a');
  struct {
    std::string name;
    absl::string_view why;
  } const cases[] = {
      {"", "is empty"},
      {"localhost", "at least two labels"},
      {"*.com", "at least two labels"},
      {"*", "\"*\" may only be the whole first label"},
      {"*.", "empty label"},
      {"a..b", "empty label"},
      {".example.com", "empty label"},
      {"example.com.", "empty label"},
      {"*.*.example.com", "\"*\" may only be the whole first label"},
      {"a.*.example.com", "\"*\" may only be the whole first label"},
      {"w*.example.com", "\"*\" may only be the whole first label"},
      {"-a.example.com", "begins or ends with \"-\""},
      {"a-.example.com", "begins or ends with \"-\""},
      {"a_b.example.com", "has the character \"_\""},
      {"a b.example.com", "has the character \" \""},
      {"example.com/x", "has the character \"/\""},
      {"example.com:443", "has the character \":\""},
      {std::string("example.com\0", 12), "has the character"},
      {"b\xc3\xbc"
       "cher.example",
       "is not ASCII"},
      {label + "a.com", "a label of more than 63"},
      {absl::StrCat(label, ".", label, ".", label, ".", std::string(62, 'b')), "more than 253"},
      {"192.0.2.1", "ends in a number"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(CheckDnsName(c.name), HasCode(absl::StatusCode::kInvalidArgument)) << c.name;
    EXPECT_THAT(CheckDnsName(c.name), HasReason(Reason::REASON_UNSPECIFIED, HasSubstr(std::string(c.why)))) << c.name;
  }
  EXPECT_THAT(FailureOf(CheckDnsName("b\xc3\xbc"
                                     "cher.example"))
                  .hint(),
              HasSubstr("xn--"));
}

}  // namespace
}  // namespace certcast
