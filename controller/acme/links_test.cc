#include "controller/acme/links.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Links, FindsTheTargetsOfARelation) {
  EXPECT_THAT(LinksIn(R"(<https://ca.test/cert/1/1>;rel="alternate")", "alternate"),
              ElementsAre("https://ca.test/cert/1/1"));
  EXPECT_THAT(LinksIn(R"(<https://a.test/1>;rel=alternate, <https://a.test/dir>; rel="index" , )"
                      R"(<https://a.test/2,3> ; title="a, \"b\"; c" ; REL="up Alternate")",
                      "alternate"),
              ElementsAre("https://a.test/1", "https://a.test/2,3"));
}

TEST(Links, TheFirstRelationCounts) {
  EXPECT_THAT(LinksIn(R"(<https://a.test/1>; rel="index"; rel="alternate")", "alternate"), IsEmpty());
}

TEST(Links, WhatIsNoPlainUrlIsLeftOut) {
  EXPECT_THAT(
      LinksIn(R"(<http://a.test/1>;rel="alternate", </cert/2>;rel="alternate", <https://a.test/ 3>;rel=alternate)",
              "alternate"),
      IsEmpty());
}

TEST(Links, WhatDoesNotParseEndsTheReading) {
  for (const char* broken : {"", "<", "<https://a.test/1", "https://a.test/1; rel=alternate", "<https://a.test/1>;rel",
                             "<https://a.test/1>;;;=;rel=\"alter", ">;rel=alternate", "<https://a.test/1>;rel=\"\\"}) {
    EXPECT_THAT(LinksIn(broken, "alternate"), IsEmpty()) << broken;
  }
}

TEST(Links, AllHeadersCountButNoMoreThanTen) {
  HttpResponse response;
  response.headers = {{"link", "<https://a.test/dir>;rel=\"index\""}, {"location", "<https://a.test/1>;rel=alternate"}};
  EXPECT_THAT(AlternatesOf(response), IsEmpty());
  for (int i = 0; i < 12; ++i) response.headers.emplace_back("link", "<https://a.test/x>;rel=alternate");
  EXPECT_THAT(AlternatesOf(response), SizeIs(10));
}

}  // namespace
}  // namespace certcast::controller
