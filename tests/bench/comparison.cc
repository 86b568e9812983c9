#include "tests/bench/comparison.h"

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/bench/measure.h"
#include "tests/testing/program.h"

namespace certcast::bench {

bool IsInstalled(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const absl::string_view directory : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    if (access(absl::StrCat(directory, "/", program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::string NotInstalled(const std::string& what, const std::string& program, const std::string& package) {
  return absl::StrCat(what, ": ", program, " is not here; `tests/setup.sh --bench` installs ", package);
}

absl::Duration Median(const std::vector<Measured>& runs, absl::Duration Measured::*of) {
  Latencies values;
  for (const Measured& run : runs) values.Add(run.*of);
  return values.At(0.5);
}

std::string AimTable(const std::vector<Aim>& aims) {
  std::vector<std::vector<std::string>> cells = {{"aim", "wanted", "measured", "met"}};
  for (const Aim& aim : aims) {
    cells.push_back({aim.what, absl::StrCat(aim.at_least ? "at least " : "at most ", Number(aim.wanted)),
                     Number(aim.measured), aim.met() ? "yes" : "no"});
  }
  return Table(cells);
}

nlohmann::ordered_json ToJson(const std::vector<Aim>& aims) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const Aim& aim : aims) {
    json.push_back({{"what", aim.what},
                    {aim.at_least ? "atLeast" : "atMost", aim.wanted},
                    {"measured", aim.measured},
                    {"met", aim.met()}});
  }
  return json;
}

std::string LastOf(const std::string& log) {
  constexpr size_t kEnough = 2000;
  const std::string text = log.empty() ? "" : testing::ReadFile(log);
  return text.size() <= kEnough ? text : text.substr(text.size() - kEnough);
}

}  // namespace certcast::bench
