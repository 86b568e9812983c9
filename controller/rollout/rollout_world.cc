#include "controller/rollout/rollout_world.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "certcast/v1/bundle.pb.h"
#include "common/status/status.h"
#include "controller/rollout/life_cycle.h"
#include "controller/rollout/record.h"
#include "gtest/gtest.h"

namespace certcast::controller {

using state::v1::Rollout;

void MemoryRolloutLog::DieAt(int save, Death death) {
  absl::MutexLock lock(&mutex_);
  dies_at_ = saves_ + save;
  death_ = death;
}

void MemoryRolloutLog::Revive() {
  absl::MutexLock lock(&mutex_);
  dies_at_ = 0;
}

void MemoryRolloutLog::Begin(const Rollout& rollout) {
  absl::MutexLock lock(&mutex_);
  stored_ = rollout;
}

absl::Status MemoryRolloutLog::Save(const Rollout* head, const std::map<size_t, Rollout::Node>& nodes) {
  absl::MutexLock lock(&mutex_);
  ++saves_;
  const bool dies = dies_at_ != 0 && saves_ >= dies_at_;
  if (!dies || (saves_ == dies_at_ && death_ == Death::kAfterTheCommit)) {
    if (head != nullptr) {
      EXPECT_EQ(head->nodes_size(), 0);
      const Rollout before = std::exchange(stored_, *head);
      *stored_.mutable_nodes() = before.nodes();
    }
    for (const auto& [index, node] : nodes) *stored_.mutable_nodes(static_cast<int>(index)) = node;
  }
  return dies ? Fail(Reason::STORAGE_FAILED, "the controller is dead") : absl::OkStatus();
}

Rollout MemoryRolloutLog::stored() const {
  absl::MutexLock lock(&mutex_);
  return stored_;
}

Rollout::Node::Step MemoryRolloutLog::StepOf(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  for (const Rollout::Node& node : stored_.nodes()) {
    if (node.result().name() == name) return node.step();
  }
  ADD_FAILURE() << name << " is not in the log";
  return Rollout::Node::PENDING;
}

bool MemoryRolloutLog::AwaitState(v1::Rollout::State state) const {
  const auto reached = [this, state]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stored_.state() == state; };
  absl::MutexLock lock(&mutex_);
  return mutex_.AwaitWithTimeout(absl::Condition(&reached), absl::Seconds(20));
}

int MemoryRolloutLog::saves() const {
  absl::MutexLock lock(&mutex_);
  return saves_;
}

const std::string& RolloutWorld::OldLeaf() {
  static const auto* leaf = new std::string(64, 'a');
  return *leaf;
}

const std::string& RolloutWorld::NewLeaf() {
  static const auto* leaf = new std::string(64, 'b');
  return *leaf;
}

RolloutWorld::RolloutWorld(int nodes, int racks) {
  policy_.parallel = 1;
  for (int i = 0; i < nodes; ++i) {
    NodeConfig config;
    config.name = absl::StrCat("node-", i);
    config.address = absl::StrCat(config.name, ":7444");
    config.verify = {{.address = absl::StrCat(config.name, ":443"), .server_name = ""}};
    if (racks > 0) config.labels["rack"] = absl::StrCat("r", i % racks);
    node(config.name).Preinstall(kCertificate, 1, OldLeaf());
    fleet_.push_back({.name = config.name, .labels = config.labels});
    configs_[config.name] = config;
  }
  prober_.Otherwise([this](const ProbeSpec& spec) {
    const auto& tls = std::get<TlsProbe>(spec.what);
    EXPECT_EQ(tls.server_name, "www.example.com");
    const std::vector<std::string> parts = absl::StrSplit(tls.address, ':');
    return testing::FakeProber::Serves(node(parts[0]).served_to_controller_sha256(kCertificate));
  });
  transport_.SetOnCommand([this](const std::string& name, const v1::Command& command) {
    CheckSavedFirst(name, command);
    if (on_command_ != nullptr) on_command_(name, command);
  });
  inputs_.request = [this]() -> absl::StatusOr<std::optional<state::v1::RolloutRequest>> {
    absl::MutexLock lock(&request_mutex_);
    return request_;
  };
  inputs_.forget_request = [this] {
    absl::MutexLock lock(&request_mutex_);
    EXPECT_TRUE(request_.has_value());
    // Saved first.
    Rollout head = log_.stored();
    if (request_.has_value()) {
      EXPECT_FALSE(TakeRequest(*request_, head)) << v1::Rollout::State_Name(head.state());
    }
    request_.reset();
    return absl::OkStatus();
  };
  inputs_.default_server_name = "www.example.com";
  inputs_.epoch = 1;
  inputs_.find_node = [this](absl::string_view name) -> const NodeConfig* {
    auto config = configs_.find(std::string(name));
    return config == configs_.end() ? nullptr : &config->second;
  };
  inputs_.bundle = [this]() -> absl::StatusOr<v1::Bundle> {
    ++bundles_made_;
    v1::Manifest manifest;
    manifest.set_certificate(kCertificate);
    manifest.set_generation(2);
    manifest.set_leaf_sha256(NewLeaf());
    v1::Bundle bundle;
    bundle.set_manifest(manifest.SerializeAsString());
    bundle.set_private_key_pem("key");
    return bundle;
  };
}

void RolloutWorld::CheckSavedFirst(const std::string& name, const v1::Command& command) const {
  const Rollout::Node::Step step = log_.StepOf(name);
  if (command.has_install()) {
    EXPECT_EQ(step, Rollout::Node::INSTALLING) << name;
    EXPECT_EQ(command.install().bundle().private_key_pem(), "key");
  }
  if (command.has_confirm()) {
    EXPECT_EQ(step, Rollout::Node::CONFIRMING) << name;
  }
  if (command.has_revert()) {
    EXPECT_EQ(step, Rollout::Node::REVERTING) << name;
  }
}

void RolloutWorld::Ask(state::v1::RolloutRequest::Wish wish, state::v1::RolloutRequest::OnHalt on_halt) {
  absl::MutexLock lock(&request_mutex_);
  request_.emplace().set_wish(wish);
  request_->mutable_by()->set_user("alice");
  request_->set_on_halt(on_halt);
}

bool RolloutWorld::asked() const {
  absl::MutexLock lock(&request_mutex_);
  return request_.has_value();
}

void RolloutWorld::Unask() {
  absl::MutexLock lock(&request_mutex_);
  request_.reset();
}

Rollout RolloutWorld::Plan() {
  Rollout rollout = MakeRollout({kCertificate, 2, NewLeaf()}, fleet_, policy_, 1, clock_.Now());
  rollout.set_id("wildcard-2-33m8z0");
  log_.Begin(rollout);
  return rollout;
}

absl::StatusOr<Rollout> RolloutWorld::Execute(const Rollout& rollout) {
  const RolloutEnvironment environment = {&transport_, &prober_, &clock_, &log_};
  absl::StatusOr<Rollout> ended = ExecuteRollout(
      rollout, inputs_, environment, [this](const auto& progress) { progress_.push_back(progress); }, stop_);
  // What is returned is what is in the log.
  if (ended.ok()) {
    EXPECT_EQ(ended->SerializeAsString(), log_.stored().SerializeAsString());
  }
  return ended;
}

absl::StatusOr<Rollout> RolloutWorld::Resume() {
  log_.Revive();
  stop_ = false;
  ++inputs_.epoch;
  return Execute(log_.stored());
}

std::vector<std::string> RolloutWorld::NamesIn(const Rollout& rollout, int wave) {
  std::vector<std::string> names;
  for (const Rollout::Node& node : rollout.nodes()) {
    if (node.result().wave() == wave) names.push_back(node.result().name());
  }
  return names;
}

v1::Rollout::Node RolloutWorld::ResultOf(const Rollout& rollout, const std::string& name) {
  for (const Rollout::Node& node : rollout.nodes()) {
    if (node.result().name() == name) return node.result();
  }
  ADD_FAILURE() << name << " is not in the rollout";
  return {};
}

bool RolloutWorld::AllServe(const std::string& leaf) {
  for (const auto& [name, config] : configs_) {
    if (node(name).served_sha256(kCertificate) != leaf || !node(name).installed(kCertificate).confirmed) return false;
  }
  return true;
}

}  // namespace certcast::controller
