// How services are told of new files, and what comes of an install when that fails.
#include "node/engine/reload.h"

#include <csignal>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using testing::FakeProcessRunner;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using v1::Outcome;

constexpr char kSocket[] = "/run/haproxy/admin.sock";
constexpr char kCombined[] = "/etc/haproxy/combined.pem";
constexpr char kPidFile[] = "/run/nginx.pid";

class ReloadTest : public ::testing::Test {
 protected:
  ReloadTest() { node.AddService("nginx"); }
  Service& service() { return node.config.services[0]; }
  void TakeUpFiles() { node.running["nginx"].served = node.FilesOf("nginx"); }

  SimulatedNode node;
};

TEST_F(ReloadTest, AServiceThatWatchesItsFilesIsNotTold) {
  service().reload.how = NoReload{};
  node.prober.On(service().probes[0].Describe(),
                 [&](const ProbeSpec&) { return testing::FakeProber::Serves(node.FilesOf("nginx")); });
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_THAT(result.reloaded(), IsEmpty());
  EXPECT_EQ(node.ReloadsOf("nginx"), 0);
}

TEST_F(ReloadTest, ASignalGoesToWhatThePidFileNames) {
  service().reload.how = SignalReload{.signal = SIGUSR1, .pid_file = kPidFile};
  std::vector<int> signals;
  node.signaller.On(kPidFile, [&](int signal) {
    signals.push_back(signal);
    TakeUpFiles();
    return absl::OkStatus();
  });
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_THAT(result.reloaded(), ElementsAre("nginx"));
  EXPECT_THAT(signals, ElementsAre(SIGUSR1));
}

TEST_F(ReloadTest, ASignalThatCanNotBeSentIsSaidAndPutBack) {
  node.PutByHand("nginx", IssuedFor(7));
  service().reload.how = SignalReload{.signal = SIGHUP, .pid_file = kPidFile};
  bool is_first = true;
  node.signaller.On(kPidFile, [&](int) {
    if (std::exchange(is_first, false)) return Fail(Reason::RELOAD_FAILED, "process 42 has ended");
    TakeUpFiles();
    return absl::OkStatus();
  });
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::REVERTED);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_EQ(result.failure().detail(), "the reload of service nginx (signal HUP): process 42 has ended");
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(7));
}

TEST_F(ReloadTest, ARestartIsRunAndNamedSoAndToldToWhoAsks) {
  service().reload.how = CommandReload{.argv = {"systemctl", "restart", "nginx"}, .disruptive = true};
  service().reload.timeout = absl::Seconds(7);
  node.AddService("quiet");
  node.processes.On({"systemctl", "restart", "nginx"}, [&](const ProcessRequest& request) {
    EXPECT_EQ(request.timeout, absl::Seconds(7));
    return FakeProcessRunner::Exits(1, "Job for nginx.service failed");
  });
  ASSERT_THAT(node.Start(), IsOk());
  const v1::Inventory inventory = node.Describe();
  EXPECT_TRUE(inventory.services(0).disruptive());
  EXPECT_FALSE(inventory.services(1).disruptive());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().detail(), StartsWith("the restart of service nginx (systemctl restart nginx)"));
  EXPECT_EQ(result.failure().stderr(), "Job for nginx.service failed");
}

TEST_F(ReloadTest, ACommandThatDoesNotEndIsGivenUp) {
  service().reload.how = CommandReload{.argv = {"sleepy"}};
  node.processes.On({"sleepy"}, FakeProcessRunner::Hangs());
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().hint(), HasSubstr("timeout of its reload"));
}

// Speaks as haproxy 2.6 does.
class HaproxyTest : public ReloadTest {
 protected:
  HaproxyTest() {
    service().files.push_back({.path = kCombined, .content = FileContent::kCombined, .mode = 0600});
    node.disk.PutDirectory("/etc/haproxy", {.mode = 0755});
    service().reload.how = HaproxyReload{.socket = kSocket, .certificate = kCombined};
    service().reload.timeout = absl::Seconds(20);
    node.sockets.On(kSocket, [this](const std::string& request) { return Answer(request); });
  }

  absl::StatusOr<std::string> Answer(const std::string& request) {
    const std::vector<std::string> words = absl::StrSplit(request, absl::ByAnyChar(" \n"));
    const std::string& path = words[3];
    if (words[0] == "set") {
      if (!set_answer.ok() || !set_answer->empty()) return set_answer;
      // As it is: not the one that was named.
      if (transaction.empty()) transaction = path;
      return absl::StrCat("Transaction updated for certificate ", transaction, "!\n\n");
    }
    if (words[0] == "abort") {
      if (transaction.empty()) return "No ongoing transaction!\n\n";
      if (transaction != path) {
        return absl::StrCat("The ongoing transaction is about '", transaction,
                            "' but you are trying to abort a transaction for '", path, "'\n\n");
      }
      transaction.clear();
      return absl::StrCat("Transaction aborted for certificate '", path, "'!\n\n");
    }
    if (!commit_answer.ok() || !commit_answer->empty()) return commit_answer;
    EXPECT_EQ(transaction, path);
    transaction.clear();
    TakeUpFiles();
    return absl::StrCat("Committing ", path, ".\nSuccess!\n\n");
  }

  // What it is about; empty: there is none.
  std::string transaction;
  absl::StatusOr<std::string> set_answer = std::string();
  absl::StatusOr<std::string> commit_answer = std::string();
};

TEST_F(HaproxyTest, GetsTheFileAndIsToldToTakeIt) {
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.outcome(), Outcome::INSTALLED) << result.ShortDebugString();
  EXPECT_THAT(result.reloaded(), ElementsAre("nginx"));
  ASSERT_THAT(node.sockets.requests(), SizeIs(3));
  EXPECT_EQ(node.sockets.requests()[1],
            absl::StrCat("set ssl cert ", kCombined, " <<\n", *node.disk.GetFile(kCombined), "\n"));
  EXPECT_EQ(node.sockets.requests()[2], absl::StrCat("commit ssl cert ", kCombined, "\n"));
  EXPECT_THAT(node.sockets.timeouts(), Each(absl::Seconds(20)));
}

TEST_F(HaproxyTest, ABlankLineInAFileOfBeforeDoesNotCutIt) {
  const testing::IssuedCertificate& old = IssuedFor(7);
  node.PutByHand("nginx", old);
  node.disk.PutFile(kCombined, absl::StrCat(old.key_pem.ExposeSecret(), "\n \t\r\n", old.fullchain_pem, "\n\n"),
                    {.mode = 0600});
  ASSERT_THAT(node.Start(), IsOk());
  ASSERT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_EQ(node.Revert(1).outcome(), Outcome::REVERTED);
  ASSERT_THAT(node.sockets.requests(), SizeIs(6));
  EXPECT_EQ(node.sockets.requests()[4],
            absl::StrCat("set ssl cert ", kCombined, " <<\n", old.key_pem.ExposeSecret(), old.fullchain_pem, "\n"));
}

TEST_F(HaproxyTest, WhatItRefusesIsQuotedAndGivenUp) {
  set_answer = absl::StrCat("Can't replace a certificate which is not referenced by the configuration!\nCan't update ",
                            kCombined, "!\n\n");
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_EQ(result.failure().step(), "reload");
  EXPECT_EQ(result.failure().detail(),
            "the reload of service nginx (haproxy at /run/haproxy/admin.sock): set ssl cert was refused");
  EXPECT_THAT(result.failure().stderr(), StartsWith("Can't replace a certificate which is not referenced"));
  EXPECT_THAT(result.failure().hint(), HasSubstr("show ssl cert"));
  EXPECT_EQ(node.sockets.requests()[2], absl::StrCat("abort ssl cert ", kCombined, "\n"));
}

// Nothing was at this path before, so there is nothing to give haproxy on the way back.
TEST_F(HaproxyTest, WhatToDoAboutTheFirstFailureIsSaidWhereGoingBackFailsToo) {
  node.PutByHand("nginx", IssuedFor(7));
  set_answer = "Can't replace a certificate which is not referenced by the configuration!\n";
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::REVERT_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr(absl::StrCat(kCombined, " is not there")));
  EXPECT_THAT(result.failure().hint(), StartsWith("look at the service on this node now; haproxy.cfg must name"));
}

TEST_F(HaproxyTest, ASocketWithoutAdminLevelIsNamed) {
  set_answer = "Permission denied\n\n";
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.Install(1).failure().hint(), HasSubstr("level admin"));
}

TEST_F(HaproxyTest, ACertificateThatIsTooLargeForItsBufferIsNamed) {
  const absl::StatusOr<std::string> ends[] = {std::string(), Fail(Reason::LINK_LOST, "sending: Broken pipe")};
  for (const absl::StatusOr<std::string>& end : ends) {
    node.sockets.On(kSocket, [&](const std::string& request) {
      return absl::StartsWith(request, "set ssl cert ") ? end : Answer(request);
    });
    ASSERT_THAT(node.Start(), IsOk());
    const v1::InstallResult result = node.Install(1);
    EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
    EXPECT_THAT(result.failure().hint(), HasSubstr("at most tune.bufsize bytes at once, 16384 where"));
  }
}

// By an agent that was ended between `set` and `commit`.
TEST_F(HaproxyTest, WhatWasBegunForAnotherOfTheNodesCertificatesIsGivenUp) {
  constexpr char kOther[] = "/etc/haproxy/other.pem";
  node.AddService("other");
  node.config.services[1].files.push_back({.path = kOther, .content = FileContent::kCombined, .mode = 0600});
  node.config.services[1].reload.how = HaproxyReload{.socket = kSocket, .certificate = kOther};
  transaction = kOther;
  ASSERT_THAT(node.Start(), IsOk());
  node.Install(1);
  ASSERT_THAT(node.sockets.requests(), SizeIs(Ge(4)));
  EXPECT_EQ(node.sockets.requests()[1], absl::StrCat("abort ssl cert ", kOther, "\n"));
  EXPECT_EQ(node.sockets.requests()[3], absl::StrCat("commit ssl cert ", kCombined, "\n"));
  EXPECT_EQ(transaction, "");
}

TEST_F(HaproxyTest, WhatSomebodyElseHasBegunIsLeftAlone) {
  transaction = "/etc/haproxy/theirs.pem";
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().detail(), EndsWith("haproxy is in the middle of a change of /etc/haproxy/theirs.pem"));
  EXPECT_THAT(result.failure().hint(), HasSubstr("`abort ssl cert /etc/haproxy/theirs.pem` on the socket"));
  for (const std::string& request : node.sockets.requests()) EXPECT_THAT(request, Not(StartsWith("set")));
  EXPECT_EQ(transaction, "/etc/haproxy/theirs.pem");
}

TEST_F(HaproxyTest, ACommitThatIsRefusedLeavesNoTransaction) {
  commit_answer = absl::StrCat("inconsistencies between private key and certificate\nCan't commit ", kCombined, "!\n");
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().stderr(), HasSubstr("inconsistencies"));
  EXPECT_THAT(result.failure().hint(), Not(HasSubstr("this very path")));
  EXPECT_EQ(transaction, "");
}

TEST_F(HaproxyTest, ACommitWithoutAnAnswerLeavesNoTransaction) {
  commit_answer = Fail(Reason::TIMED_OUT, "/run/haproxy/admin.sock: timed out while waiting for its answer");
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().detail(), EndsWith("commit ssl cert: /run/haproxy/admin.sock: timed out while waiting "
                                                  "for its answer"));
  EXPECT_EQ(transaction, "");
}

TEST_F(HaproxyTest, TheTimeoutIsOfAllAnswersTogether) {
  node.sockets.On(kSocket, [this](const std::string& request) {
    node.clock.Advance(absl::Seconds(8));
    return Answer(request);
  });
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_EQ(node.Install(1).outcome(), Outcome::INSTALLED);
  EXPECT_THAT(node.sockets.timeouts(), ElementsAre(absl::Seconds(20), absl::Seconds(12), absl::Seconds(4)));
}

TEST_F(HaproxyTest, WhenItsTimeIsOverNothingMoreIsCommitted) {
  node.sockets.On(kSocket, [this](const std::string& request) {
    node.clock.Advance(absl::Seconds(15));
    return Answer(request);
  });
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("its time was over"));
  for (const std::string& request : node.sockets.requests()) EXPECT_THAT(request, Not(StartsWith("commit")));
  EXPECT_EQ(transaction, "");
}

TEST_F(HaproxyTest, NobodyListens) {
  auto& reload = std::get<HaproxyReload>(service().reload.how);
  reload.socket = "/run/other.sock";
  ASSERT_THAT(node.Start(), IsOk());
  const v1::InstallResult result = node.Install(1);
  EXPECT_EQ(result.failure().reason(), Reason::RELOAD_FAILED);
  EXPECT_THAT(result.failure().detail(), HasSubstr("/run/other.sock: connecting: nothing listens"));
}

TEST_F(HaproxyTest, NoErrorQuotesTheKey) {
  set_answer = "unable to load certificate\nCan't load the payload\n";
  ASSERT_THAT(node.Start(), IsOk());
  EXPECT_THAT(node.Install(1).DebugString(), Not(HasSubstr("PRIVATE KEY")));
}

}  // namespace
}  // namespace certcast::node
