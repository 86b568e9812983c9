#include "node/engine/stories.h"

#include <algorithm>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/testing/status_matchers.h"

namespace certcast::node {
namespace {

using ::testing::IsEmpty;
using testing::IsOk;

int cases = 0;

void PrepareCopiesToBe(SimulatedNode& node) {
  AddBothServices(node);
  node.DeclareFiles(FileInstall::kCopy);
}

void HaveGenerationOneAsCopies(SimulatedNode& node) {
  PrepareCopiesToBe(node);
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
}

// Generation 1 is installed otherwise than the next one will be.
void DeclareAnew(SimulatedNode& node, FileInstall install) {
  node.DeclareFiles(install);
  node.Kill();
  ASSERT_THAT(node.Start(), IsOk());
}

void InstallAndConfirm(SimulatedNode& node, uint64_t generation) {
  node.Handle(node.InstallCommand(generation));
  v1::Command confirm;
  confirm.set_id(node.NewCommandId());
  confirm.set_epoch(1);
  confirm.mutable_confirm()->set_certificate("wildcard");
  confirm.mutable_confirm()->set_generation(generation);
  confirm.mutable_confirm()->set_leaf_sha256(LeafOf(generation));
  node.Handle(confirm);
}

void SendRevert(SimulatedNode& node, uint64_t generation) {
  v1::Command command;
  command.set_id(node.NewCommandId());
  command.set_epoch(1);
  command.mutable_revert()->set_certificate("wildcard");
  command.mutable_revert()->set_generation(generation);
  node.Handle(command);
}

std::vector<std::string> SetsOf(const Story& story) {
  std::vector<std::string> sets = story.before;
  sets.push_back(story.after);
  return sets;
}

void ExpectOneOf(SimulatedNode& node, const std::vector<std::string>& allowed) {
  for (const std::string service : {"nginx", "haproxy"}) {
    EXPECT_THAT(node.FilesOf(service), ::testing::AnyOfArray(allowed)) << service;
  }
}

}  // namespace

void AddBothServices(SimulatedNode& node) {
  node.AddService("nginx");
  node.AddService("haproxy");
}

void HaveGenerationOne(SimulatedNode& node) {
  AddBothServices(node);
  ASSERT_THAT(node.Start(), IsOk());
  node.Bring(1);
}

void HaveGenerationTwo(SimulatedNode& node) {
  HaveGenerationOne(node);
  node.Bring(2);
}

std::vector<Story> StoriesOfLinks() {
  return {
      {"AnUpdate", HaveGenerationOne, [](SimulatedNode& node) { InstallAndConfirm(node, 2); }, {LeafOf(1)}, LeafOf(2)},
      {"AnUpdateThatLeavesAServiceUndeclared",
       [](SimulatedNode& node) {
         node.AddService("other");
         HaveGenerationOne(node);
         node.config.services.erase(node.config.services.begin());
         node.Kill();
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1)},
       LeafOf(2)},
      {"AFirstInstallWhereNothingWas",
       [](SimulatedNode& node) {
         AddBothServices(node);
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {kNothing},
       LeafOf(1)},
      {"AFirstInstallOverFilesFromBefore",
       [](SimulatedNode& node) {
         AddBothServices(node);
         node.PutByHand("nginx", IssuedFor(kByHand));
         node.PutByHand("haproxy", IssuedFor(kByHand));
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {LeafOf(kByHand)},
       LeafOf(1)},
      {"AnUpdateOverAReplacedLink",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         node.PutByHand("nginx", IssuedFor(kByHand));
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1), LeafOf(kByHand)},
       LeafOf(2)},
      {"AnUpdateThatIsNotServed",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         node.running["haproxy"].ignores_reload = true;
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(2)); },
       {LeafOf(1), LeafOf(2)},
       LeafOf(1)},
      {"AFirstInstallThatIsNotServed",
       [](SimulatedNode& node) {
         AddBothServices(node);
         node.running["haproxy"].ignores_reload = true;
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(1)); },
       {kNothing, LeafOf(1)},
       kNothing},
      {"ARevertOfAConfirmedOne",
       HaveGenerationTwo,
       [](SimulatedNode& node) { SendRevert(node, 2); },
       {LeafOf(2)},
       LeafOf(1)},
      {"ARevertOfAServiceThatWasRenamedSince",
       [](SimulatedNode& node) {
         HaveGenerationTwo(node);
         node.config.services[1].name = "balancer";
         node.Kill();
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { SendRevert(node, 2); },
       {LeafOf(2)},
       LeafOf(1)},
      {"ARevertOfAnUnconfirmedOne",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         node.Install(2);
       },
       [](SimulatedNode& node) { SendRevert(node, 2); },
       {LeafOf(2)},
       LeafOf(1)},
  };
}

std::vector<Story> StoriesOfCopies() {
  return {
      {"AnUpdateOfCopies",
       HaveGenerationOneAsCopies,
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1)},
       LeafOf(2),
       true},
      {"AFirstInstallOfCopiesWhereNothingWas",
       [](SimulatedNode& node) {
         PrepareCopiesToBe(node);
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {kNothing},
       LeafOf(1),
       true},
      {"AFirstInstallOfCopiesOverFilesFromBefore",
       [](SimulatedNode& node) {
         PrepareCopiesToBe(node);
         node.PutByHand("nginx", IssuedFor(kByHand));
         node.PutByHand("haproxy", IssuedFor(kByHand));
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 1); },
       {LeafOf(kByHand)},
       LeafOf(1),
       true},
      {"AnUpdateOfCopiesThatIsNotServed",
       [](SimulatedNode& node) {
         HaveGenerationOneAsCopies(node);
         node.running["haproxy"].ignores_reload = true;
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(2)); },
       {LeafOf(1), LeafOf(2)},
       LeafOf(1),
       true},
      {"AFirstInstallOfCopiesThatIsNotServed",
       [](SimulatedNode& node) {
         PrepareCopiesToBe(node);
         node.running["haproxy"].ignores_reload = true;
         ASSERT_THAT(node.Start(), IsOk());
       },
       [](SimulatedNode& node) { node.Handle(node.InstallCommand(1)); },
       {kNothing, LeafOf(1)},
       kNothing,
       true},
      {"ARevertOfTheFirstCopies",
       HaveGenerationOneAsCopies,
       [](SimulatedNode& node) { SendRevert(node, 1); },
       {LeafOf(1)},
       kNothing,
       true},
      {"AnUpdateOfLinksToCopies",
       [](SimulatedNode& node) {
         HaveGenerationOne(node);
         DeclareAnew(node, FileInstall::kCopy);
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1)},
       LeafOf(2),
       true},
      {"AnUpdateOfCopiesToLinks",
       [](SimulatedNode& node) {
         HaveGenerationOneAsCopies(node);
         DeclareAnew(node, FileInstall::kLink);
       },
       [](SimulatedNode& node) { InstallAndConfirm(node, 2); },
       {LeafOf(1)},
       LeafOf(2)},
  };
}

void StoryTest::ExpectWhole(SimulatedNode& node) {
  ExpectOneOf(node, SetsOf(GetParam()));
}

void StoryTest::ExpectWholeUnlessCutOff(SimulatedNode& node) {
  std::vector<std::string> allowed = SetsOf(GetParam());
  if (GetParam().has_copies) allowed.push_back(kMixed);
  ExpectOneOf(node, allowed);
}

void StoryTest::ExpectOrder(SimulatedNode& node) {
  EXPECT_THAT(node.Temporaries(), IsEmpty());
  const int reloads = node.ReloadsOf("nginx") + node.ReloadsOf("haproxy");
  node.Kill();
  const int begin = node.files.count();
  ASSERT_THAT(node.Start(), IsOk());
  const std::vector<std::string> operations = node.files.operations();
  EXPECT_THAT(std::vector<std::string>(operations.begin() + begin, operations.end()),
              ::testing::Each(::testing::ResultOf(testing::ChangesDisk, false)))
      << "recovering again changes nothing";
  EXPECT_EQ(node.ReloadsOf("nginx") + node.ReloadsOf("haproxy"), reloads);
  // Once the time for Confirm is over too, everything serves what its files say.
  node.clock.Advance(absl::Minutes(2));
  EXPECT_THAT(node.engine().RevertIfOverdue(), IsOk());
  ExpectWhole(node);
  for (const std::string service : {"nginx", "haproxy"}) {
    const std::string files = node.FilesOf(service);
    if (files != kNothing && !node.running[service].ignores_reload) {
      EXPECT_EQ(node.running[service].served, files) << service;
    }
  }
}

void StoryTest::ExpectNextInstallWorks(SimulatedNode& node) {
  for (auto& [name, service] : node.running) service.ignores_reload = false;
  node.Bring(9);
  EXPECT_EQ(node.FilesOf("nginx"), LeafOf(9));
  EXPECT_EQ(node.FilesOf("haproxy"), LeafOf(9));
  const v1::Inventory inventory = node.Describe();
  for (const auto& service : inventory.services()) EXPECT_THAT(service.drift(), IsEmpty());
}

std::vector<std::string> OperationsOf(const Story& story) {
  SimulatedNode node;
  story.prepare(node);
  const int begin = node.files.count();
  story.act(node);
  const std::vector<std::string> operations = node.files.operations();
  return {operations.begin() + begin, operations.end()};
}

std::vector<int> StoryTest::NumbersOf(const OperationFilter& filter) {
  const std::vector<std::string> operations = OperationsOf(GetParam());
  std::vector<int> numbers;
  for (size_t i = 0; i < operations.size(); ++i) {
    if (filter(operations[i])) numbers.push_back(static_cast<int>(i) + 1);
  }
  return numbers;
}

void StoryTest::ForEach(const std::vector<int>& operations, const std::function<void(SimulatedNode&, int)>& arm,
                        const std::function<void(SimulatedNode&, int)>& expect) {
  for (const int n : operations) {
    SimulatedNode node;
    GetParam().prepare(node);
    const int begin = node.files.count();
    arm(node, begin + n);
    GetParam().act(node);
    ASSERT_GE(node.files.count(), begin + n);
    SCOPED_TRACE(absl::StrCat("operation ", n, ": ", node.files.operations()[begin + n - 1]));
    expect(node, n);
    ++cases;
    if (HasFailure()) return;
  }
}

void StoryTest::ForEachOperation(const std::function<void(SimulatedNode&, int)>& arm,
                                 const std::function<void(SimulatedNode&, int)>& expect) {
  const std::vector<int> all = NumbersOf([](absl::string_view) { return true; });
  // The story is longer than a few calls, or it shows nothing.
  EXPECT_GT(all.size(), 30u);
  ForEach(all, arm, expect);
}

void StoryTest::TearDown() {
  const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
  std::cout << "cases: " << cases << " of " << test.test_suite_name() << "." << test.name() << std::endl;
  cases = 0;
}

}  // namespace certcast::node
