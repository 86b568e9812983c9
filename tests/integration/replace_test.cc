// A key gets out: real Pebble, nginx and agents. What is served and what Pebble says of each certificate, after every
// way in which it can go on or be ended.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

std::string Text(const CommandResult& result, const std::string& pointer) {
  const nlohmann::json::json_pointer path(pointer);
  return result.json.is_object() && result.json.contains(path) ? result.json.at(path).get<std::string>() : "";
}

// A shell line that waits at a fifo until it is let go.
class Barrier {
 public:
  explicit Barrier(std::string path) : path_(std::move(path)) {
    EXPECT_EQ(mkfifo(path_.c_str(), 0600), 0);
    end_ = Descriptor(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_TRUE(end_.valid());
  }
  std::string line() const { return absl::StrCat("touch ", path_, ".reached; read line <", path_, " || true\n"); }
  bool Reached() const { return access((path_ + ".reached").c_str(), F_OK) == 0; }
  void LetGo() { end_.Close(); }

 private:
  const std::string path_;
  Descriptor end_;
};

class ReplaceTest : public FleetTest {
 protected:
  // The certificate that a node has on its disk.
  std::string OnDisk(const std::string& node) { return ReadFile(fleet().node(node).home() + "/tls/fullchain.pem"); }
  std::string StatusAtCa(const std::string& pem) {
    const auto status = fleet().pebble().StatusOf(pem);
    EXPECT_THAT(status, IsOk());
    return status.ok() ? *status : "";
  }
  CommandResult Replace(std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"replace", "wildcard", "--compromised"});
    return fleet().controller().Json(std::move(more));
  }
  std::unique_ptr<RunningCommand> StartReplace() {
    auto started = fleet().controller().StartJson({"replace", "wildcard", "--compromised"});
    EXPECT_THAT(started, IsOk());
    return *std::move(started);
  }
  void ExpectReplaced(const CommandResult& result, const std::string& old) {
    EXPECT_EQ(result.exit_code, 0) << result;
    EXPECT_EQ(Text(result, "/phase"), "DONE") << result;
    EXPECT_EQ(Text(result, "/certificate/generation"), "2");
    ExpectAllServe(Text(result, "/certificate/leafSha256"));
    EXPECT_EQ(StatusAtCa(old), "Revoked 1");
    EXPECT_EQ(StatusAtCa(OnDisk("web-1")), "Valid");
    EXPECT_EQ(fleet().controller().Json({"verify"}).exit_code, 0);
    const CommandResult certificates = fleet().controller().Run({"certificates"});
    EXPECT_THAT(certificates.out, AllOf(HasSubstr("REVOKED (keyCompromise)"), HasSubstr("WANTED")));
  }
};

TEST_F(ReplaceTest, ANewKeyEverywhereThenTheOldOneIsRevoked) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
  ApplyFirst();
  const std::string old = OnDisk("web-1");
  ASSERT_EQ(StatusAtCa(old), "Valid");
  ExpectReplaced(Replace(), old);
  EXPECT_EQ(fleet().Orders(), 2);
}

TEST_F(ReplaceTest, KilledInEachPhaseItGoesOnAndRevokesNothingBeforeAllServeTheNewKey) {
  FleetOptions options = {.nodes = 3, .rollout = R"({waves: ["1", "100%"], confirm_timeout: 5s})"};
  ASSERT_NO_FATAL_FAILURE(StartFleet(std::move(options)));
  ApplyFirst();
  const std::string old = OnDisk("web-1");
  // While it orders: its hook does not end.
  Barrier ordering(fleet().home() + "/ordering");
  const std::string hook = fleet().options().hook;
  fleet().options().hook = fleet().home() + "/held-hook";
  ASSERT_THAT(WriteFile(fleet().options().hook, absl::StrCat("#!/bin/sh\n", ordering.line()), 0755), IsOk());
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  std::unique_ptr<RunningCommand> killed = StartReplace();
  ASSERT_THAT(WaitUntil("the hook runs", kPatience, [&] { return ordering.Reached(); }), IsOk()) << killed->err();
  killed->program().Kill();
  ordering.LetGo();
  fleet().options().hook = hook;
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  EXPECT_EQ(StatusAtCa(old), "Valid");
  EXPECT_EQ(fleet().nodes()[0].Reloads(), 1);

  // While it rolls out: a node of the last wave does not end its reload.
  Barrier reloading(fleet().home() + "/reloading");
  FleetNode& last = LastToRenew();
  ASSERT_THAT(last.SetReload(absl::StrCat(kReload, reloading.line())), IsOk());
  killed = StartReplace();
  ASSERT_THAT(WaitUntil("the last node reloads", kPatience, [&] { return reloading.Reached(); }), IsOk())
      << killed->err();
  EXPECT_THAT(killed->err(), HasSubstr("going on with the replacement"));
  killed->program().Kill();
  ASSERT_THAT(last.SetReload(kReload), IsOk());
  reloading.LetGo();
  EXPECT_EQ(StatusAtCa(old), "Valid");

  // While it revokes: the CA does not answer.
  fleet().pebble().Freeze();
  killed = StartReplace();
  ASSERT_THAT(
      WaitUntil("it revokes", kPatience, [&] { return absl::StrContains(killed->err(), "revoking generation 1"); }),
      IsOk())
      << killed->err();
  killed->program().Kill();
  fleet().pebble().Thaw();
  EXPECT_EQ(StatusAtCa(old), "Valid");
  const CommandResult status = fleet().controller().Run({"status"});
  EXPECT_THAT(status.err, HasSubstr("its replacement is not over (REVOKING): certcast replace wildcard --compromised"));

  ExpectReplaced(Replace(), old);
  EXPECT_EQ(fleet().Orders(), 2);
}

TEST_F(ReplaceTest, WhileANodeIsAwayNothingIsRevoked) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
  ApplyFirst();
  const std::string old = OnDisk("web-1");
  fleet().node("web-2").StopAgent();
  const CommandResult waiting = Replace();
  EXPECT_EQ(waiting.exit_code, 3) << waiting;
  EXPECT_EQ(Text(waiting, "/phase"), "ROLLING_OUT");
  EXPECT_THAT(waiting.err, HasSubstr("left: nothing was revoked, since not every node was seen to serve the new key"));
  EXPECT_EQ(StatusAtCa(old), "Valid");
  const CommandResult shown = fleet().controller().Run({"replace", "wildcard", "--compromised"});
  EXPECT_EQ(shown.exit_code, 3) << shown;
  EXPECT_THAT(shown.out, AllOf(HasSubstr("2 of 3 nodes"), HasSubstr("web-2 UNKNOWN"), HasSubstr("NOT revoked")));

  ASSERT_THAT(fleet().node("web-2").StartAgent(), IsOk());
  ExpectReplaced(Replace(), old);
}

TEST_F(ReplaceTest, AServerThatRefusesTheNewKeyKeepsTheOldOneAndItsNodesGoBack) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2}));
  const std::string first = ApplyFirst();
  const std::string old = OnDisk("web-1");
  FleetNode& last = LastToRenew();
  ASSERT_THAT(last.SetReload("exit 1\n"), IsOk());
  const CommandResult halted = Replace({"--force"});
  EXPECT_EQ(halted.exit_code, 4) << halted;
  EXPECT_EQ(StatusAtCa(old), "Valid");
  ASSERT_THAT(last.SetReload(kReload), IsOk());
  EXPECT_EQ(fleet().node(last.name() == "web-1" ? "web-2" : "web-1").nginx().Served(), first);
  ExpectReplaced(Replace(), old);
}

// --- Revocation by itself.

TEST_F(ReplaceTest, AGenerationIsRevokedOnceNoNodeHasIt) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2}));
  ApplyFirst();
  const std::string old = OnDisk("web-1");
  const CommandResult served = fleet().controller().Run({"revoke", "wildcard", "--reason", "superseded"});
  EXPECT_EQ(served.exit_code, 3) << served;
  EXPECT_THAT(served.out, AllOf(HasSubstr("was NOT revoked: 4 still have it"), HasSubstr("web-2 SERVES generation 1")));
  EXPECT_THAT(served.err, HasSubstr("hint: bring every node to another generation first"));
  EXPECT_EQ(StatusAtCa(old), "Valid");

  ASSERT_EQ(Renew().exit_code, 0);
  const CommandResult wrong = fleet().controller().Run({"revoke", "wildcard", "--generation", "1", "--reason", "lost"});
  EXPECT_EQ(wrong.exit_code, 2) << wrong;
  EXPECT_THAT(wrong.err, HasSubstr("5 cessationOfOperation"));
  const CommandResult revoked =
      fleet().controller().Json({"revoke", "wildcard", "--generation", "1", "--reason", "superseded"});
  EXPECT_EQ(revoked.exit_code, 0) << revoked;
  EXPECT_EQ(Text(revoked, "/reason"), "superseded");
  EXPECT_EQ(StatusAtCa(old), "Revoked 4");
  const CommandResult again =
      fleet().controller().Run({"revoke", "wildcard", "--generation", "1", "--reason", "superseded"});
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_THAT(again.out, HasSubstr("had been revoked already"));
}

TEST_F(ReplaceTest, AFileIsRevokedByItsOwnKeyAndByForce) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1}));
  ApplyFirst();
  const std::string old = OnDisk("web-1");
  const std::string file = fleet().home() + "/leaked.pem";
  ASSERT_THAT(WriteFile(file, old), IsOk());
  ASSERT_THAT(WriteFile(fleet().home() + "/leaked.key", ReadFile(fleet().home() + "/web-1/tls/privkey.pem")), IsOk());
  const CommandResult revoked = fleet().controller().Run({"revoke", "wildcard", "--certificate", file, "--key",
                                                          fleet().home() + "/leaked.key", "--reason", "1", "--force"});
  EXPECT_EQ(revoked.exit_code, 0) << revoked;
  EXPECT_THAT(revoked.out, AllOf(HasSubstr("generation 1"),
                                 HasSubstr("is revoked (keyCompromise) by the CA of the account pebble")));
  EXPECT_EQ(StatusAtCa(old), "Revoked 1");
  // It is not fine that it is served everywhere, and the next apply brings another.
  EXPECT_EQ(fleet().controller().Run({"status"}).exit_code, 3);
  const CommandResult applied = Apply();
  EXPECT_EQ(applied.exit_code, 0) << applied;
  EXPECT_EQ(GenerationIn(applied), "2");
  EXPECT_EQ(StatusAtCa(OnDisk("web-1")), "Valid");
}

}  // namespace
}  // namespace certcast::testing
