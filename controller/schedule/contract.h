// What of the contracts with CAs ends soon: a pure function of configuration and time.
#ifndef CERTCAST_CONTROLLER_SCHEDULE_CONTRACT_H_
#define CERTCAST_CONTROLLER_SCHEDULE_CONTRACT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "controller/config/config.h"

namespace certcast::controller {

struct ContractNotice {
  // From 60, 30 and 7 days before its end on.
  enum class Urgency { kNone, kEarly, kSoon, kNow };
  std::string account;
  Urgency urgency = Urgency::kNone;
  // `the contract of the account digicert ends on 2027-03-31, in 26 days`.
  std::string text;
  std::string hint;
};

// One for each end that the configuration names, in its order.
std::vector<ContractNotice> ContractNotices(const std::vector<AccountConfig>& accounts, absl::Time now);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_SCHEDULE_CONTRACT_H_
