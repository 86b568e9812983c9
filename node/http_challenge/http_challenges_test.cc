#include "node/http_challenge/http_challenges.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "certcast/state/v1/node.pb.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fault_file_system.h"
#include "tests/testing/memory_file_system.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;

constexpr char kState[] = "/var/lib/node";
constexpr char kFile[] = "/var/www/.well-known/acme-challenge/tok";
constexpr char kNote[] = "/var/lib/node/http-challenges/tok";

HttpChallenges::Challenge Challenge(absl::string_view token, absl::Duration lifetime = absl::Minutes(10)) {
  return {.token = std::string(token),
          .key_authorization = absl::StrCat(token, ".", std::string(43, 'T')),
          .lifetime = lifetime};
}

// A machine on which one process runs after the other.
class HttpChallengesTest : public ::testing::Test {
 protected:
  HttpChallengesTest() {
    disk_.PutDirectory("/var/www", {.mode = 0755});
    disk_.PutDirectory(kState, {.mode = 0755});
  }

  testing::MemoryFileSystem disk_;
  testing::FakeClock clock_;
  const HttpChallengePlace webroot_{.webroot = "/var/www", .listen = ""};
  const HttpChallengePlace listen_{.webroot = "", .listen = "127.0.0.1:0"};
};

TEST_F(HttpChallengesTest, PutsAndRemoves) {
  HttpChallenges challenges(disk_, clock_);
  ASSERT_THAT(challenges.Put(webroot_, kState, Challenge("tok")), IsOk());
  ASSERT_THAT(challenges.Put(webroot_, kState, Challenge("tok")), IsOk());
  EXPECT_EQ(disk_.GetFile(kFile), Challenge("tok").key_authorization);
  EXPECT_TRUE(disk_.Exists(kNote));
  ASSERT_THAT(challenges.Remove(kState, "tok"), IsOk());
  EXPECT_FALSE(disk_.Exists(kFile));
  EXPECT_FALSE(disk_.Exists(kNote));
  EXPECT_THAT(challenges.Remove(kState, "tok"), IsOk());
}

TEST_F(HttpChallengesTest, TakesAwayWhatIsOverdue) {
  HttpChallenges challenges(disk_, clock_);
  ASSERT_THAT(challenges.Put(webroot_, kState, Challenge("tok", absl::Minutes(1))), IsOk());
  ASSERT_THAT(challenges.Put(listen_, kState, Challenge("other", absl::Minutes(3))), IsOk());
  clock_.Advance(absl::Seconds(61));
  ASSERT_THAT(challenges.RemoveOverdue(), IsOk());
  EXPECT_FALSE(disk_.Exists(kFile));
  EXPECT_FALSE(disk_.Exists(kNote));
  EXPECT_NE(challenges.listening_port(), 0);
  clock_.Advance(absl::Minutes(2));
  ASSERT_THAT(challenges.RemoveOverdue(), IsOk());
  EXPECT_EQ(challenges.listening_port(), 0);
}

TEST_F(HttpChallengesTest, ItsOwnThreadLooksToo) {
  HttpChallenges challenges(disk_, clock_);
  ASSERT_THAT(challenges.Put(webroot_, kState, Challenge("tok", absl::Minutes(1))), IsOk());
  clock_.Advance(absl::Minutes(2));
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (disk_.Exists(kFile) && absl::Now() < give_up) {
  }
  EXPECT_FALSE(disk_.Exists(kFile));
}

TEST_F(HttpChallengesTest, TakesItsOwnAwayWhenItEnds) {
  {
    HttpChallenges challenges(disk_, clock_);
    ASSERT_THAT(challenges.Put(webroot_, kState, Challenge("tok")), IsOk());
  }
  EXPECT_FALSE(disk_.Exists(kFile));
  EXPECT_FALSE(disk_.Exists(kNote));
}

TEST_F(HttpChallengesTest, AListenerIsThereWhileItHasSomethingToShow) {
  HttpChallenges challenges(disk_, clock_);
  EXPECT_EQ(challenges.listening_port(), 0);
  ASSERT_THAT(challenges.Put(listen_, kState, Challenge("a")), IsOk());
  ASSERT_THAT(challenges.Put(listen_, kState, Challenge("b")), IsOk());
  ASSERT_THAT(challenges.Remove(kState, "a"), IsOk());
  EXPECT_NE(challenges.listening_port(), 0);
  EXPECT_THAT(challenges.Put({.webroot = "", .listen = "127.0.0.2:0"}, kState, Challenge("c")),
              HasReason(Reason::BUSY, HasSubstr("127.0.0.1:0")));
  ASSERT_THAT(challenges.Remove(kState, "b"), IsOk());
  EXPECT_EQ(challenges.listening_port(), 0);
  EXPECT_FALSE(disk_.Exists(kNote));
}

// As after a reload with another node.yaml, when a controller asks once more.
TEST_F(HttpChallengesTest, ATokenThatMovesLeavesNothingWhereItWas) {
  HttpChallenges challenges(disk_, clock_);
  ASSERT_THAT(challenges.Put(webroot_, kState, Challenge("tok")), IsOk());
  ASSERT_THAT(challenges.Put(listen_, kState, Challenge("tok")), IsOk());
  EXPECT_FALSE(disk_.Exists(kFile));
  EXPECT_FALSE(disk_.Exists(kNote));
  EXPECT_NE(challenges.listening_port(), 0);
  ASSERT_THAT(challenges.Put({.webroot = "", .listen = "127.0.0.2:0"}, kState, Challenge("tok")), IsOk());
  ASSERT_THAT(challenges.Put(webroot_, kState, Challenge("tok")), IsOk());
  EXPECT_TRUE(disk_.Exists(kFile));
  EXPECT_EQ(challenges.listening_port(), 0);
}

TEST_F(HttpChallengesTest, RefusesWhatIsNoChallenge) {
  HttpChallenges challenges(disk_, clock_);
  EXPECT_THAT(challenges.Put(webroot_, kState, Challenge("../x")), HasReason(Reason::MALFORMED));
  EXPECT_THAT(challenges.Put(webroot_, kState, Challenge("tok", absl::ZeroDuration())), HasReason(Reason::MALFORMED));
  EXPECT_THAT(challenges.Put(webroot_, kState, Challenge("tok", absl::Hours(25))), HasReason(Reason::MALFORMED));
  EXPECT_THAT(challenges.Remove(kState, "../x"), HasReason(Reason::MALFORMED));
  EXPECT_FALSE(disk_.Exists(kFile));
}

TEST_F(HttpChallengesTest, AFloodOfThemIsRefused) {
  HttpChallenges challenges(disk_, clock_);
  for (int i = 0; i < 256; ++i) ASSERT_THAT(challenges.Put(webroot_, kState, Challenge(absl::StrCat("t", i))), IsOk());
  EXPECT_THAT(challenges.Put(webroot_, kState, Challenge("tok")), HasReason(Reason::BUSY));
  EXPECT_THAT(challenges.Put(webroot_, kState, Challenge("t1")), IsOk());
}

TEST_F(HttpChallengesTest, WhatALaterProcessFindsItLeavesUntilItIsOverdue) {
  testing::FaultFileSystem files(disk_);
  auto killed = std::make_unique<HttpChallenges>(files, clock_);
  ASSERT_THAT(killed->Put(webroot_, kState, Challenge("tok")), IsOk());
  files.CrashAt(files.count() + 1);
  killed.reset();
  ASSERT_TRUE(disk_.Exists(kFile));
  {
    HttpChallenges next(disk_, clock_);
    ASSERT_THAT(next.TakeUp(kState), IsOk());
  }
  EXPECT_TRUE(disk_.Exists(kFile));
  clock_.Advance(absl::Minutes(11));
  HttpChallenges last(disk_, clock_);
  ASSERT_THAT(last.TakeUp(kState), IsOk());
  EXPECT_FALSE(disk_.Exists(kFile));
  EXPECT_FALSE(disk_.Exists(kNote));
}

TEST_F(HttpChallengesTest, ANoteOfAClockThatWasWrongIsNotWaitedFor) {
  state::v1::ShownHttpChallenge note;
  note.set_webroot("/var/www");
  note.mutable_remove_after()->set_seconds(absl::ToUnixSeconds(clock_.Now() + absl::Hours(24 * 365)));
  disk_.PutFile(kNote, note.SerializeAsString());
  disk_.PutFile(kFile, "x");
  disk_.PutFile("/var/lib/node/http-challenges/torn", "\xff");
  HttpChallenges challenges(disk_, clock_);
  ASSERT_THAT(challenges.TakeUp(kState), IsOk());
  EXPECT_FALSE(disk_.Exists(kFile));
  EXPECT_FALSE(disk_.Exists(kNote));
  EXPECT_FALSE(disk_.Exists("/var/lib/node/http-challenges/torn"));
}

// Killed before each operation on the disk, of Put and of Remove: after the challenge's time nothing is left of it.
TEST_F(HttpChallengesTest, KilledAtEveryOperation) {
  for (int at = 1;; ++at) {
    testing::FaultFileSystem files(disk_);
    files.CrashAt(at);
    {
      HttpChallenges killed(files, clock_);
      if (killed.Put(webroot_, kState, Challenge("tok")).ok()) (void)killed.Remove(kState, "tok");
    }
    const bool over = !files.has_crashed();
    clock_.Advance(absl::Minutes(11));
    HttpChallenges next(disk_, clock_);
    ASSERT_THAT(next.TakeUp(kState), IsOk()) << at;
    ASSERT_FALSE(disk_.Exists(kFile)) << at;
    ASSERT_FALSE(disk_.Exists(kNote)) << at;
    if (over) {
      EXPECT_GT(at, 15);
      break;
    }
  }
}

// Each operation fails once, and the process lives on: what it answers is so.
TEST_F(HttpChallengesTest, EveryOperationFailsOnce) {
  for (int at = 1;; ++at) {
    testing::FaultFileSystem files(disk_);
    HttpChallenges challenges(files, clock_);
    files.FailAt(at, EIO);
    const bool put = challenges.Put(webroot_, kState, Challenge("tok")).ok();
    ASSERT_TRUE(!put || disk_.Exists(kFile)) << at;
    const bool removed = challenges.Remove(kState, "tok").ok();
    ASSERT_TRUE(!removed || !disk_.Exists(kFile)) << at;
    const bool over = files.count() < at;
    files.Heal();
    ASSERT_THAT(challenges.Remove(kState, "tok"), IsOk()) << at;
    ASSERT_FALSE(disk_.Exists(kFile)) << at;
    ASSERT_FALSE(disk_.Exists(kNote)) << at;
    if (over) break;
  }
}

}  // namespace
}  // namespace certcast::node
