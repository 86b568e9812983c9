#include "controller/transport/ssh/known_hosts.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/program.h"
#include "tests/testing/sshd.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;

// "ssh-ed25519", then 32 bytes; the last character tells them apart.
std::string Key(char last) {
  return absl::StrCat("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                      std::string(1, last), "A");
}

KnownHost Find(const std::string& text, const std::string& host, uint16_t port = 22) {
  KnownHost known;
  known.host = host;
  known.name = port == 22 ? host : absl::StrCat("[", host, "]:", port);
  AddKnownHostLines(text, "F", known);
  return known;
}

std::vector<std::string> Places(const std::vector<KnownKey>& keys) {
  std::vector<std::string> places;
  places.reserve(keys.size());
  for (const KnownKey& key : keys) places.push_back(key.place);
  return places;
}

TEST(KnownHosts, FindsTheLinesOfAHost) {
  const std::string text = absl::StrCat("# comment\n\nweb ", Key('A'), " a comment\nother ", Key('B'),
                                        "\n  web,10.0.0.1\t", Key('C'), "\r\n");
  EXPECT_THAT(Places(Find(text, "web").keys), ElementsAre("F:3", "F:5"));
  EXPECT_THAT(Places(Find(text, "10.0.0.1").keys), ElementsAre("F:5"));
  EXPECT_THAT(Find(text, "we").keys, IsEmpty());
  EXPECT_THAT(Find(text, "web").KeyTypes(), ElementsAre("ssh-ed25519"));
}

TEST(KnownHosts, APortOfItsOwnIsADifferentHost) {
  const std::string text = absl::StrCat("web ", Key('A'), "\n[web]:2222 ", Key('B'), "\n");
  EXPECT_THAT(Places(Find(text, "web").keys), ElementsAre("F:1"));
  EXPECT_THAT(Places(Find(text, "web", 2222).keys), ElementsAre("F:2"));
  EXPECT_THAT(Places(Find(text, "web", 2223).keys), IsEmpty());
  EXPECT_THAT(Places(Find(text, "web", 2223).keys_without_port), ElementsAre("F:1"));
}

TEST(KnownHosts, PatternsMatchAndNegationsExclude) {
  const std::string text =
      absl::StrCat("*.example.com,!bad.example.com ", Key('A'), "\nweb? ", Key('B'), "\nWEB* ", Key('C'), "\n");
  EXPECT_THAT(Places(Find(text, "a.example.com").keys), ElementsAre("F:1"));
  EXPECT_THAT(Find(text, "bad.example.com").keys, IsEmpty());
  EXPECT_THAT(Find(text, "example.com").keys, IsEmpty());
  EXPECT_THAT(Places(Find(text, "web1").keys), ElementsAre("F:2", "F:3"));
  EXPECT_THAT(Places(Find(text, "web").keys), ElementsAre("F:3"));
}

TEST(KnownHosts, MarkersAreKeptApart) {
  const std::string text = absl::StrCat("@cert-authority *.example.com ", Key('A'), "\n@revoked * ", Key('B'),
                                        "\na.example.com ", Key('C'), "\n@other * ", Key('D'), "\n");
  const KnownHost known = Find(text, "a.example.com");
  EXPECT_THAT(Places(known.authorities), ElementsAre("F:1"));
  EXPECT_THAT(Places(known.revoked), ElementsAre("F:2"));
  EXPECT_THAT(Places(known.keys), ElementsAre("F:3"));
  EXPECT_THAT(known.broken, ElementsAre(HasSubstr("F:4: the marker @other")));
  // The authority and what is revoked hold for every port.
  EXPECT_THAT(Places(Find(text, "a.example.com", 2222).authorities), ElementsAre("F:1"));
}

TEST(KnownHosts, ALineThatDoesNotParseIsToldOfAndNotBelieved) {
  const KnownHost known = Find("web ssh-ed25519 !!!\nweb ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==\nweb\n", "web");
  EXPECT_THAT(known.keys, IsEmpty());
  EXPECT_THAT(known.broken,
              ElementsAre(HasSubstr("F:1: "), HasSubstr("F:2: the key is not of type ssh-rsa"), HasSubstr("F:3")));
}

TEST(KnownHosts, ReadsNamesThatSshKeygenHashed) {
  testing::TemporaryDirectory directory;
  const std::string file = directory.path() + "/known_hosts";
  ASSERT_THAT(testing::WriteFile(file, absl::StrCat("web ", Key('A'), "\n[web]:2222 ", Key('B'), "\n")), IsOk());
  ASSERT_THAT(testing::RunSshKeygen({"-H", "-f", file}), IsOk());
  ASSERT_THAT(testing::ReadFile(file), ::testing::Not(HasSubstr("web")));
  absl::StatusOr<KnownHost> known = FindKnownHost({file}, {"WEB", 2222});
  ASSERT_THAT(known, IsOk());
  EXPECT_THAT(Places(known->keys), ElementsAre(file + ":2"));
  EXPECT_THAT(known->keys_without_port, IsEmpty());
  known = FindKnownHost({file}, {"webs", 22});
  ASSERT_THAT(known, IsOk());
  EXPECT_THAT(known->keys, IsEmpty());
}

TEST(KnownHosts, OneOfSeveralFilesMayBeMissing) {
  testing::TemporaryDirectory directory;
  const std::string missing = directory.path() + "/missing";
  EXPECT_THAT(FindKnownHost({missing, "/dev/null"}, {"web", 22}), IsOk());
  EXPECT_THAT(FindKnownHost({missing}, {"web", 22}), testing::HasCode(absl::StatusCode::kNotFound));
  EXPECT_FALSE(FindKnownHost({directory.path()}, {"web", 22}).ok());
}

TEST(KnownHosts, PatternsDoNotTakeExponentialTime) {
  EXPECT_FALSE(MatchesHostPattern("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(200, 'a')));
  EXPECT_TRUE(MatchesHostPattern("*", ""));
  EXPECT_TRUE(MatchesHostPattern("a*c*", "abcabc"));
  EXPECT_FALSE(MatchesHostPattern("", "a"));
}

}  // namespace
}  // namespace certcast::controller
