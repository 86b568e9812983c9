// What somebody changed by hand on a node, with real agents and nginx: `status` finds it and says what it is, the next
// `apply` puts it right as a rollout of its own, without another certificate, and leaves the other nodes alone. So does
// a node that is new in the configuration.
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/program.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_ca.h"

namespace certcast::testing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr absl::Duration kPatience = absl::Seconds(20);

// What an install or a reload would change of a node.
struct Traces {
  pid_t worker = -1;
  int reloads = 0;
  // Of the link that each install replaces: where it leads, and when it was made.
  std::string generation;
  timespec switched = {};

  bool operator==(const Traces& other) const {
    return worker == other.worker && reloads == other.reloads && generation == other.generation &&
           switched.tv_sec == other.switched.tv_sec && switched.tv_nsec == other.switched.tv_nsec;
  }
};

Traces TracesOf(FleetNode& node) {
  const std::string current = node.home() + "/state/certificates/wildcard/current";
  struct stat info = {};
  EXPECT_EQ(lstat(current.c_str(), &info), 0) << current;
  return {node.nginx().Worker(), node.Reloads(), std::filesystem::read_symlink(current).string(), info.st_ctim};
}

class DriftTest : public FleetTest {
 protected:
  // Three nodes with the first generation, the second of which somebody will touch.
  void StartConverged() {
    ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
    leaf_ = ApplyFirst();
    const json status = fleet().controller().Json({"status"}).json;
    EXPECT_EQ(status["converged"], 3) << status;
    other_ = TestCa::SelfSigned({.dns_names = {"*.demo.test", "demo.test"}});
    AddSecret(std::string(other_.key_pem.ExposeSecret()));
    for (const char* name : {"web-1", "web-3"}) untouched_.push_back(TracesOf(fleet().node(name)));
    reloads_ = touched().Reloads();
  }

  FleetNode& touched() { return fleet().node("web-2"); }
  std::string fullchain() { return touched().home() + "/tls/fullchain.pem"; }
  std::string key() { return touched().home() + "/tls/privkey.pem"; }

  // Plain files where certcast's links were, as scp leaves them.
  void CopyOverByHand() {
    ASSERT_TRUE(std::filesystem::remove(fullchain()) && std::filesystem::remove(key()));
    ASSERT_THAT(WriteFile(fullchain(), other_.certificate.ToPem(), 0644), IsOk());
    ASSERT_THAT(WriteFile(key(), other_.key_pem.ExposeSecret()), IsOk());
  }

  // The touched node's row of `status`, which must say that it alone has drifted.
  json Drifted() {
    const CommandResult answer = fleet().controller().Json({"status"});
    EXPECT_EQ(answer.exit_code, 3) << answer;
    EXPECT_EQ(answer.json.at("converged"), 2);
    EXPECT_EQ(answer.json.at("total"), 3);
    for (const json& node : answer.json.at("nodes")) {
      EXPECT_EQ(node.at("state"), node.at("name") == "web-2" ? "DRIFTED" : "CONVERGED") << node;
    }
    const CommandResult shown = fleet().controller().Run({"status"});
    EXPECT_EQ(shown.exit_code, 3) << shown;
    EXPECT_THAT(shown.out, HasSubstr("wildcard: 2 of 3 nodes serve generation 1"));
    return answer.json.at("nodes").at(1);
  }

  // One apply, after which all is as it was on the touched node, and nothing has happened elsewhere.
  void ExpectMended() {
    const CommandResult applied = Apply();
    EXPECT_EQ(applied.exit_code, 0) << applied;
    EXPECT_FALSE(IssuedIn(applied));
    EXPECT_EQ(GenerationIn(applied), "1");
    EXPECT_EQ(fleet().Orders(), 1);
    EXPECT_THAT(applied.json.at("rollouts"), SizeIs(1));
    EXPECT_EQ(StateIn(applied), "COMPLETED");
    EXPECT_EQ(OutcomeIn(applied, "web-2"), "INSTALLED");
    EXPECT_EQ(touched().Reloads(), reloads_ + 1);
    ExpectAllServe(leaf_);
    EXPECT_TRUE(std::filesystem::is_symlink(fullchain()));
    EXPECT_TRUE(std::filesystem::is_symlink(key()));
    ExpectUntouched(applied);
    const CommandResult status = fleet().controller().Json({"status"});
    EXPECT_EQ(status.exit_code, 0) << status;
    EXPECT_EQ(status.json.at("converged"), 3);
    const CommandResult again = Apply();
    EXPECT_EQ(again.exit_code, 0) << again;
    EXPECT_THAT(again.json.at("rollouts"), SizeIs(0));
  }

  void ExpectUntouched(const CommandResult& applied) {
    size_t i = 0;
    for (const char* name : {"web-1", "web-3"}) {
      EXPECT_EQ(OutcomeIn(applied, name), "UNCHANGED");
      EXPECT_EQ(TracesOf(fleet().node(name)), untouched_[i++]) << name;
    }
  }

  std::string leaf_;
  IssuedCertificate other_ = TestCa::SelfSigned({.dns_names = {"other.demo.test"}});
  std::vector<Traces> untouched_;
  int reloads_ = 0;
};

TEST_F(DriftTest, FilesReplacedByHandAreNamedAndPutRight) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  ASSERT_NO_FATAL_FAILURE(CopyOverByHand());

  const json row = Drifted();

  EXPECT_EQ(row.at("installedSha256"), other_.certificate.sha256());
  EXPECT_EQ(row.at("servedSha256"), leaf_) << "nobody has told nginx yet";
  EXPECT_EQ(row.at("generation"), "1");
  EXPECT_THAT(row.at("detail").get<std::string>(),
              AllOf(HasSubstr(absl::StrCat("its files hold ", other_.certificate.sha256())),
                    HasSubstr(fullchain() + ": is a file of its own now, not certcast's link"),
                    HasSubstr(key() + ": is a file of its own now")));
  ExpectMended();
}

TEST_F(DriftTest, ContentsChangedBehindTheLinkAreNamedAndPutRight) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  const std::string chain = ReadFile(fullchain());
  ASSERT_THAT(WriteFile(std::filesystem::canonical(fullchain()).string(), absl::StrCat(chain, "\n# edited\n"), 0644),
              IsOk());

  const json row = Drifted();

  EXPECT_EQ(row.at("installedSha256"), leaf_) << "the leaf in it is still the same";
  EXPECT_THAT(row.at("detail").get<std::string>(), HasSubstr(fullchain() + ": has other contents than were installed"));
  ExpectMended();
  EXPECT_EQ(ReadFile(fullchain()), chain);
}

TEST_F(DriftTest, ALinkThatLeadsElsewhereIsNamedAndPutRight) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  const std::string elsewhere = touched().home() + "/old.pem";
  ASSERT_THAT(WriteFile(elsewhere, other_.certificate.ToPem(), 0644), IsOk());
  std::filesystem::remove(fullchain());
  std::filesystem::create_symlink(elsewhere, fullchain());

  const json row = Drifted();

  EXPECT_EQ(row.at("installedSha256"), other_.certificate.sha256());
  EXPECT_THAT(row.at("detail").get<std::string>(), HasSubstr(absl::StrCat(fullchain(), ": links to ", elsewhere)));
  ExpectMended();
  EXPECT_EQ(ReadFile(elsewhere), other_.certificate.ToPem()) << "what it led to is not certcast's";
}

TEST_F(DriftTest, AFileThatIsGoneIsNamedAndPutBack) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  ASSERT_TRUE(std::filesystem::remove(key()));

  EXPECT_THAT(Drifted().at("detail").get<std::string>(), HasSubstr(key() + ": is gone"));

  ExpectMended();
}

// The disk is right and the process is not: only a handshake tells, and only a reload helps.
TEST_F(DriftTest, AServiceThatWasRestartedWithOldFilesIsSeenAndReloaded) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  const std::string chain_link = std::filesystem::read_symlink(fullchain());
  const std::string key_link = std::filesystem::read_symlink(key());
  ASSERT_NO_FATAL_FAILURE(CopyOverByHand());
  touched().nginx().Reload();
  ASSERT_THAT(WaitUntil("nginx serves the other one", kPatience,
                        [&] { return touched().nginx().Served() == other_.certificate.sha256(); }),
              IsOk());
  std::filesystem::remove(fullchain());
  std::filesystem::remove(key());
  std::filesystem::create_symlink(chain_link, fullchain());
  std::filesystem::create_symlink(key_link, key());

  const json row = Drifted();

  EXPECT_EQ(row.at("installedSha256"), leaf_);
  EXPECT_EQ(row.at("servedSha256"), other_.certificate.sha256());
  EXPECT_THAT(row.at("detail").get<std::string>(),
              HasSubstr(absl::StrCat("tls ", touched().nginx().address(), " www.demo.test serves ",
                                     other_.certificate.sha256())));
  const CommandResult verified = fleet().controller().Json({"verify"});
  EXPECT_EQ(verified.exit_code, 3) << verified;
  ExpectMended();
  EXPECT_EQ(fleet().controller().Json({"verify"}).exit_code, 0);
}

// What the touched node has is bad, and so is the way to what it should have: it keeps what it has, and nobody says
// that all is well.
TEST_F(DriftTest, WhatCanNotBeMendedStaysAsItIsAndIsReported) {
  ASSERT_NO_FATAL_FAILURE(StartConverged());
  ASSERT_NO_FATAL_FAILURE(CopyOverByHand());
  ASSERT_THAT(touched().nginx().BreakConfiguration(), IsOk());

  const CommandResult applied = Apply();

  EXPECT_EQ(applied.exit_code, 4) << applied;
  EXPECT_EQ(OutcomeIn(applied, "web-2"), "REVERTED CHECK_FAILED");
  EXPECT_EQ(touched().Reloads(), reloads_);
  EXPECT_EQ(ReadFile(fullchain()), other_.certificate.ToPem());
  ExpectUntouched(applied);
  EXPECT_EQ(fleet().controller().Json({"status"}).exit_code, 3);

  ASSERT_THAT(touched().nginx().MendConfiguration(), IsOk());
  ExpectMended();
}

TEST_F(DriftTest, ANewNodeGetsTheGenerationAndTheOthersNoCommand) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3}));
  FleetNode& fresh = fleet().node("web-2");
  fresh.configured = false;
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  const std::string before = fresh.nginx().Served();
  const CommandResult first = Apply();
  ASSERT_EQ(first.exit_code, 0) << first;
  EXPECT_EQ(fresh.nginx().Served(), before);
  leaf_ = LeafIn(first);
  for (const char* name : {"web-1", "web-3"}) untouched_.push_back(TracesOf(fleet().node(name)));

  fresh.configured = true;
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  const json pending = fleet().controller().Json({"status"}).json;
  EXPECT_EQ(pending.at("converged"), 2) << pending;
  EXPECT_EQ(pending.at("nodes").at(1).at("state"), "PENDING") << pending;
  EXPECT_EQ(Apply({"--dry-run"}).exit_code, 5);
  const CommandResult applied = Apply();

  EXPECT_EQ(applied.exit_code, 0) << applied;
  EXPECT_FALSE(IssuedIn(applied));
  EXPECT_EQ(fleet().Orders(), 1);
  EXPECT_EQ(OutcomeIn(applied, "web-2"), "INSTALLED");
  EXPECT_EQ(fresh.Reloads(), 1);
  ExpectAllServe(leaf_);
  ExpectUntouched(applied);
}

}  // namespace
}  // namespace certcast::testing
