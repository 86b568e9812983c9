#include "node/engine/layout.h"

#include <optional>
#include <utility>

#include "gtest/gtest.h"

namespace certcast::node {
namespace {

Service WithPaths(const std::vector<std::string>& paths) {
  Service service{.name = "nginx", .certificate = "wildcard"};
  for (const std::string& path : paths) service.files.push_back({.path = path});
  return service;
}

TEST(Layout, AFileIsCalledAsTheLastPartOfItsPath) {
  const Service service = WithPaths({"/etc/nginx/a.pem", "/etc/nginx/b.pem"});
  EXPECT_EQ(FileNameOf(service, service.files[0]), "a.pem");
  EXPECT_EQ(Layout("/state/").LinkTarget(service, service.files[1]),
            "/state/certificates/wildcard/current/nginx/b.pem");
}

TEST(Layout, FilesOfOneNameAreCalledByTheirWholePaths) {
  const Service service = WithPaths({"/a/x.pem", "/b/x.pem", "/b/y.pem"});
  EXPECT_EQ(FileNameOf(service, service.files[0]), "%2Fa%2Fx.pem");
  EXPECT_EQ(FileNameOf(service, service.files[1]), "%2Fb%2Fx.pem");
  EXPECT_EQ(FileNameOf(service, service.files[2]), "y.pem");
}

TEST(Layout, TheOrderOfFilesDoesNotMatter) {
  const Service one = WithPaths({"/a/x.pem", "/b/x.pem"});
  const Service other = WithPaths({"/b/x.pem", "/a/x.pem"});
  EXPECT_EQ(FileNameOf(one, one.files[0]), FileNameOf(other, other.files[1]));
}

TEST(Layout, AFileThatIsCalledLikeAnEncodedPathDoesNotMeetIt) {
  const Service service = WithPaths({"/a/x.pem", "/b/x.pem", "/b/%2Fa%2Fx.pem"});
  EXPECT_NE(FileNameOf(service, service.files[2]), FileNameOf(service, service.files[0]));
}

TEST(Layout, DirectoryNamesAreReadAsTheyAreWritten) {
  EXPECT_EQ(GenerationDirectoryName(7, 0), "7");
  EXPECT_EQ(GenerationDirectoryName(7, 2), "7.2");
  EXPECT_EQ(ParseGenerationDirectoryName("7"), std::make_pair(uint64_t{7}, uint64_t{0}));
  EXPECT_EQ(ParseGenerationDirectoryName("7.2"), std::make_pair(uint64_t{7}, uint64_t{2}));
  for (const char* wrong : {"", ".", "..", "7.", ".7", "7.0", "07", "7.02", "+7", " 7", "7.1.1", "x", "-1"}) {
    EXPECT_EQ(ParseGenerationDirectoryName(wrong), std::nullopt) << wrong;
  }
}

TEST(Layout, ALinkTargetTellsItsState) {
  const Service service = WithPaths({"/a/x.pem", "/b/x.pem"});
  EXPECT_EQ(StateOfLinkTarget(Layout("/var/lib/state").LinkTarget(service, service.files[1])), "/var/lib/state");
  for (const char* other :
       {"", "/", "x", "/certificates/c/current/s/f", "s/certificates/c/current/s/f", "/s/certificates/c/current/s",
        "/s/certificates/c/generations/1/s/f", "/s/certificates/c/current/s/f/g", "/etc/letsencrypt/live/c/a.pem"}) {
    EXPECT_EQ(StateOfLinkTarget(other), std::nullopt) << other;
  }
}

TEST(Layout, OnlyLinksToGenerationsAreOurs) {
  EXPECT_EQ(ParseGenerationLink(GenerationLink("7.1")), "7.1");
  for (const char* wrong :
       {"generations", "generations/", "generations/../x", "generations/7/nginx", "7", "/generations/7"}) {
    EXPECT_EQ(ParseGenerationLink(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace certcast::node
