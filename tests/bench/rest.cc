// What an agent costs that has nothing to do.
//
// Measured on the shipped, static `certcast-node run`, enrolled and with one service configured: resident memory (of
// which private to it), threads, how often one of its threads was woken, and CPU; first without a link, then with one
// that is open and idle, whose keepalive pings are the only traffic.
//
// Woken: voluntary context switches, summed over the threads, as the kernel counts them: each is a thread that went to
// sleep again after it had run. Not measured: what dial-home costs.

#include <sys/resource.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "common/status/status.h"
#include "controller/transport/grpc_transport.h"
#include "tests/bench/measure.h"
#include "tests/bench/program.h"
#include "tests/testing/agent_program.h"
#include "tests/testing/program.h"

namespace certcast::bench {
namespace {

constexpr absl::Duration kPlenty = absl::Seconds(20);
// As most systems give.
constexpr rlim_t kDescriptors = 1024;

struct Flags {
  int seconds = 60;
  std::string output = "table";
};

// Since the process started.
struct Usage {
  int64_t resident = 0;
  int64_t resident_private = 0;
  int threads = 0;
  int64_t wakeups = 0;
  absl::Duration cpu;
};

struct Line {
  std::string what;
  Usage usage;
  double wakeups_a_minute = 0;
  double cpu_ms_a_minute = 0;
};

// The number after `key` in a file of /proc/PID.
int64_t NumberIn(const std::string& path, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(testing::ReadFile(path), '\n')) {
    if (!absl::ConsumePrefix(&line, key)) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(": \t"), absl::SkipEmpty());
    int64_t number = 0;
    if (!words.empty() && absl::SimpleAtoi(words.front(), &number)) return number;
  }
  return 0;
}

Usage UsageOf(pid_t pid) {
  Usage usage;
  const std::string process = absl::StrCat("/proc/", pid);
  usage.resident = NumberIn(process + "/status", "VmRSS") * 1024;
  usage.resident_private = NumberIn(process + "/status", "RssAnon") * 1024;
  for (const auto& thread : std::filesystem::directory_iterator(process + "/task")) {
    ++usage.threads;
    usage.wakeups += NumberIn(thread.path().string() + "/status", "voluntary_ctxt_switches");
  }
  usage.cpu = CpuOf(pid);
  return usage;
}

Line Watch(std::string what, pid_t pid, absl::Duration time) {
  const Usage before = UsageOf(pid);
  absl::SleepFor(time);
  Line line{.what = std::move(what), .usage = UsageOf(pid)};
  const double minutes = absl::ToDoubleMinutes(time);
  line.wakeups_a_minute = static_cast<double>(line.usage.wakeups - before.wakeups) / minutes;
  line.cpu_ms_a_minute = absl::ToDoubleMilliseconds(line.usage.cpu - before.cpu) / minutes;
  return line;
}

absl::StatusOr<std::vector<Line>> MeasureAgent(const Flags& flags) {
  testing::AgentProgram agent;
  RETURN_IF_ERROR(agent.Start(kDescriptors));
  const absl::Duration time = absl::Seconds(flags.seconds);
  std::vector<Line> lines = {Watch("no link", agent.pid(), time)};
  ASSIGN_OR_RETURN(const std::unique_ptr<controller::Link> link, agent.Open(kPlenty));
  v1::Command describe;
  describe.set_id("describe");
  describe.mutable_describe();
  RETURN_IF_ERROR(link->Call(describe, kPlenty, [](const v1::Progress&) {}).status());
  lines.push_back(Watch("one idle link", agent.pid(), time));
  return lines;
}

double Megabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

std::string ToTable(const std::vector<Line>& lines, int seconds) {
  std::vector<std::vector<std::string>> cells = {
      {"at rest", "resident MB", "private MB", "threads", "woken a minute", "CPU ms a minute"}};
  for (const Line& line : lines) {
    cells.push_back({line.what, Number(Megabytes(line.usage.resident)), Number(Megabytes(line.usage.resident_private)),
                     absl::StrCat(line.usage.threads), Number(line.wakeups_a_minute), Number(line.cpu_ms_a_minute)});
  }
  return absl::StrCat("watched for ", seconds, " s each\n\n", Table(cells));
}

nlohmann::ordered_json ToJson(const std::vector<Line>& lines, int seconds) {
  nlohmann::ordered_json json;
  json["secondsEach"] = seconds;
  json["atRest"] = nlohmann::ordered_json::array();
  for (const Line& line : lines) {
    json["atRest"].push_back({{"what", line.what},
                              {"residentBytes", line.usage.resident},
                              {"privateBytes", line.usage.resident_private},
                              {"threads", line.usage.threads},
                              {"wakeupsAMinute", line.wakeups_a_minute},
                              {"cpuMsAMinute", line.cpu_ms_a_minute}});
  }
  return json;
}

absl::StatusOr<int> Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const std::vector<Line> lines, MeasureAgent(flags));
  std::cout << (flags.output == "json" ? ToJson(lines, flags.seconds).dump(2) + "\n" : ToTable(lines, flags.seconds));
  return 0;
}

}  // namespace
}  // namespace certcast::bench

int main(int argc, char** argv) {
  certcast::bench::Flags flags;
  certcast::bench::Program program("rest", "What an agent at rest costs: memory, wake-ups, CPU.",
                                   "//tests/bench:rest -- --seconds 300");
  program.app()
      .add_option("--seconds", flags.seconds, "how long it is watched, without a link and with one")
      ->capture_default_str()
      ->check(CLI::Range(1, 86'400));
  program.OfferOutput(flags.output);
  certcast::controller::SilenceGrpcLog();
  return program.Main(argc, argv, [&] { return certcast::bench::Run(flags); });
}
