// How fast the controller's store is.
//
// Measured: commits with an fsync each and what threads gain by sharing one, making and reading a rollout of 10,000
// nodes, one node's step in it. On the disk that $TMPDIR (or /tmp) is on; on a tmpfs an fsync costs nothing.
//
// Not measured: other processes at the same database.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "common/status/status.h"
#include "controller/store/rollout_records.h"
#include "controller/store/sqlite_store.h"
#include "tests/bench/work_folder.h"

namespace certcast::bench {
namespace {

using controller::RolloutRecords;
using controller::SqliteStore;
using controller::Store;
using controller::Transaction;

constexpr int kNodes = 10'000;

// One for all benchmarks and threads; set while they run.
Store* shared_store = nullptr;
Store& SharedStore() {
  return *shared_store;
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

absl::Status RunAll() {
  ASSIGN_OR_RETURN(const std::unique_ptr<WorkFolder> folder, WorkFolder::Make(""));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, SqliteStore::Open(folder->path() + "/state", {.make = true}));
  shared_store = store.get();
  benchmark::RunSpecifiedBenchmarks();
  return absl::OkStatus();
}

}  // namespace
}  // namespace certcast::bench

// Flags are Google Benchmark's: bazel run //tests/bench:store -- --benchmark_filter=Commit --benchmark_format=json
int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const absl::Status status = certcast::bench::RunAll();
  if (!status.ok()) std::fprintf(stderr, "store: %s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
