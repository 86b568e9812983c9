// The controller or an agent killed (SIGKILL) at an exact moment of a real rollout: what is served then, and that the
// next apply goes on from there.
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/file/descriptor.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "tests/testing/fleet_fixture.h"
#include "tests/testing/local_tcp_server.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(20);

class KilledTest : public FleetTest {
 protected:
  std::unique_ptr<RunningCommand> StartRenewal() {
    auto started = fleet().controller().StartJson({"apply", "--force-renewal"});
    EXPECT_THAT(started, IsOk());
    return *std::move(started);
  }
};

// A reload that is done, and does not end before it is told to, or the test ends.
class HeldReload {
 public:
  explicit HeldReload(FleetNode& node) : node_(node), fifo_(node.home() + "/hold") {
    EXPECT_EQ(mkfifo(fifo_.c_str(), 0600), 0);
    end_ = Descriptor(open(fifo_.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_TRUE(end_.valid());
    EXPECT_THAT(node_.SetReload(absl::StrCat(kReload, "read line <$home/hold\n")), IsOk());
  }
  // The one that is held is failed, later ones are as usual.
  void Release() {
    EXPECT_THAT(node_.SetReload(kReload), IsOk());
    end_.Close();
  }

 private:
  FleetNode& node_;
  const std::string fifo_;
  Descriptor end_;
};

TEST_F(KilledTest, ARolloutGoesOnWhereItsControllerWasKilledBetweenWaves) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 3, .rollout = R"({waves: ["1", "100%"], soak: 5s})"}));
  const std::string first = ApplyFirst();
  const std::unique_ptr<RunningCommand> killed = StartRenewal();
  ASSERT_THAT(WaitUntil("it soaks", kPatience, [&] { return absl::StrContains(killed->err(), "soaking"); }), IsOk())
      << killed->err();
  killed->program().Kill();
  const std::vector<std::string> after_first_wave = fleet().Served();
  const std::vector<pid_t> workers = fleet().Workers();

  const CommandResult resumed = Apply();

  ASSERT_EQ(resumed.exit_code, 0) << resumed;
  EXPECT_THAT(resumed.err, HasSubstr(absl::StrCat("going on with rollout ", RolloutIn(resumed))));
  EXPECT_THAT(RolloutIn(resumed), HasSubstr("wildcard-2-"));
  EXPECT_EQ(StateIn(resumed), "COMPLETED");
  EXPECT_FALSE(IssuedIn(resumed));
  ExpectAllServe(LeafIn(resumed));
  EXPECT_EQ(fleet().Orders(), 2);
  const std::string done_before = NodesOfWave(resumed, 1).at(0);
  for (size_t i = 0; i < fleet().nodes().size(); ++i) {
    FleetNode& node = fleet().nodes()[i];
    const bool was_done = node.name() == done_before;
    EXPECT_EQ(after_first_wave[i], was_done ? LeafIn(resumed) : first) << node.name();
    EXPECT_EQ(node.nginx().Worker() == workers[i], was_done) << node.name();
  }
}

TEST_F(KilledTest, ANodeThatIsNeverConfirmedGoesBackByItself) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 1, .rollout = "{confirm_timeout: 8s}"}));
  const std::string first = ApplyFirst();
  FleetNode& node = fleet().nodes().front();
  // The controller looks here between the node's answer and Confirm, and gets none.
  const LocalSocket endpoint;
  endpoint.Listen();
  const std::string real_endpoint = node.verify_address;
  node.verify_address = endpoint.address();
  ASSERT_THAT(fleet().WriteConfig(), IsOk());

  const std::unique_ptr<RunningCommand> killed = StartRenewal();
  const Descriptor look(endpoint.Accept());
  killed->program().Kill();

  const std::string waiting = node.nginx().Served();
  EXPECT_NE(waiting, first);
  EXPECT_THAT(WaitUntil("it serves the old one", kPatience, [&] { return node.nginx().Served() == first; }), IsOk());
  EXPECT_EQ(node.Reloads(), 3);

  node.verify_address = real_endpoint;
  ASSERT_THAT(fleet().WriteConfig(), IsOk());
  const CommandResult resumed = Apply();
  EXPECT_EQ(resumed.exit_code, 0) << resumed;
  EXPECT_EQ(LeafIn(resumed), waiting);
  ExpectAllServe(waiting);
}

TEST_F(KilledTest, AnAgentKilledAfterTheFlipPutsTheOldOneBack) {
  ASSERT_NO_FATAL_FAILURE(StartFleet({.nodes = 2}));
  const std::string first = ApplyFirst();
  FleetNode& node = LastToRenew();
  HeldReload held(node);
  const std::unique_ptr<RunningCommand> renewal = StartRenewal();
  ASSERT_THAT(WaitUntil("it serves the new one", kPatience,
                        [&] { return node.Reloads() == 2 && node.nginx().Served() != first; }),
              IsOk())
      << renewal->err();
  node.KillAgent();
  held.Release();
  EXPECT_NE(node.nginx().Served(), first) << "nobody is there to put it back";

  ASSERT_THAT(node.StartAgent(), IsOk());

  EXPECT_EQ(node.nginx().Served(), first);
  EXPECT_THAT(node.AgentLog(), HasSubstr("interrupted at reload: REVERTED INTERRUPTED"));
  const CommandResult halted = renewal->Finish();
  EXPECT_EQ(halted.exit_code, 4) << halted;
  EXPECT_EQ(OutcomeIn(halted, node.name()), "REVERTED INTERRUPTED");
  ExpectAllServe(first);

  const CommandResult again = Apply();
  EXPECT_EQ(again.exit_code, 0) << again;
  EXPECT_EQ(LeafIn(again), LeafIn(halted));
  ExpectAllServe(LeafIn(halted));
}

}  // namespace
}  // namespace certcast::testing
