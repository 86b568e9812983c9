// What everything at work on one order is told by the caller.
#ifndef CERTCAST_CONTROLLER_ACME_ISSUE_OPTIONS_H_
#define CERTCAST_CONTROLLER_ACME_ISSUE_OPTIONS_H_

#include <functional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace certcast::controller {

// A line for people about what happens now.
using OnIssueProgress = std::function<void(absl::string_view)>;

// How long the CA may take before this run gives up waiting. The order is not lost by it.
struct IssueLimits {
  // To look at the challenges.
  absl::Duration validation = absl::Minutes(5);
  // To issue after finalize.
  absl::Duration processing = absl::Minutes(10);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_ACME_ISSUE_OPTIONS_H_
