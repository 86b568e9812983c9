#include "controller/acme/challenge_solver.h"

#include "absl/strings/cord.h"

namespace certcast::controller {
namespace {

constexpr char kNothingMade[] = "certcast/nothing-made";

}  // namespace

absl::Status NothingWasMade(absl::Status status) {
  status.SetPayload(kNothingMade, absl::Cord());
  return status;
}

bool IsNothingMade(const absl::Status& status) {
  return status.GetPayload(kNothingMade).has_value();
}

}  // namespace certcast::controller
