#include "controller/acme/dns01_solver.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/status/status.h"
#include "controller/acme/delegated_name.h"
#include "controller/acme/jose.h"
#include "controller/acme/propagation.h"

namespace certcast::controller {

absl::Status Dns01Solver::Prepare(Challenge& challenge) {
  challenge.set_fqdn(absl::StrCat("_acme-challenge.", challenge.domain(), "."));
  challenge.set_value(Dns01Value(challenge.key_authorization()));
  if (!options_.follow_cname) return absl::OkStatus();
  std::vector<std::string> servers = options_.propagation.resolvers;
  if (!options_.server.empty()) servers = {options_.server};
  ASSIGN_OR_RETURN(*challenge.mutable_fqdn(),
                   FollowCnames(dns_, servers, challenge.fqdn(), options_.propagation.resolvers));
  return absl::OkStatus();
}

absl::Status Dns01Solver::AwaitVisible(const std::vector<Challenge>& challenges,
                                       const std::function<void(absl::string_view)>& on_progress) {
  if (options_.propagation.skip || challenges.empty()) return absl::OkStatus();
  std::map<std::string, ExpectedTxt> by_name;
  for (const Challenge& challenge : challenges) {
    ExpectedTxt& expected = by_name[challenge.fqdn()];
    expected.fqdn = challenge.fqdn();
    expected.values.push_back(challenge.value());
  }
  std::vector<ExpectedTxt> expected;
  expected.reserve(by_name.size());
  for (auto& [name, txt] : by_name) expected.push_back(std::move(txt));
  return WaitForTxt(dns_, clock_, options_.propagation, expected, on_progress);
}

}  // namespace certcast::controller
