// What Apply would do, without doing it.
#ifndef CERTCAST_CONTROLLER_API_PLAN_APPLY_H_
#define CERTCAST_CONTROLLER_API_PLAN_APPLY_H_

#include <vector>

#include "absl/status/statusor.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/machine.h"
#include "controller/config/config.h"

namespace certcast::controller {

// Asks every node; changes nothing there. Rollouts with an id are those that Apply would go on with.
absl::StatusOr<v1::ApplyResponse> PlanApply(const Config& config, const Machine& machine,
                                            const std::vector<const CertificateConfig*>& selected,
                                            const v1::ApplyRequest& request);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_PLAN_APPLY_H_
