// `nodes upgrade`, with hosts that exist in memory alone.
#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/store_view.h"
#include "tests/testing/temporary_directory.h"

namespace certcast::controller {
namespace {

using ::testing::ElementsAre;
using testing::HasCode;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::UnorderedElementsAre;
using Row = v1::UpgradeNodesResponse::Node;

// Hosts by name; what each has is its agent's digest, and "own" is one of the host's own.
struct Hosts {
  static constexpr char kCurrent[] = "current";

  absl::Mutex mutex;
  std::map<std::string, std::string> agents;
  std::map<std::string, absl::Status> failures;
  std::vector<std::string> uploads;
  int at_work = 0;
  int most_at_work = 0;
  std::function<void()> on_contact = [] {};
};

class FakeInstaller : public AgentInstaller {
 public:
  explicit FakeInstaller(Hosts& hosts) : hosts_(hosts) {}
  absl::StatusOr<AgentOnHost> PutAgent(const NodeConfig& node, bool only_look, absl::Duration) override {
    {
      absl::MutexLock lock(&hosts_.mutex);
      hosts_.most_at_work = std::max(hosts_.most_at_work, ++hosts_.at_work);
    }
    hosts_.on_contact();
    absl::MutexLock lock(&hosts_.mutex);
    --hosts_.at_work;
    return Put(node.name, only_look);
  }

 private:
  absl::StatusOr<AgentOnHost> Put(const std::string& name, bool only_look) ABSL_EXCLUSIVE_LOCKS_REQUIRED(hosts_.mutex) {
    using State = AgentOnHost::State;
    if (const auto failure = hosts_.failures.find(name); failure != hosts_.failures.end()) return failure->second;
    std::string& has = hosts_.agents[name];
    if (has == "own") return AgentOnHost{.state = State::kOwn, .version = "own 1.0"};
    if (has == Hosts::kCurrent) {
      return AgentOnHost{.state = State::kCurrent, .sha256 = Hosts::kCurrent, .version = "agent 2.0"};
    }
    if (only_look) return AgentOnHost{.state = State::kMissing, .sha256 = Hosts::kCurrent, .previous_sha256 = has};
    hosts_.uploads.push_back(name);
    return AgentOnHost{.state = State::kUploaded,
                       .sha256 = Hosts::kCurrent,
                       .previous_sha256 = std::exchange(has, Hosts::kCurrent),
                       .version = "agent 2.0"};
  }

  Hosts& hosts_;
};

class UpgradeNodesTest : public ::testing::Test {
 protected:
  // old-1 to old-`count` are logged in to, web-1 is not.
  void Configure(int count) {
    std::string nodes = "  - {name: web-1, address: \"grpc://127.0.0.1:7444\"}\n";
    for (int i = 1; i <= count; ++i) {
      absl::StrAppend(&nodes, "  - {name: old-", i, ", address: \"ssh://deploy@127.0.0.9:", 2000 + i, "\"}\n");
    }
    absl::StatusOr<Config> config =
        ParseConfig(absl::StrCat("state: state\nmaster_key: {file: master.key}\ncertificates: []\n"
                                 "ssh: {agent: true, known_hosts: known_hosts}\nnodes:\n",
                                 nodes),
                    directory_.path() + "/certcast.yaml");
    ASSERT_THAT(config, IsOk());
    Machine machine;
    machine.files = &FileSystem::Real();
    machine.clock = &clock_;
    machine.open_store = [this](const std::string&, bool) { return std::make_unique<testing::StoreView>(store_); };
    machine.make_agent_installer = [this](const std::string&) { return std::make_unique<FakeInstaller>(hosts_); };
    controller_ = std::make_unique<Controller>(*std::move(config), machine);
    ASSERT_THAT(controller_->Init(), IsOk());
  }
  absl::StatusOr<v1::UpgradeNodesResponse> Upgrade(const std::vector<std::string>& names = {}, bool dry_run = false,
                                                   int parallel = 0) {
    v1::UpgradeNodesRequest request;
    request.mutable_names()->Assign(names.begin(), names.end());
    request.set_dry_run(dry_run);
    request.set_parallel(parallel);
    absl::StatusOr<v1::UpgradeNodesResponse> response = controller_->UpgradeNodes(
        request, [this](const v1::ApplyEvent::Progress& progress) { notes_.push_back(progress.text()); }, stop_);
    rows_.clear();
    if (response.ok()) {
      for (const Row& row : response->nodes()) rows_[row.name()] = row;
    }
    return response;
  }

  testing::TemporaryDirectory directory_;
  testing::FakeClock clock_;
  testing::MemoryStore store_;
  Hosts hosts_;
  std::unique_ptr<Controller> controller_;
  std::atomic<bool> stop_ = false;
  std::map<std::string, Row> rows_;
  std::vector<std::string> notes_;
};

TEST_F(UpgradeNodesTest, UploadsWhereItIsMissingOrAnotherAndTheSecondTimeNowhere) {
  Configure(3);
  hosts_.agents = {{"old-2", "before"}, {"old-3", Hosts::kCurrent}};
  ASSERT_THAT(Upgrade(), IsOk());
  EXPECT_EQ(rows_["old-1"].state(), Row::UPLOADED);
  EXPECT_EQ(rows_["old-1"].previous_sha256(), "");
  EXPECT_EQ(rows_["old-1"].version(), "agent 2.0");
  EXPECT_EQ(rows_["old-2"].state(), Row::UPLOADED);
  EXPECT_EQ(rows_["old-2"].previous_sha256(), "before");
  EXPECT_EQ(rows_["old-3"].state(), Row::UP_TO_DATE);
  EXPECT_EQ(notes_.size(), 2u);
  EXPECT_THAT(notes_, ::testing::Each(HasSubstr(": uploaded")));

  ASSERT_THAT(Upgrade(), IsOk());
  for (const char* name : {"old-1", "old-2", "old-3"}) EXPECT_EQ(rows_[name].state(), Row::UP_TO_DATE) << name;
  EXPECT_THAT(hosts_.uploads, UnorderedElementsAre("old-1", "old-2"));
}

TEST_F(UpgradeNodesTest, NamesTheAgentsThatAreNotOurs) {
  Configure(1);
  hosts_.agents = {{"old-1", "own"}};
  ASSERT_THAT(Upgrade(), IsOk());
  EXPECT_EQ(rows_["web-1"].state(), Row::NOT_OURS);
  EXPECT_THAT(rows_["web-1"].detail(), HasSubstr("listens at 127.0.0.1:7444"));
  EXPECT_EQ(rows_["old-1"].state(), Row::NOT_OURS);
  EXPECT_EQ(rows_["old-1"].version(), "own 1.0");
  EXPECT_THAT(hosts_.uploads, IsEmpty());
}

TEST_F(UpgradeNodesTest, ADryRunUploadsNothingAndSaysWhatItWould) {
  Configure(2);
  hosts_.agents = {{"old-1", "before"}, {"old-2", Hosts::kCurrent}};
  absl::StatusOr<v1::UpgradeNodesResponse> response = Upgrade({}, /*dry_run=*/true);
  ASSERT_THAT(response, IsOk());
  EXPECT_TRUE(response->changes_pending());
  EXPECT_EQ(rows_["old-1"].state(), Row::OUTDATED);
  EXPECT_EQ(rows_["old-1"].previous_sha256(), "before");
  EXPECT_EQ(rows_["old-2"].state(), Row::UP_TO_DATE);
  EXPECT_THAT(hosts_.uploads, IsEmpty());
  response = Upgrade({"old-2"}, /*dry_run=*/true);
  ASSERT_THAT(response, IsOk());
  EXPECT_FALSE(response->changes_pending());
}

TEST_F(UpgradeNodesTest, AHostThatIsNotReachedIsNamedAndTheOthersAreDone) {
  Configure(3);
  absl::Status failure = Fail(Reason::SUDO_REFUSED, "sudo said no", "add a line");
  hosts_.failures["old-2"] = WithStderr(std::move(failure), "sudo: a password is required");
  ASSERT_THAT(Upgrade(), IsOk());
  const Row& row = rows_["old-2"];
  EXPECT_EQ(row.state(), Row::UNREACHABLE);
  EXPECT_EQ(row.reason(), Reason::SUDO_REFUSED);
  EXPECT_EQ(row.detail(), "sudo said no");
  EXPECT_EQ(row.hint(), "add a line");
  EXPECT_THAT(row.stderr(), HasSubstr("a password is required"));
  EXPECT_THAT(hosts_.uploads, UnorderedElementsAre("old-1", "old-3"));
  EXPECT_THAT(notes_, ::testing::Contains(HasSubstr("old-2: SUDO_REFUSED: sudo said no")));
}

TEST_F(UpgradeNodesTest, WrongNamesAreSaidBeforeAnyHostIsTouched) {
  Configure(1);
  absl::Status status = Upgrade({"old-1", "old-9"}).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(status).detail(), HasSubstr("there is no node old-9"));
  status = Upgrade({"old-1", "web-1"}).status();
  EXPECT_THAT(status, HasCode(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(FailureOf(status).detail(), HasSubstr("web-1 is not ours to upgrade"));
  for (const int parallel : {-1, 1025}) {
    EXPECT_THAT(Upgrade({}, false, parallel), HasCode(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(hosts_.uploads, IsEmpty());
}

TEST_F(UpgradeNodesTest, AsManyHostsAtOnceAsAsked) {
  Configure(12);
  // Nobody is done before so many are at work.
  hosts_.on_contact = [this] {
    absl::MutexLock lock(&hosts_.mutex);
    const auto enough = [this] { return hosts_.most_at_work >= 3; };
    EXPECT_TRUE(hosts_.mutex.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(20)));
  };
  ASSERT_THAT(Upgrade({}, false, 3), IsOk());
  EXPECT_EQ(hosts_.uploads.size(), 12u);
  EXPECT_EQ(hosts_.most_at_work, 3);
}

TEST_F(UpgradeNodesTest, WhenItIsStoppedNoFurtherHostBegins) {
  Configure(5);
  hosts_.on_contact = [this] { stop_ = true; };
  EXPECT_THAT(Upgrade({}, false, 1), HasCode(absl::StatusCode::kCancelled));
  EXPECT_THAT(hosts_.uploads, ElementsAre("old-1"));
  hosts_.on_contact = [] {};
  stop_ = false;
  ASSERT_THAT(Upgrade(), IsOk());
  EXPECT_EQ(hosts_.uploads.size(), 5u);
}

TEST_F(UpgradeNodesTest, TheSameNameTwiceIsOneContact) {
  Configure(2);
  ASSERT_THAT(Upgrade({"old-2", "old-2"}), IsOk());
  EXPECT_EQ(rows_.size(), 1u);
  EXPECT_THAT(hosts_.uploads, ElementsAre("old-2"));
}

}  // namespace
}  // namespace certcast::controller
