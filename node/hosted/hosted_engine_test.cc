// A host that its controller defines. The services are simulated, the engine is the real one.
#include "node/hosted/hosted_engine.h"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/hosted/hosted_node.h"
#include "node/hosted/kept.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/test_fleet.h"

namespace certcast::node {
namespace {

using ::testing::AnyOf;
using testing::HasReason;
using ::testing::HasSubstr;
using testing::IsOk;
using v1::Outcome;

constexpr char kPin[] = "/var/lib/certcast-node/pinned-fleet";
constexpr char kKept[] = "/var/lib/certcast-node/definition";

class Hosted : public ::testing::Test {
 protected:
  std::unique_ptr<HostedEngine> Connect() { return std::make_unique<HostedEngine>(node_.SharedEnvironment()); }
  // Over a connection of its own.
  v1::Report Send(const v1::Command& command, const v1::NodeDefinition& definition) {
    return Connect()->Handle(With(command, definition), nullptr);
  }
  std::string KeptServices() {
    const auto kept = ReadKeptDefinition(node_.disk, node_.config.state);
    EXPECT_THAT(kept, IsOk());
    return kept.ok() && kept->has_value() ? (*kept)->services_yaml() : "nothing kept";
  }

  HostedNode node_;
  const v1::NodeDefinition one_ = node_.DefinitionWith({"nginx"});
  const v1::NodeDefinition both_ = node_.DefinitionWith({"nginx", "haproxy"});
};

TEST_F(Hosted, TouchesNothingBeforeItIsDefined) {
  const auto engine = Connect();
  for (const v1::Command& command : {node_.InstallCommand(1), node_.DescribeCommand(), node_.ConfirmCommand(1)}) {
    const v1::Report report = engine->Handle(command, nullptr);
    EXPECT_EQ(report.command_id(), command.id());
    EXPECT_EQ(RefusalOf(report), Reason::DEFINITION_REFUSED);
  }
  EXPECT_FALSE(engine->ConfirmBy().has_value());
  EXPECT_THAT(engine->RevertIfOverdue(), IsOk());
  EXPECT_TRUE(absl::IsNotFound(engine->TestService("nginx").status()));
  EXPECT_FALSE(node_.disk.Exists("/var"));
}

TEST_F(Hosted, InstallsAndConfirmsAsAnAgentDoes) {
  const auto engine = Connect();
  EXPECT_EQ(OutcomeOf(engine->Handle(With(node_.InstallCommand(1), both_), nullptr)), Outcome::INSTALLED);
  EXPECT_TRUE(engine->ConfirmBy().has_value());
  // Not said again.
  EXPECT_EQ(OutcomeOf(engine->Handle(node_.ConfirmCommand(1), nullptr)), Outcome::INSTALLED);
  EXPECT_THAT(engine->TestService("haproxy"), IsOk());
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(1));
  EXPECT_EQ(node_.FilesOf("haproxy"), LeafOf(1));

  const auto state = node_.disk.OpenDirectory(node_.config.state);
  ASSERT_THAT(state, IsOk());
  for (const char* name : {"pinned-fleet", "definition"}) {
    const auto info = (*state)->Stat(name);
    ASSERT_THAT(info, IsOk()) << name;
    EXPECT_EQ(info->attributes.mode, 0600u) << name;
  }
}

TEST_F(Hosted, TheFirstContactMayBeALook) {
  const v1::Report report = Send(node_.DescribeCommand(), one_);
  EXPECT_EQ(report.inventory().node(), "web-01") << report.ShortDebugString();
  EXPECT_EQ(report.inventory().fleet_id(), FleetOfTests().id);
  EXPECT_TRUE(node_.disk.Exists(kPin));
}

TEST_F(Hosted, OneLinkHasOneDefinition) {
  const auto engine = Connect();
  ASSERT_TRUE(engine->Handle(With(node_.DescribeCommand(), one_), nullptr).has_inventory());
  EXPECT_TRUE(engine->Handle(With(node_.DescribeCommand(), one_), nullptr).has_inventory());
  EXPECT_EQ(RefusalOf(engine->Handle(With(node_.InstallCommand(1), both_), nullptr)), Reason::DEFINITION_REFUSED);
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
}

TEST_F(Hosted, ADefinitionThatIsWrongDefinesNothing) {
  v1::NodeDefinition wrong = one_;
  wrong.set_services_yaml("- {name: x}");
  const auto engine = Connect();
  const v1::Report report = engine->Handle(With(node_.InstallCommand(1), wrong), nullptr);
  EXPECT_EQ(RefusalOf(report), Reason::MALFORMED);
  EXPECT_THAT(report.refusal().failure().detail(), HasSubstr("services:1:3: at [0]: missing key \"certificate\""));
  EXPECT_FALSE(node_.disk.Exists("/var"));
  // The controller may say it better.
  EXPECT_EQ(OutcomeOf(engine->Handle(With(node_.InstallCommand(1), one_), nullptr)), Outcome::INSTALLED);
}

TEST_F(Hosted, BelongsToTheFleetOfItsFirstContact) {
  ASSERT_TRUE(Send(node_.DescribeCommand(), one_).has_inventory());
  const std::string pin = node_.disk.GetFile(kPin).value_or("");
  v1::NodeDefinition foreign = one_;
  foreign.set_fleet_id("another");
  v1::NodeDefinition forged = one_;
  forged.set_manifest_key_pem(testing::TestFleet().key().ToPem());
  ASSERT_NE(forged.manifest_key_pem(), one_.manifest_key_pem());
  for (const v1::NodeDefinition& definition : {foreign, forged}) {
    for (const v1::Command& command : {node_.InstallCommand(1), node_.DescribeCommand()}) {
      const v1::Report report = Send(command, definition);
      EXPECT_EQ(RefusalOf(report), Reason::FOREIGN_FLEET);
      EXPECT_THAT(report.refusal().failure().hint(), HasSubstr(absl::StrCat("rm ", kPin)));
    }
  }
  EXPECT_EQ(node_.disk.GetFile(kPin), pin);
  EXPECT_EQ(KeptServices(), one_.services_yaml());
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(1), one_)), Outcome::INSTALLED);
}

TEST_F(Hosted, APinThatSaysNothingIsForAPersonToLookAt) {
  node_.disk.PutFile(kPin, "", {.mode = 0600});
  EXPECT_EQ(RefusalOf(Send(node_.DescribeCommand(), one_)), Reason::FOREIGN_FLEET);
  EXPECT_EQ(node_.disk.GetFile(kPin), "");
}

TEST_F(Hosted, AStateThatOthersCouldHaveFilledIsRefused) {
  for (const FileAttributes& attributes : {FileAttributes{.mode = 0777, .owner = geteuid(), .group = getegid()},
                                           FileAttributes{.mode = 0775, .owner = geteuid(), .group = getegid()},
                                           FileAttributes{.mode = 0755, .owner = geteuid() + 1, .group = getegid()}}) {
    node_.disk.PutDirectory(node_.config.state, attributes);
    EXPECT_EQ(RefusalOf(Send(node_.InstallCommand(1), one_)), Reason::PERMISSION_DENIED);
    EXPECT_THAT(MakeKeptSource(node_.disk, node_.config.state), HasReason(Reason::PERMISSION_DENIED));
  }
  EXPECT_FALSE(node_.disk.Exists(kPin));
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
}

TEST_F(Hosted, OncePinnedAnewItBelongsToTheOtherFleet) {
  ASSERT_TRUE(Send(node_.DescribeCommand(), one_).has_inventory());
  ASSERT_THAT((*node_.disk.OpenDirectory(node_.config.state))->Remove("pinned-fleet"), IsOk());
  v1::NodeDefinition foreign = one_;
  foreign.set_fleet_id("another");
  const v1::Report report = Send(node_.DescribeCommand(), foreign);
  EXPECT_EQ(report.inventory().fleet_id(), "another") << report.ShortDebugString();
  EXPECT_EQ(RefusalOf(Send(node_.DescribeCommand(), one_)), Reason::FOREIGN_FLEET);
}

// --- The definition changes.

TEST_F(Hosted, WorksByTheLatestDefinition) {
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(1), one_)), Outcome::INSTALLED);
  EXPECT_EQ(OutcomeOf(Send(node_.ConfirmCommand(1), one_)), Outcome::INSTALLED);
  EXPECT_EQ(node_.FilesOf("haproxy"), kNothing);
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(2), both_)), Outcome::INSTALLED);
  EXPECT_EQ(KeptServices(), both_.services_yaml());
  EXPECT_EQ(node_.FilesOf("haproxy"), LeafOf(2));
}

TEST_F(Hosted, WhatWaitsForConfirmIsEndedByTheDefinitionItBeganWith) {
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(1), one_)), Outcome::INSTALLED);
  const auto engine = Connect();
  EXPECT_EQ(OutcomeOf(engine->Handle(With(node_.ConfirmCommand(1), both_), nullptr)), Outcome::INSTALLED);
  EXPECT_EQ(KeptServices(), one_.services_yaml());
  // From the next command on the new one is in force.
  EXPECT_EQ(OutcomeOf(engine->Handle(node_.InstallCommand(2), nullptr)), Outcome::INSTALLED);
  EXPECT_EQ(KeptServices(), both_.services_yaml());
  EXPECT_EQ(node_.FilesOf("haproxy"), LeafOf(2));
}

TEST_F(Hosted, WhatACrashLeftIsEndedByTheDefinitionItBeganWith) {
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(1), both_)), Outcome::INSTALLED);
  EXPECT_EQ(OutcomeOf(Send(node_.ConfirmCommand(1), both_)), Outcome::INSTALLED);
  // Both services were told of generation 2, when it was killed.
  node_.running["haproxy"].on_reload = [this] { node_.files.CrashAt(node_.files.count() + 1); };
  (void)Send(node_.InstallCommand(2), both_);
  ASSERT_TRUE(node_.files.has_crashed());
  node_.Kill();
  node_.running["haproxy"].on_reload = nullptr;
  // The next contact has only one of them, and yet the other is told to go back.
  ASSERT_TRUE(Send(node_.DescribeCommand(), one_).has_inventory());
  EXPECT_EQ(node_.running["nginx"].served, LeafOf(1));
  EXPECT_EQ(node_.running["haproxy"].served, LeafOf(1));
  EXPECT_EQ(KeptServices(), one_.services_yaml());
}

TEST_F(Hosted, WhenTheDiskDoesNotLetItEndTheNewDefinitionWaits) {
  node_.running["nginx"].on_reload = [this] { node_.files.CrashAt(node_.files.count() + 1); };
  (void)Send(node_.InstallCommand(1), one_);
  node_.Kill();
  node_.running["nginx"].on_reload = nullptr;
  node_.files.FailWhere([](absl::string_view operation) { return operation.substr(0, 6) == "Rename"; }, EIO);
  EXPECT_EQ(RefusalOf(Send(node_.InstallCommand(2), both_)), Reason::STORAGE_FAILED);
  EXPECT_EQ(KeptServices(), one_.services_yaml());
  node_.files.Heal();
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(2), both_)), Outcome::INSTALLED);
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(2));
}

TEST_F(Hosted, AKeptDefinitionThatSaysNothingIsReplaced) {
  ASSERT_TRUE(Send(node_.DescribeCommand(), one_).has_inventory());
  for (const std::string& damage : {std::string("\xff\xff"), std::string()}) {
    node_.disk.PutFile(kKept, damage, {.mode = 0600});
    EXPECT_TRUE(Send(node_.DescribeCommand(), one_).has_inventory());
    EXPECT_EQ(KeptServices(), one_.services_yaml());
  }
}

TEST_F(Hosted, WithoutRoomToKeepTheDefinitionNothingIsInstalled) {
  ASSERT_TRUE(Send(node_.DescribeCommand(), one_).has_inventory());
  node_.files.FailWhere([](absl::string_view operation) { return operation.substr(0, 10) == "CreateFile"; }, ENOSPC);
  EXPECT_EQ(RefusalOf(Send(node_.InstallCommand(1), both_)), Reason::NO_SPACE);
  EXPECT_EQ(node_.FilesOf("nginx"), kNothing);
  EXPECT_EQ(KeptServices(), one_.services_yaml());
}

// --- At boot, without a controller.

TEST_F(Hosted, IsRecoveredFromWhatItKeeps) {
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(1), one_)), Outcome::INSTALLED);
  EXPECT_EQ(OutcomeOf(Send(node_.ConfirmCommand(1), one_)), Outcome::INSTALLED);
  EXPECT_EQ(OutcomeOf(Send(node_.InstallCommand(2), one_)), Outcome::INSTALLED);
  node_.clock.Advance(absl::Minutes(2));
  auto source = MakeKeptSource(node_.disk, node_.config.state);
  ASSERT_THAT(source, IsOk());
  ASSERT_NE(*source, nullptr);
  OnDemandEngine engine(*std::move(source), node_.SharedEnvironment());
  const auto recovered = engine.Recover();
  ASSERT_THAT(recovered, IsOk());
  EXPECT_THAT(recovered->line, HasSubstr("REVERTED NOT_CONFIRMED"));
  EXPECT_THAT(recovered->failed, IsOk());
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(1));
}

TEST_F(Hosted, ThatKeepsNothingHasNothingToRecover) {
  const auto source = MakeKeptSource(node_.disk, node_.config.state);
  ASSERT_THAT(source, IsOk());
  EXPECT_EQ(*source, nullptr);
}

TEST_F(Hosted, ADefinitionOfAnotherStateIsNotRecoveredFrom) {
  ASSERT_TRUE(Send(node_.DescribeCommand(), one_).has_inventory());
  node_.disk.PutFile("/srv/moved/definition", *node_.disk.GetFile(kKept), {.mode = 0600});
  EXPECT_THAT(MakeKeptSource(node_.disk, "/srv/moved"),
              HasReason(Reason::MALFORMED, HasSubstr("is of another state directory, /var/lib/certcast-node")));
}

TEST_F(Hosted, ADamagedDefinitionIsPutRightByTheNextContact) {
  ASSERT_EQ(OutcomeOf(Send(node_.InstallCommand(1), one_)), Outcome::INSTALLED);
  ASSERT_EQ(OutcomeOf(Send(node_.ConfirmCommand(1), one_)), Outcome::INSTALLED);
  ASSERT_EQ(OutcomeOf(Send(node_.InstallCommand(2), one_)), Outcome::INSTALLED);
  node_.disk.PutFile(kKept, "\xff damaged", {.mode = 0600});
  const absl::Status lost = MakeKeptSource(node_.disk, node_.config.state).status();
  EXPECT_THAT(lost, HasReason(Reason::MALFORMED, HasSubstr("definition does not parse")));
  EXPECT_THAT(FailureOf(lost).hint(), HasSubstr("run certcast apply"));
  // What was begun is ended, and what comes then is done.
  node_.clock.Advance(absl::Minutes(2));
  ASSERT_EQ(OutcomeOf(Send(node_.InstallCommand(3), one_)), Outcome::INSTALLED);
  EXPECT_EQ(node_.FilesOf("nginx"), LeafOf(3));
  EXPECT_THAT(MakeKeptSource(node_.disk, node_.config.state), IsOk());
}

// --- Killed, or without power, at every operation on the disk: of a first contact that installs and confirms, and of a
// second one by another definition.

enum class End { kKilled, kKilledInTheMiddle, kPowerLoss };

class HostedCrash : public ::testing::TestWithParam<End> {
 protected:
  static void Interrupt(SimulatedNode& node, int at) {
    if (GetParam() == End::kKilledInTheMiddle) {
      node.files.CrashInTheMiddleOf(node.files.count() + at);
    } else {
      node.files.CrashAt(node.files.count() + at);
    }
  }
  static void Die(SimulatedNode& node, int at) {
    if (GetParam() == End::kPowerLoss) {
      node.LosePower(static_cast<uint64_t>(at % 3));
    } else {
      node.Kill();
    }
  }
};

TEST_P(HostedCrash, EndsOldOrNewAndTheNextContactGoesOn) {
  for (int at = 1;; ++at) {
    HostedNode node;
    const v1::NodeDefinition one = node.DefinitionWith({"nginx"});
    const v1::NodeDefinition both = node.DefinitionWith({"nginx", "haproxy"});
    const auto send = [&](const v1::Command& command, const v1::NodeDefinition& definition) {
      return HostedEngine(node.SharedEnvironment()).Handle(With(command, definition), nullptr);
    };
    Interrupt(node, at);
    (void)send(node.InstallCommand(1), one);
    (void)send(node.ConfirmCommand(1), one);
    (void)send(node.InstallCommand(2), both);
    const bool whole = !node.files.has_crashed();
    Die(node, at);
    ASSERT_THAT(node.FilesOf("nginx"), AnyOf(kNothing, LeafOf(1), LeafOf(2))) << "at operation " << at;
    ASSERT_THAT(node.FilesOf("haproxy"), AnyOf(kNothing, LeafOf(2))) << "at operation " << at;

    // Never another fleet's, and never in the way of its own. What waits for Confirm is taken back first.
    node.clock.Advance(absl::Minutes(2));
    const v1::Report report = send(node.InstallCommand(3), both);
    ASSERT_EQ(OutcomeOf(report), Outcome::INSTALLED) << "at operation " << at << ": " << report.ShortDebugString();
    ASSERT_EQ(OutcomeOf(send(node.ConfirmCommand(3), both)), Outcome::INSTALLED) << "at operation " << at;
    for (const char* service : {"nginx", "haproxy"}) {
      ASSERT_EQ(node.FilesOf(service), LeafOf(3)) << "at operation " << at;
      ASSERT_EQ(node.running[service].served, LeafOf(3)) << "at operation " << at;
    }
    ASSERT_THAT(node.Temporaries(), ::testing::IsEmpty()) << "at operation " << at;
    if (whole) {
      RecordProperty("operations", at);
      EXPECT_GT(at, 100);
      return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, HostedCrash, ::testing::Values(End::kKilled, End::kKilledInTheMiddle, End::kPowerLoss),
                         [](const ::testing::TestParamInfo<End>& info) {
                           return info.param == End::kKilled              ? "Killed"
                                  : info.param == End::kKilledInTheMiddle ? "KilledInTheMiddle"
                                                                          : "PowerLoss";
                         });

}  // namespace
}  // namespace certcast::node
