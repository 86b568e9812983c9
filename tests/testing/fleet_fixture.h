// What tests on a fleet share: starting it, running `certcast apply`, reading its answer, and a look for secrets that
// got out, after every test.
#ifndef CERTCAST_TESTS_TESTING_FLEET_FIXTURE_H_
#define CERTCAST_TESTS_TESTING_FLEET_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/fleet.h"

namespace certcast::testing {

// --- What is in the answer of `apply`; empty where it isn't.

// "7": of the first certificate.
std::string GenerationIn(const CommandResult& applied);
std::string LeafIn(const CommandResult& applied);
// Whether the first certificate was obtained by this call.
bool IssuedIn(const CommandResult& applied);
// Of the first rollout.
std::string RolloutIn(const CommandResult& applied);
std::string StateIn(const CommandResult& applied);
// "INSTALLED", "REVERTED PROBE_FAILED": outcome and, where there is one, reason.
std::string OutcomeIn(const CommandResult& applied, const std::string& node);
// The node's object, null when there is none.
nlohmann::json NodeIn(const CommandResult& applied, const std::string& node);
std::vector<std::string> NodesOfWave(const CommandResult& applied, int wave);

class FleetTest : public ::testing::Test {
 protected:
  // Ends the test when it does not start.
  void StartFleet(FleetOptions options);
  Fleet& fleet() { return *fleet_; }
  CommandResult Apply(std::vector<std::string> arguments = {});
  // The same, for all certificates anew.
  CommandResult Renew() { return Apply({"--force-renewal"}); }
  // One apply, which must bring the first generation to every node. Returns its fingerprint.
  std::string ApplyFirst();
  // A node of the last wave of what `Renew` would do.
  FleetNode& LastToRenew();

  void ExpectAllServe(const std::string& leaf_sha256);
  // What nobody else may see: private keys, a line each, the master key, and what was added.
  std::vector<std::string> Secrets();
  void AddSecret(const std::string& secret) { secrets_.push_back(secret); }

  void TearDown() override;

 private:
  std::unique_ptr<Fleet> fleet_;
  std::vector<std::string> secrets_;
};

}  // namespace certcast::testing

#endif  // CERTCAST_TESTS_TESTING_FLEET_FIXTURE_H_
