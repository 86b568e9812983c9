// That the benchmarks run, and say what scripts read. What they measure here says nothing: few nodes, a busy machine.
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace certcast::bench {
namespace {

nlohmann::json RunBenchmark(std::vector<std::string> argv) {
  const auto result =
      ProcessRunner::Real().Run({.argv = std::move(argv), .timeout = absl::Seconds(50), .max_output = 1 << 20});
  if (!result.ok()) {
    ADD_FAILURE() << result.status();
    return {};
  }
  EXPECT_TRUE(result->ok()) << result->Describe() << "\n" << result->error;
  nlohmann::json json = nlohmann::json::parse(result->output, nullptr, false);
  EXPECT_TRUE(json.is_object()) << result->output;
  return json;
}

void ExpectPositive(const nlohmann::json& object, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    ASSERT_TRUE(object.contains(key)) << key << " is not in " << object;
    EXPECT_GT(object[key].get<double>(), 0) << key << " in " << object;
  }
}

TEST(FanoutTest, ReachesEightNodesAndReportsEveryPhase) {
  const nlohmann::json json = RunBenchmark({"tests/bench/fanout", "--nodes", "8", "-o", "json"});
  ExpectPositive(json, {"parallel", "nodeProcesses", "bytesPerIdleLink", "peakBytes", "answerBytes"});
  EXPECT_NEAR(json["installBytes"].get<double>(), 6 * 1024, 100);
  ASSERT_EQ(json["phases"].size(), 3u) << json;
  const std::vector<std::string> names = {"links", "installs", "rollout"};
  for (size_t i = 0; i < names.size(); ++i) {
    const nlohmann::json& phase = json["phases"][i];
    EXPECT_EQ(phase["name"], names[i]);
    EXPECT_EQ(phase["count"], 8);
    EXPECT_EQ(phase["failed"], 0) << phase;
    ExpectPositive(phase, {"seconds", "perSecond", "ownCpuSeconds", "ownCpuMsEach", "theirCpuSeconds", "p99Ms"});
  }
  ASSERT_EQ(json["comparison"].size(), 3u) << json;
  for (const nlohmann::json& line : json["comparison"]) {
    ExpectPositive(line, {"referenceLow", "referenceHigh", "measured", "timesWorse"});
  }
}

TEST(FanoutTest, OpensLinksOnlyWhenAsked) {
  const nlohmann::json json = RunBenchmark({"tests/bench/fanout", "--nodes", "2", "--links-only", "-o", "json"});
  ASSERT_EQ(json["phases"].size(), 1u) << json;
  EXPECT_EQ(json["phases"][0]["name"], "links");
}

TEST(RolloutTest, TakesTwoFleetsThroughApplyAndComparesThem) {
  const nlohmann::json json = RunBenchmark({"tests/bench/rollout", "--nodes", "10,20", "-o", "json"});
  ASSERT_TRUE(json.contains("runs") && json["runs"].size() == 2) << json;
  for (size_t i = 0; i < 2; ++i) {
    const nlohmann::json& run = json["runs"][i];
    EXPECT_EQ(run["nodes"], i == 0 ? 10 : 20);
    EXPECT_EQ(run["apply"]["failed"], 0) << run;
    EXPECT_EQ(run["links"]["failed"], 0) << run;
    ExpectPositive(run["apply"], {"seconds", "perSecond", "ownCpuSeconds", "ownCpuMsEach", "theirCpuSeconds"});
    ExpectPositive(run["apply"]["store"], {"commits", "writes", "bytes", "seconds"});
    // In the waves of 1, 10% and 100%; the second of these is empty among ten.
    EXPECT_EQ(run["apply"]["parts"].size(), i == 0 ? 2u : 3u) << run;
  }
  ExpectPositive(json["plan"], {"nodes", "medianSeconds", "withRecordMedianSeconds"});
  ExpectPositive(json["slope"]["time"], {"msEachInTheSmallest"});
}

TEST(IssueTest, ObtainsOneCertificateByEachClientAndComparesThem) {
  const nlohmann::json json = RunBenchmark({"tests/bench/issue", "--clients", "certcast,certcast with init,lego",
                                            "--repeat", "1", "--no-own", "-o", "json"});
  ASSERT_EQ(json["clients"].size(), 3u) << json;
  for (const nlohmann::json& client : json["clients"]) {
    EXPECT_EQ(client["failed"], 0) << client;
    ExpectPositive(client, {"runs", "seconds", "cpuSeconds"});
    // Directory, nonce, account, order, authorization, challenge, authorization, finalize, order, certificate: none is
    // missed.
    EXPECT_GE(client["leastRequests"], 10) << client;
  }
  EXPECT_EQ(json["aims"].size(), 3u) << json;
}

TEST(IssueTest, IssuesEachKindAndCountsItsRequests) {
  const nlohmann::json json =
      RunBenchmark({"tests/bench/issue", "--clients", "certcast", "--repeat", "1", "-o", "json"});
  ASSERT_EQ(json["certificates"].size(), 5u) << json;
  for (const nlohmann::json& certificate : json["certificates"]) {
    ExpectPositive(certificate, {"runs", "medianSeconds", "ownCpuMsEach"});
    // Directory, nonce, order, authorization, finalize, certificate: none of them is missed. Challenge and verdict may
    // be: now and then Pebble takes an authorization of before for this one, though it is told not to.
    EXPECT_GE(certificate["leastRequests"], 6) << certificate;
  }
}

TEST(EngineTest, InstallsAndMakesTheSameChangesBare) {
  const nlohmann::json json = RunBenchmark({"tests/bench/engine", "--installs", "12", "-o", "json"});
  ExpectPositive(json, {"changesEach", "fsyncsEach", "ratio"});
  for (const char* side : {"certcast", "bare"}) {
    ASSERT_TRUE(json.contains(side)) << json;
    EXPECT_EQ(json[side]["count"], 12);
    ExpectPositive(json[side], {"perSecond", "medianMs", "p99Ms"});
  }
}

TEST(RestTest, WatchesTheShippedAgentWithAndWithoutALink) {
  const nlohmann::json json = RunBenchmark({"tests/bench/rest", "--seconds", "1", "-o", "json"});
  ASSERT_EQ(json["atRest"].size(), 2u) << json;
  for (const nlohmann::json& line : json["atRest"]) ExpectPositive(line, {"residentBytes", "privateBytes", "threads"});
}

TEST(PlanTest, PlansAndReportsItsTime) {
  const nlohmann::json json = RunBenchmark({"tests/bench/plan", "--benchmark_filter=^Plan/spread/1000$",
                                            "--benchmark_min_time=0.01", "--benchmark_format=json"});
  ASSERT_GE(json["benchmarks"].size(), 1u) << json;
  ExpectPositive(json["benchmarks"][0], {"real_time"});
}

TEST(SshTest, ReachesTwoHostsAndComparesWithWhatTheMachineHas) {
  const nlohmann::json json =
      RunBenchmark({"tests/bench/ssh", "--hosts", "2", "--repeat", "1", "--no-plays", "-o", "json"});
  ASSERT_TRUE(json["lines"].is_array()) << json;
  // The others need packages that tests need not have, and are left out then.
  const std::vector<std::string> always = {"certcast, first contact", "certcast, later contact", "ssh true",
                                           "bare libssh, two files"};
  ASSERT_GE(json["lines"].size(), always.size()) << json;
  for (size_t i = 0; i < json["lines"].size(); ++i) {
    const nlohmann::json& line = json["lines"][i];
    if (i < always.size()) {
      EXPECT_EQ(line["name"], always[i]);
    }
    EXPECT_EQ(line["failed"], 0) << line;
    EXPECT_EQ(line["logins"], 2) << line;
    ExpectPositive(line, {"runs", "seconds", "perSecond", "ownCpuSeconds", "allCpuSeconds"});
  }
  EXPECT_FALSE(json["aims"].empty()) << json;
}

TEST(StoreTest, Commits) {
  const nlohmann::json json = RunBenchmark({"tests/bench/store", "--benchmark_filter=^Commit/real_time/threads:1$",
                                            "--benchmark_min_time=0.01", "--benchmark_format=json"});
  ASSERT_EQ(json["benchmarks"].size(), 1u) << json;
  EXPECT_FALSE(json["benchmarks"][0].contains("error_occurred")) << json;
  ExpectPositive(json["benchmarks"][0], {"iterations", "items_per_second"});
}

}  // namespace
}  // namespace certcast::bench
