// A run is stopped at each exchange with the CA, each write to the store and each call of the hook, then run again: one
// order is finalized, one certificate becomes one generation, and no TXT record is left.
#include <functional>
#include <string>

#include "controller/acme/issuer_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using testing::FakeHttpClient;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::SizeIs;

absl::Status Stopped() {
  return absl::CancelledError("stopped by the test");
}

// Lets nothing through after its death.
class Mortal : public IssuerFixture {
 public:
  Mortal() {
    http.set_gate([this](int) { return Alive(); });
    store.gate = [this](int commit) { return commit == die_at_commit ? Die() : Alive(); };
    hook_gate = [this] {
      ++hooks;
      return hooks == die_at_hook ? Die() : Alive();
    };
  }
  absl::Status Alive() const { return dead ? Stopped() : absl::OkStatus(); }
  absl::Status Die() {
    dead = true;
    return Stopped();
  }
  void DieAtExchange(int exchange, FakeHttpClient::Fault fault) {
    http.set_gate([this, exchange, fault](int now) {
      if (now != exchange) return Alive();
      if (fault == FakeHttpClient::Fault::kRequestLost) return Die();
      dead_after = true;
      return absl::OkStatus();
    });
    http.FailAt(exchange, fault, Stopped());
  }
  void Restart() {
    dead = false;
    die_at_commit = die_at_hook = 0;
    http.set_gate(nullptr);
  }

  bool dead = false;
  bool dead_after = false;
  int die_at_commit = 0;
  int die_at_hook = 0;
  int hooks = 0;
};

void ExpectAllWell(Mortal& world, const std::string& where) {
  SCOPED_TRACE(where);
  EXPECT_EQ(world.ca.finalized(), 1);
  EXPECT_EQ(world.ca.issued(), 1);
  EXPECT_EQ(world.ca.accounts(), 1);
  EXPECT_THAT(world.Generations(), SizeIs(1));
  EXPECT_FALSE(world.HasOrderRecord());
  EXPECT_THAT(world.zone, IsEmpty());
}

// Until it has a generation, as `apply` does: what has one is not ordered again.
void RunAgain(Mortal& world, const std::string& where) {
  world.Restart();
  if (!world.Generations().empty()) return;
  EXPECT_THAT(world.Issue(), IsOk()) << where;
}

struct Counts {
  int exchanges;
  int commits;
  int hooks;
};

Counts CountStraightWay() {
  Mortal world;
  world.ca.behaviour.processing_looks = 2;
  EXPECT_THAT(world.Issue(), IsOk());
  return {world.http.exchanges(), world.store.asked, world.hooks};
}

TEST(IssuerCrash, AtEveryExchangeBeforeTheCaHears) {
  const int exchanges = CountStraightWay().exchanges;
  ASSERT_GT(exchanges, 15);
  for (int at = 1; at <= exchanges; ++at) {
    Mortal world;
    world.ca.behaviour.processing_looks = 2;
    world.DieAtExchange(at, FakeHttpClient::Fault::kRequestLost);
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "exchange " + std::to_string(at) + " " + world.http.requests().back().url;
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

TEST(IssuerCrash, AtEveryExchangeAfterTheCaActed) {
  const int exchanges = CountStraightWay().exchanges;
  for (int at = 1; at <= exchanges; ++at) {
    Mortal world;
    world.ca.behaviour.processing_looks = 2;
    world.DieAtExchange(at, FakeHttpClient::Fault::kAnswerLost);
    // The gate can't know when the answer is lost; the first thing tried after it finds the process dead.
    world.store.gate =
        world.hook_gate ? [&world](int) { return world.dead_after ? world.Die() : world.Alive(); } : world.store.gate;
    world.hook_gate = [&world] { return world.dead_after ? world.Die() : world.Alive(); };
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "answer of exchange " + std::to_string(at);
    world.dead_after = false;
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

TEST(IssuerCrash, AtEveryWriteToTheStore) {
  const int commits = CountStraightWay().commits;
  ASSERT_GE(commits, 6);
  for (int at = 1; at <= commits; ++at) {
    Mortal world;
    world.ca.behaviour.processing_looks = 2;
    world.die_at_commit = at;
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "commit " + std::to_string(at);
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

TEST(IssuerCrash, AtEveryCallOfTheHook) {
  const int hooks = CountStraightWay().hooks;
  ASSERT_EQ(hooks, 4);
  for (int at = 1; at <= hooks; ++at) {
    Mortal world;
    world.ca.behaviour.processing_looks = 2;
    world.die_at_hook = at;
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "hook " + std::to_string(at);
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

// Not a crash: one exchange fails and the process goes on, so it also cleans up by itself.
TEST(IssuerFault, OneLostExchangeAtEachPlace) {
  const int exchanges = CountStraightWay().exchanges;
  for (const auto fault : {FakeHttpClient::Fault::kRequestLost, FakeHttpClient::Fault::kAnswerLost}) {
    for (int at = 1; at <= exchanges; ++at) {
      Mortal world;
      world.ca.behaviour.processing_looks = 2;
      world.http.FailAt(at, fault, Fail(Reason::LINK_LOST, "connection reset"));
      const bool issued = world.Issue().ok();
      const std::string where = "exchange " + std::to_string(at);
      // What may be repeated is.
      const std::string url = world.http.requests()[at - 1].url;
      if (url.find("/new-") == std::string::npos) {
        EXPECT_TRUE(issued) << where << " " << url;
      }
      RunAgain(world, where);
      ExpectAllWell(world, where);
    }
  }
}

}  // namespace
}  // namespace certcast::controller
