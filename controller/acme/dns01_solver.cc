#include "controller/acme/dns01_solver.h"

#include <map>

#include "controller/acme/propagation.h"

namespace certcast::controller {

absl::Status Dns01Solver::AwaitVisible(const std::vector<Challenge>& challenges,
                                       const std::function<void(absl::string_view)>& on_progress) {
  if (propagation_.skip || challenges.empty()) return absl::OkStatus();
  std::map<std::string, ExpectedTxt> by_name;
  for (const Challenge& challenge : challenges) {
    ExpectedTxt& expected = by_name[challenge.fqdn()];
    expected.fqdn = challenge.fqdn();
    expected.values.push_back(challenge.value());
  }
  std::vector<ExpectedTxt> expected;
  expected.reserve(by_name.size());
  for (auto& [name, txt] : by_name) expected.push_back(std::move(txt));
  return WaitForTxt(dns_, clock_, propagation_, expected, on_progress);
}

}  // namespace certcast::controller
