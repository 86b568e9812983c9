// A run is stopped at each exchange with the CA, each write to the store, and each call of the hook, operation on the
// webroot or command to a node, then run again: one order is finalized, one certificate becomes one generation, and no
// TXT record or token is left.
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "controller/acme/fleet_fixture.h"
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

// By whom the CA is shown what it looks for.
enum class Shown { kByHook, kInWebroot, kOnFleet };

// Lets nothing through after its death.
class Mortal : public IssuerFixture {
 public:
  explicit Mortal(Shown shown) {
    http.set_gate([this](int) { return Alive(); });
    store.gate = [this](int commit) { return commit == die_at_commit ? Die() : Alive(); };
    hook_gate = [this] { return Step(); };
    nodes.gate = hook_gate;
    files.FailWhere([this](absl::string_view) { return !hook_gate().ok(); }, EIO);
    disk.PutDirectory("/var/www", {.mode = 0755});
    key_authorizations = [this] { return Tokens(); };
    if (shown == Shown::kByHook) return;
    certificate.domains = {"example.com", "www.example.com"};
    ca.behaviour.offers_dns01 = false;
    if (shown == Shown::kInWebroot) {
      certificate.challenge->http01 = HttpWebroot{"/var/www"};
    } else {
      certificate.challenge->http01 = HttpFleet();
      fleet = nodes.Fleet();
    }
  }
  absl::Status Step() {
    ++hooks;
    return hooks == die_at_hook ? Die() : Alive();
  }
  // On the webroot and on nodes.
  std::vector<std::string> Tokens() {
    std::vector<std::string> tokens = nodes.Shown();
    const auto folder = disk.OpenDirectory("/var/www/.well-known/acme-challenge");
    if (!folder.ok()) return tokens;
    const std::vector<std::string> names = *(*folder)->List();
    for (const std::string& name : names) tokens.push_back(*(*folder)->ReadFile(name, 1024));
    return tokens;
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

  FleetFixture nodes{2, clock};
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
  EXPECT_THAT(world.Tokens(), IsEmpty());
}

// As `apply` does: what has a generation is not ordered again, but cleaned up.
void RunAgain(Mortal& world, const std::string& where) {
  world.Restart();
  if (world.Generations().empty()) {
    EXPECT_THAT(world.Issue(), IsOk()) << where;
  } else {
    EXPECT_THAT(world.MakeIssuer().RemoveLeftovers(world.certificate, /*epoch=*/0, [](absl::string_view) {}), IsOk());
  }
  // The hook complains when it is to remove what the crash kept it from writing, and is believed at last.
  for (int run = 0; run < 10 && world.HasOrderRecord(); ++run) {
    world.MakeIssuer().RemoveLeftovers(world.certificate, /*epoch=*/0, [](absl::string_view) {}).IgnoreError();
  }
}

struct Counts {
  int exchanges;
  int commits;
  int hooks;
};

Counts CountStraightWay(Shown shown) {
  Mortal world(shown);
  world.ca.behaviour.processing_looks = 2;
  EXPECT_THAT(world.Issue(), IsOk());
  return {world.http.exchanges(), world.store.asked, world.hooks};
}

class IssuerCrash : public ::testing::TestWithParam<Shown> {};

TEST_P(IssuerCrash, AtEveryExchangeBeforeTheCaHears) {
  const int exchanges = CountStraightWay(GetParam()).exchanges;
  ASSERT_GE(exchanges, 13);
  for (int at = 1; at <= exchanges; ++at) {
    Mortal world(GetParam());
    world.ca.behaviour.processing_looks = 2;
    world.DieAtExchange(at, FakeHttpClient::Fault::kRequestLost);
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "exchange " + std::to_string(at) + " " + world.http.requests().back().url;
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

TEST_P(IssuerCrash, AtEveryExchangeAfterTheCaActed) {
  const int exchanges = CountStraightWay(GetParam()).exchanges;
  for (int at = 1; at <= exchanges; ++at) {
    Mortal world(GetParam());
    world.ca.behaviour.processing_looks = 2;
    world.DieAtExchange(at, FakeHttpClient::Fault::kAnswerLost);
    // The gate can't know when the answer is lost; the first thing tried after it finds the process dead.
    world.store.gate =
        world.hook_gate ? [&world](int) { return world.dead_after ? world.Die() : world.Alive(); } : world.store.gate;
    world.hook_gate = world.nodes.gate = [&world] { return world.dead_after ? world.Die() : world.Alive(); };
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "answer of exchange " + std::to_string(at);
    world.dead_after = false;
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

TEST_P(IssuerCrash, AtEveryWriteToTheStore) {
  const int commits = CountStraightWay(GetParam()).commits;
  ASSERT_GE(commits, 6);
  for (int at = 1; at <= commits; ++at) {
    Mortal world(GetParam());
    world.ca.behaviour.processing_looks = 2;
    world.die_at_commit = at;
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "commit " + std::to_string(at);
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

TEST_P(IssuerCrash, AtEveryStepOfWhoShowsIt) {
  const int hooks = CountStraightWay(GetParam()).hooks;
  ASSERT_GE(hooks, 4);
  for (int at = 1; at <= hooks; ++at) {
    Mortal world(GetParam());
    world.ca.behaviour.processing_looks = 2;
    world.die_at_hook = at;
    EXPECT_FALSE(world.Issue().ok());
    const std::string where = "hook " + std::to_string(at);
    RunAgain(world, where);
    ExpectAllWell(world, where);
  }
}

// Not a crash: one exchange fails and the process goes on, so it also cleans up by itself.
TEST_P(IssuerCrash, OneLostExchangeAtEachPlace) {
  const int exchanges = CountStraightWay(GetParam()).exchanges;
  for (const auto fault : {FakeHttpClient::Fault::kRequestLost, FakeHttpClient::Fault::kAnswerLost}) {
    for (int at = 1; at <= exchanges; ++at) {
      Mortal world(GetParam());
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

std::string NameOf(const ::testing::TestParamInfo<Shown>& info) {
  return info.param == Shown::kByHook ? "ByHook" : info.param == Shown::kInWebroot ? "InWebroot" : "OnFleet";
}

INSTANTIATE_TEST_SUITE_P(Shown, IssuerCrash, ::testing::Values(Shown::kByHook, Shown::kInWebroot, Shown::kOnFleet),
                         NameOf);

}  // namespace
}  // namespace certcast::controller
