#include "tests/bench/measure.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace certcast::bench {

absl::Duration OwnCpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return absl::DurationFromTimeval(usage.ru_utime) + absl::DurationFromTimeval(usage.ru_stime);
}

absl::Duration CpuOf(int pid) {
  clockid_t clock;
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return absl::ZeroDuration();
  return absl::DurationFromTimespec(time);
}

int64_t ResidentBytes() {
  int64_t size = 0;
  int64_t resident = 0;
  std::ifstream("/proc/self/statm") >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int64_t PeakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

double LoadAverage() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

void Latencies::Add(absl::Duration took) {
  absl::MutexLock lock(&mutex_);
  values_.push_back(took);
}

absl::Duration Latencies::At(double share) const {
  absl::MutexLock lock(&mutex_);
  if (values_.empty()) return absl::ZeroDuration();
  std::vector<absl::Duration> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  return sorted[std::clamp<size_t>(static_cast<size_t>(rank), 1, sorted.size()) - 1];
}

void Measure(Phase& phase, const std::function<absl::Duration()>& their_cpu, const std::function<void()>& work) {
  const absl::Duration theirs_before = their_cpu();
  const absl::Duration own_before = OwnCpu();
  const absl::Time start = absl::Now();
  work();
  phase.wall = absl::Now() - start;
  phase.own_cpu = OwnCpu() - own_before;
  phase.their_cpu = their_cpu() - theirs_before;
}

std::string Table(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()), 0);
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i) {
      const int width = static_cast<int>(widths[i]);
      if (i > 0) row += "  ";
      absl::StrAppend(&row, absl::StrFormat("%*s", i == 0 ? -width : width, line[i]));
    }
    row.erase(row.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, row, "\n");
  }
  return text;
}

std::string Number(double value) {
  if (value >= 100) return absl::StrFormat("%.0f", value);
  return value >= 10 ? absl::StrFormat("%.1f", value) : absl::StrFormat("%.2f", value);
}

std::string Milliseconds(absl::Duration duration) {
  return Number(absl::ToDoubleMilliseconds(duration));
}

std::vector<std::string> PhaseHead(const std::string& things) {
  return {"phase",           things,        "failed",    "seconds", "a second", "own CPU s",
          "own CPU ms each", "their CPU s", "median ms", "p99 ms"};
}

std::vector<std::string> PhaseLine(const Phase& phase) {
  return {phase.name,
          absl::StrCat(phase.count),
          absl::StrCat(phase.failed),
          Number(absl::ToDoubleSeconds(phase.wall)),
          Number(phase.PerSecond()),
          Number(absl::ToDoubleSeconds(phase.own_cpu)),
          Milliseconds(phase.OwnCpuEach()),
          Number(absl::ToDoubleSeconds(phase.their_cpu)),
          Milliseconds(phase.median),
          Milliseconds(phase.p99)};
}

nlohmann::ordered_json ToJson(const Phase& phase) {
  return {{"name", phase.name},
          {"count", phase.count},
          {"failed", phase.failed},
          {"seconds", absl::ToDoubleSeconds(phase.wall)},
          {"perSecond", phase.PerSecond()},
          {"ownCpuSeconds", absl::ToDoubleSeconds(phase.own_cpu)},
          {"ownCpuMsEach", absl::ToDoubleMilliseconds(phase.OwnCpuEach())},
          {"theirCpuSeconds", absl::ToDoubleSeconds(phase.their_cpu)},
          {"medianMs", absl::ToDoubleMilliseconds(phase.median)},
          {"p99Ms", absl::ToDoubleMilliseconds(phase.p99)}};
}

}  // namespace certcast::bench
