// What a node says of itself, drift above all.
#include "node/engine/inventory.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/engine/simulated_node.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;

constexpr char kGenerations[] = "/var/lib/certcast-node/certificates/wildcard/generations/";

class InventoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    node.AddService("nginx");
    ASSERT_THAT(node.Start(), IsOk());
    node.Bring(1);
  }

  std::vector<std::string> Drift() {
    const v1::Inventory inventory = node.Describe();
    return {inventory.services(0).drift().begin(), inventory.services(0).drift().end()};
  }

  SimulatedNode node;
};

TEST_F(InventoryTest, SaysWhatIsInForce) {
  const v1::Inventory inventory = node.Describe();
  EXPECT_EQ(inventory.node(), "web-01");
  EXPECT_EQ(inventory.fleet_id(), FleetOfTests().id);
  EXPECT_THAT(inventory.allow_names(), ElementsAre("*.example.com"));
  EXPECT_GT(inventory.free_bytes(), 0);
  EXPECT_THAT(inventory.probes(), IsEmpty());
  ASSERT_EQ(inventory.certificates_size(), 1);
  const auto& certificate = inventory.certificates(0);
  EXPECT_EQ(certificate.generation(), 1);
  EXPECT_EQ(certificate.leaf_sha256(), LeafOf(1));
  EXPECT_EQ(certificate.not_after().seconds(), absl::ToUnixSeconds(IssuedFor(1).certificate.not_after()));
  EXPECT_EQ(certificate.in_force_since().seconds(), absl::ToUnixSeconds(node.clock.Now()));
  EXPECT_TRUE(certificate.confirmed());
  EXPECT_EQ(inventory.services(0).installed_sha256(), LeafOf(1));
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(InventoryTest, SaysWhatWaitsForConfirm) {
  node.Install(2);
  const auto certificate = node.Describe().certificates(0);
  EXPECT_EQ(certificate.generation(), 2);
  EXPECT_FALSE(certificate.confirmed());
  EXPECT_EQ(certificate.confirm_by().seconds(), absl::ToUnixSeconds(node.clock.Now()) + 60);
  EXPECT_EQ(certificate.previous_generation(), 1);
  EXPECT_EQ(certificate.highest_generation(), 2);
  EXPECT_THAT(Drift(), IsEmpty());
}

TEST_F(InventoryTest, ProbeSaysWhatIsServed) {
  node.running["nginx"].served = "an older one";
  v1::Command command;
  command.set_id("probe");
  command.mutable_probe()->set_certificate("wildcard");
  const v1::Inventory inventory = node.Handle(command).inventory();
  ASSERT_EQ(inventory.probes_size(), 1);
  EXPECT_FALSE(inventory.probes(0).ok());
  EXPECT_EQ(inventory.probes(0).served_sha256(), "an older one");
  command.mutable_probe()->set_certificate("another");
  EXPECT_THAT(node.Handle(command).inventory().probes(), IsEmpty());
}

TEST_F(InventoryTest, AServiceThatHangsDoesNotKeepProbeForEver) {
  node.config.services[0].probes[0].timeout = absl::Hours(1);
  node.AddService("postfix");
  ASSERT_THAT(node.Start(), IsOk());
  const absl::Time start = node.clock.Now();
  node.prober.On(node.config.services[0].probes[0].Describe(), [this](const ProbeSpec&) {
    node.clock.Advance(absl::Seconds(45));
    return testing::FakeProber::Fails("timed out");
  });
  v1::Command command;
  command.set_id("probe");
  command.mutable_probe();
  const v1::Inventory inventory = node.Handle(command).inventory();
  ASSERT_EQ(inventory.probes_size(), 2);
  EXPECT_EQ(inventory.probes(0).detail(), "timed out");
  EXPECT_FALSE(inventory.probes(1).ok());
  EXPECT_EQ(inventory.probes(1).service(), "postfix");
  EXPECT_THAT(inventory.probes(1).detail(), HasSubstr("not looked at"));
  EXPECT_EQ(node.clock.Now() - start, absl::Seconds(45));
}

TEST_F(InventoryTest, ShowsAChangedFile) {
  node.disk.PutFile(std::string(kGenerations) + "1/nginx/privkey.pem", "by hand", {0600, geteuid(), getegid()});
  EXPECT_THAT(Drift(), ElementsAre(HasSubstr("/etc/nginx/privkey.pem: has other contents")));
}

TEST_F(InventoryTest, ShowsAReplacedLink) {
  node.disk.PutFile("/etc/nginx/fullchain.pem", IssuedFor(2).fullchain_pem);
  EXPECT_THAT(Drift(), ElementsAre(HasSubstr("/etc/nginx/fullchain.pem: is a file of its own")));
  EXPECT_EQ(node.Describe().services(0).installed_sha256(), LeafOf(2));
}

TEST_F(InventoryTest, ShowsALinkThatLeadsElsewhere) {
  node.disk.PutLink("/etc/nginx/fullchain.pem", "/tmp/x", geteuid());
  EXPECT_THAT(Drift(), ElementsAre(HasSubstr("/etc/nginx/fullchain.pem: links to /tmp/x now")));
}

TEST_F(InventoryTest, ShowsAMissingLinkAndAMissingFile) {
  ASSERT_THAT((*node.disk.OpenDirectory("/etc/nginx"))->Remove("fullchain.pem"), IsOk());
  ASSERT_THAT((*node.disk.OpenDirectory(std::string(kGenerations) + "1/nginx"))->Remove("privkey.pem"), IsOk());
  EXPECT_THAT(Drift(), ElementsAre("/etc/nginx/fullchain.pem: is gone", HasSubstr("privkey.pem: links to nothing")));
  EXPECT_EQ(node.Describe().services(0).installed_sha256(), "");
}

TEST_F(InventoryTest, ShowsAnotherOwnerAndMode) {
  const std::string path = std::string(kGenerations) + "1/nginx/privkey.pem";
  node.disk.PutFile(path, *node.disk.GetFile(path), {0644, 4242, 4343});
  EXPECT_THAT(Drift(), ElementsAre(::testing::AllOf(HasSubstr("mode 0644, not 0600"), HasSubstr("owner 4242"),
                                                    HasSubstr("group 4343"))));
}

TEST_F(InventoryTest, ShowsAServiceThatWasNotInstalledYet) {
  node.AddService("haproxy");
  ASSERT_THAT(node.Start(), IsOk());
  const v1::Inventory inventory = node.Describe();
  EXPECT_THAT(inventory.services(0).drift(), IsEmpty());
  EXPECT_THAT(inventory.services(1).drift(),
              ElementsAre(HasSubstr("not installed yet"), HasSubstr("not installed yet")));
}

TEST_F(InventoryTest, ShowsACurrentThatLeadsElsewhere) {
  node.Bring(2);
  node.disk.PutLink("/var/lib/certcast-node/certificates/wildcard/current", "generations/1", geteuid());
  EXPECT_THAT(Drift(), ::testing::Contains(HasSubstr("current: leads to 1, not 2")));
}

}  // namespace
}  // namespace certcast::node
