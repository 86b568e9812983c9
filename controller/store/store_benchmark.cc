// How fast the store is: commits with an fsync each, and what threads gain by sharing one.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "controller/store/rollout_records.h"
#include "controller/store/sqlite_store.h"

namespace certcast::controller {
namespace {

constexpr int kNodes = 10'000;

// One for all threads of a run; on the disk that $TEST_TMPDIR or the working directory is on.
Store& SharedStore() {
  static Store* const store = [] {
    const char* parent = std::getenv("TEST_TMPDIR");
    const std::string directory = absl::StrCat(parent == nullptr ? "." : parent, "/store_benchmark.", getpid());
    std::filesystem::remove_all(directory);
    auto opened = SqliteStore::Open(std::filesystem::absolute(directory), {.make = true});
    if (!opened.ok()) {
      std::fprintf(stderr, "%s\n", opened.status().ToString().c_str());
      std::exit(1);
    }
    return opened->release();
  }();
  return *store;
}

void Commit(benchmark::State& state) {
  Store& store = SharedStore();
  const std::string key = absl::StrCat("benchmark/", state.thread_index());
  for (auto _ : state) {
    Transaction transaction;
    transaction.writes.push_back({key, std::string(200, 'x')});
    if (!store.Commit(transaction).ok()) state.SkipWithError("commit failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Commit)->ThreadRange(1, 64)->UseRealTime();

state::v1::Rollout LargeRollout() {
  state::v1::Rollout rollout;
  rollout.set_certificate("wildcard");
  rollout.set_generation(1);
  rollout.mutable_started_at()->set_seconds(1893456000);
  rollout.mutable_finished_at()->set_seconds(1893456001);
  for (int i = 0; i < kNodes; ++i) rollout.add_nodes()->mutable_result()->set_name(absl::StrCat("node-", i));
  return rollout;
}

void CreateRolloutOf10000(benchmark::State& state) {
  RolloutRecords records(SharedStore());
  const state::v1::Rollout rollout = LargeRollout();
  for (auto _ : state) {
    if (!records.Create(rollout, 0).ok()) state.SkipWithError("create failed");
  }
}
BENCHMARK(CreateRolloutOf10000)->Unit(benchmark::kMillisecond)->Iterations(10);

void PutNodeOf10000(benchmark::State& state) {
  RolloutRecords records(SharedStore());
  static const std::string id = records.Create(LargeRollout(), 0).value_or("");
  state::v1::Rollout::Node node;
  node.mutable_result()->set_name(absl::StrCat("node-", state.thread_index()));
  for (auto _ : state) {
    if (!records.PutNodes(id, {node}, 0).ok()) state.SkipWithError("put failed");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(PutNodeOf10000)->ThreadRange(1, 64)->UseRealTime();

void GetRolloutOf10000(benchmark::State& state) {
  RolloutRecords records(SharedStore());
  const std::string id = records.Create(LargeRollout(), 0).value_or("");
  for (auto _ : state) {
    if (!records.Get(id).ok()) state.SkipWithError("get failed");
  }
}
BENCHMARK(GetRolloutOf10000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace certcast::controller

BENCHMARK_MAIN();
