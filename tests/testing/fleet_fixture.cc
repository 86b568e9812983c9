#include "tests/testing/fleet_fixture.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "gmock/gmock.h"
#include "tests/testing/leaks.h"
#include "tests/testing/status_matchers.h"

namespace certcast::testing {
namespace {

using nlohmann::json;

// Null for what is not there.
json At(const json& value, const std::string& pointer) {
  const json::json_pointer path(pointer);
  return value.is_structured() && value.contains(path) ? value.at(path) : json();
}

std::string TextAt(const json& value, const std::string& pointer) {
  const json found = At(value, pointer);
  return found.is_string() ? found.get<std::string>() : "";
}

}  // namespace

std::string GenerationIn(const CommandResult& applied) {
  return TextAt(applied.json, "/certificates/0/generation");
}

std::string LeafIn(const CommandResult& applied) {
  return TextAt(applied.json, "/certificates/0/leafSha256");
}

bool IssuedIn(const CommandResult& applied) {
  return At(applied.json, "/certificates/0/issued") == json(true);
}

std::string RolloutIn(const CommandResult& applied) {
  return TextAt(applied.json, "/rollouts/0/id");
}

std::string StateIn(const CommandResult& applied) {
  return TextAt(applied.json, "/rollouts/0/state");
}

nlohmann::json NodeIn(const CommandResult& applied, const std::string& node) {
  for (const json& entry : At(applied.json, "/rollouts/0/nodes")) {
    if (TextAt(entry, "/name") == node) return entry;
  }
  return {};
}

std::string OutcomeIn(const CommandResult& applied, const std::string& node) {
  const json entry = NodeIn(applied, node);
  const std::string reason = TextAt(entry, "/reason");
  return TextAt(entry, "/outcome") + (reason == "REASON_UNSPECIFIED" ? "" : " " + reason);
}

std::vector<std::string> NodesOfWave(const CommandResult& applied, int wave) {
  std::vector<std::string> names;
  for (const json& entry : At(applied.json, "/rollouts/0/nodes")) {
    if (At(entry, "/wave") == json(wave)) names.push_back(TextAt(entry, "/name"));
  }
  return names;
}

void FleetTest::StartFleet(FleetOptions options) {
  fleet_ = std::make_unique<Fleet>(std::move(options));
  ASSERT_THAT(fleet_->Start(), IsOk());
}

CommandResult FleetTest::Apply(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "apply");
  return fleet().controller().Json(std::move(arguments));
}

std::string FleetTest::ApplyFirst() {
  const CommandResult applied = Apply();
  EXPECT_EQ(applied.exit_code, 0) << applied;
  EXPECT_EQ(GenerationIn(applied), "1");
  ExpectAllServe(LeafIn(applied));
  return LeafIn(applied);
}

FleetNode& FleetTest::LastToRenew() {
  const CommandResult plan = Apply({"--dry-run", "--force-renewal"});
  EXPECT_EQ(plan.exit_code, 5) << plan;
  const size_t waves = At(plan.json, "/rollouts/0/waves").size();
  const std::vector<std::string> last = NodesOfWave(plan, static_cast<int>(waves));
  EXPECT_FALSE(last.empty()) << plan;
  return fleet().node(last.empty() ? "web-1" : last.back());
}

void FleetTest::ExpectAllServe(const std::string& leaf_sha256) {
  EXPECT_THAT(fleet().Served(), ::testing::Each(leaf_sha256));
}

std::vector<std::string> FleetTest::Secrets() {
  std::vector<std::string> secrets = PrivateKeyLinesBelow(fleet().home());
  EXPECT_FALSE(secrets.empty());
  secrets.emplace_back(absl::StripAsciiWhitespace(ReadFile(fleet().home() + "/master.key")));
  secrets.insert(secrets.end(), secrets_.begin(), secrets_.end());
  return secrets;
}

void FleetTest::TearDown() {
  if (fleet_ == nullptr) return;
  EXPECT_THAT(FindLeaks(fleet().home(), Secrets(), {".out", ".err", ".log"}, {fleet().home() + "/controller"}),
              ::testing::IsEmpty());
}

}  // namespace certcast::testing
