// What one phase of a benchmark took, and how it is written down.
#ifndef CERTCAST_TESTS_BENCH_MEASURE_H_
#define CERTCAST_TESTS_BENCH_MEASURE_H_

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace certcast::bench {

// User and system time of this process, its children left out.
absl::Duration OwnCpu();
// Of another process that is ours; zero when it has ended.
absl::Duration CpuOf(int pid);
// Of this process: resident now, and the most there ever was.
int64_t ResidentBytes();
int64_t PeakResidentBytes();
// Of the whole machine, over the last minute.
double LoadAverage();

// Times of single pieces of work. Thread-safe.
class Latencies {
 public:
  void Add(absl::Duration took);
  // The value that `share` of them do not exceed (nearest rank); zero without any.
  absl::Duration At(double share) const;

 private:
  mutable absl::Mutex mutex_;
  std::vector<absl::Duration> values_ ABSL_GUARDED_BY(mutex_);
};

struct Phase {
  std::string name;
  // Of the things that the rate is about: nodes, certificates.
  int count = 0;
  int failed = 0;
  // The first failure's text.
  std::string failure;
  absl::Duration wall;
  absl::Duration own_cpu;
  // Of the processes on the other side.
  absl::Duration their_cpu;
  absl::Duration median;
  absl::Duration p99;

  double PerSecond() const { return count / absl::ToDoubleSeconds(wall); }
  absl::Duration OwnCpuEach() const { return own_cpu / count; }
};

// Runs `work` and fills in wall, own_cpu and their_cpu. `their_cpu` reads the other side's time so far.
void Measure(Phase& phase, const std::function<absl::Duration()>& their_cpu, const std::function<void()>& work);

// Lines of cells as a table whose columns are as wide as they need: the first is aligned left, the others right. The
// first line is the head.
std::string Table(const std::vector<std::vector<std::string>>& lines);
// As many digits as a reader wants: 1234, 56.7, 8.90.
std::string Number(double value);
// In milliseconds, as a Number.
std::string Milliseconds(absl::Duration duration);

// Phases as lines of a Table; `things` is what they count.
std::vector<std::string> PhaseHead(const std::string& things);
std::vector<std::string> PhaseLine(const Phase& phase);
nlohmann::ordered_json ToJson(const Phase& phase);

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_MEASURE_H_
