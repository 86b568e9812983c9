// For the tests here: a simulated host, and processes that find its state locked by each other.
#ifndef CERTCAST_NODE_HOSTED_HOSTED_NODE_H_
#define CERTCAST_NODE_HOSTED_HOSTED_NODE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "certcast/v1/link.pb.h"
#include "common/status/status.h"
#include "node/engine/engine.h"
#include "node/engine/simulated_node.h"

namespace certcast::node {

// One holder at a time, as flock gives it. Must outlive what it gave.
class SharedLocker : public StateLocker {
 public:
  absl::StatusOr<std::unique_ptr<StateLock>> Lock(const std::string& state) override {
    ++asked_;
    if (asked_ > busy_until_) busy_ = false;
    if (busy_ || held_) return Fail(Reason::BUSY, absl::StrCat("another certcast-node works on ", state));
    return std::make_unique<Held>(held_);
  }

  // Another process has it, until it was asked for so many times.
  void BeBusyFor(int times) {
    busy_ = true;
    busy_until_ = asked_ + times;
  }
  bool held() const { return held_; }

 private:
  struct Held : StateLock {
    explicit Held(bool& flag) : held(flag) { held = true; }
    ~Held() override { held = false; }
    bool& held;
  };

  bool held_ = false;
  bool busy_ = false;
  int asked_ = 0;
  int busy_until_ = 0;
};

// Services called `nginx` and `haproxy`, as SimulatedNode makes them.
class HostedNode : public SimulatedNode {
 public:
  HostedNode() {
    AddService("nginx");
    AddService("haproxy");
  }

  EngineEnvironment SharedEnvironment() {
    EngineEnvironment environment = Environment();
    environment.locker = &locker;
    return environment;
  }

  v1::NodeDefinition DefinitionWith(const std::vector<std::string>& services) const {
    v1::NodeDefinition definition;
    definition.set_node(config.node);
    definition.set_state(config.state);
    definition.set_fleet_id(config.fleet->id);
    definition.set_manifest_key_pem(config.fleet->key.ToPem());
    definition.add_allow_names("*.example.com");
    definition.set_keep(2);
    std::string text;
    for (const std::string& name : services) {
      absl::StrAppend(&text, "- {name: ", name, ", certificate: wildcard, files: [{path: /etc/", name,
                      "/fullchain.pem, content: fullchain}, {path: /etc/", name,
                      "/privkey.pem, content: private_key}], check: [", name, ", -t], reload: [", name,
                      ", -s, reload], probes: [{tls: {address: \"", name,
                      ".local:443\", server_name: www.example.com}}]}\n");
    }
    definition.set_services_yaml(text);
    return definition;
  }

  v1::Command ConfirmCommand(uint64_t generation) {
    v1::Command command;
    command.set_id(NewCommandId());
    command.set_epoch(1);
    command.mutable_confirm()->set_certificate("wildcard");
    command.mutable_confirm()->set_generation(generation);
    command.mutable_confirm()->set_leaf_sha256(LeafOf(generation));
    return command;
  }
  v1::Command DescribeCommand() {
    v1::Command command;
    command.set_id(NewCommandId());
    command.mutable_describe();
    return command;
  }

  SharedLocker locker;
};

inline v1::Command With(v1::Command command, const v1::NodeDefinition& definition) {
  *command.mutable_definition() = definition;
  return command;
}

inline v1::Outcome::Code OutcomeOf(const v1::Report& report) {
  return report.install_result().outcome();
}

inline v1::Reason::Code RefusalOf(const v1::Report& report) {
  return report.refusal().failure().reason();
}

}  // namespace certcast::node

#endif  // CERTCAST_NODE_HOSTED_HOSTED_NODE_H_
