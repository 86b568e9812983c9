// Nodes that show HTTP challenges, in memory.
#ifndef CERTCAST_CONTROLLER_ACME_FLEET_FIXTURE_H_
#define CERTCAST_CONTROLLER_ACME_FLEET_FIXTURE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/http_challenge/token.h"
#include "common/status/status.h"
#include "controller/acme/http01_fleet.h"
#include "controller/config/config.h"
#include "controller/transport/link.h"
#include "tests/testing/fake_link.h"
#include "tests/testing/fake_prober.h"

namespace certcast::controller {

// web-1, web-2... at 10.0.0.1, 10.0.0.2...
class FleetFixture {
 public:
  FleetFixture(int nodes, Clock& clock) : transport(clock) {
    for (int i = 1; i <= nodes; ++i) {
      NodeConfig node;
      node.name = absl::StrCat("web-", i);
      node.address = absl::StrCat("10.0.0.", i, ":7444");
      config.nodes.push_back(node);
      transport.Node(node.name);
    }
    prober.Otherwise([this](const ProbeSpec& spec) { return Look(spec); });
  }

  // Of all nodes that `config` has.
  ChallengeFleet Fleet() {
    ChallengeFleet fleet;
    for (const NodeConfig& node : config.nodes) fleet.nodes.push_back(&node);
    fleet.find_node = [this](absl::string_view name) { return config.FindNode(name); };
    fleet.open_transport = [this] { return std::make_unique<Borrowed>(*this); };
    fleet.prober = &prober;
    fleet.epoch = 7;
    return fleet;
  }

  // Key authorizations, of all nodes.
  std::vector<std::string> Shown() {
    std::vector<std::string> shown;
    for (const NodeConfig& node : config.nodes) {
      for (const auto& [token, text] : transport.Node(node.name).http_challenges()) shown.push_back(text);
    }
    return shown;
  }

  Config config;
  testing::FakeTransport transport;
  testing::FakeProber prober;
  // Before each command; an error is what the controller gets.
  std::function<absl::Status()> gate = [] { return absl::OkStatus(); };

 private:
  class GatedLink final : public Link {
   public:
    GatedLink(FleetFixture& fixture, std::unique_ptr<Link> link) : fixture_(fixture), link_(std::move(link)) {}
    absl::StatusOr<v1::Report> Call(const v1::Command& command, absl::Duration timeout,
                                    const OnProgress& on_progress) override {
      RETURN_IF_ERROR(fixture_.gate());
      return link_->Call(command, timeout, on_progress);
    }
    const v1::Hello& hello() const override { return link_->hello(); }

   private:
    FleetFixture& fixture_;
    const std::unique_ptr<Link> link_;
  };

  class Borrowed final : public Transport {
   public:
    explicit Borrowed(FleetFixture& fixture) : fixture_(fixture) {}
    absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) override {
      ASSIGN_OR_RETURN(std::unique_ptr<Link> link, fixture_.transport.Open(node, timeout));
      return std::make_unique<GatedLink>(fixture_, std::move(link));
    }

   private:
    FleetFixture& fixture_;
  };

  // The node at that address answers what it was told to show.
  Observation Look(const ProbeSpec& spec) {
    const auto& probe = std::get<HttpProbe>(spec.what);
    for (const NodeConfig& node : config.nodes) {
      const std::string host = node.address.substr(0, node.address.find(':'));
      if (!absl::StartsWith(probe.url, absl::StrCat("http://", host, ":80", kChallengePath))) continue;
      for (const auto& [token, text] : transport.Node(node.name).http_challenges()) {
        if (absl::EndsWith(probe.url, absl::StrCat("/", token)) && CheckBody(probe.body, text).ok()) {
          return {.served_sha256 = "", .ok = true};
        }
      }
    }
    return testing::FakeProber::Fails("was answered with status 404");
  }
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_FLEET_FIXTURE_H_
