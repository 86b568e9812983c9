// What the controller's own Issuer takes to obtain certificates of several kinds, without the program around it.
#ifndef CERTCAST_TESTS_BENCH_OWN_ISSUANCE_H_
#define CERTCAST_TESTS_BENCH_OWN_ISSUANCE_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/bench/measure.h"

namespace certcast::bench {

// All runs of one kind. Requests are of one run: they are the same in each, or the range is shown.
struct IssuanceLine {
  std::string what;
  std::string key_type;
  Phase phase;
  int least_requests = 0;
  int most_requests = 0;
};

// `runs` of each kind, in `folder`, an absolute path that is there.
absl::StatusOr<std::vector<IssuanceLine>> MeasureOwnIssuance(const std::string& folder, int runs);

std::string ToTable(const std::vector<IssuanceLine>& lines);
nlohmann::ordered_json ToJson(const std::vector<IssuanceLine>& lines);

}  // namespace certcast::bench

#endif  // CERTCAST_TESTS_BENCH_OWN_ISSUANCE_H_
