// The controller: what each call of its API does. controller/api/host.h carries the calls; certcast/v1/api.proto says
// what they promise.
#ifndef CERTCAST_CONTROLLER_API_CONTROLLER_H_
#define CERTCAST_CONTROLLER_API_CONTROLLER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/machine.h"
#include "controller/config/config.h"
#include "controller/keyring/keyring.h"
#include "controller/store/store.h"

namespace certcast::controller {

// Called from one thread at a time.
using OnProgress = std::function<void(const v1::ApplyEvent::Progress&)>;

// Thread-safe. Calls that change things take the store's lease, so that only one of them is under way, in any process;
// the others only read. Nothing is opened before a call needs it: `init` runs where nothing is there yet.
class Controller {
 public:
  Controller(Config config, const Machine& machine) : config_(std::move(config)), machine_(machine) {}

  absl::StatusOr<v1::InitResponse> Init();
  // `stop`: becomes true when the caller wants no more; nodes at work are finished, the rest is left for the next call,
  // and the error is kCancelled.
  absl::StatusOr<v1::ApplyResponse> Apply(const v1::ApplyRequest& request, const OnProgress& on_progress,
                                          const std::atomic<bool>& stop);
  absl::StatusOr<v1::IssueResponse> Issue(const v1::IssueRequest& request, const OnProgress& on_progress);
  absl::StatusOr<v1::ImportResponse> Import(const v1::ImportRequest& request);
  absl::StatusOr<v1::StatusResponse> GetStatus(const v1::StatusRequest& request);
  absl::StatusOr<v1::VerifyResponse> Verify(const v1::VerifyRequest& request, const OnProgress& on_progress = {});
  absl::StatusOr<v1::ListCertificatesResponse> ListCertificates(const v1::ListCertificatesRequest& request);
  absl::StatusOr<v1::ListNodesResponse> ListNodes(const v1::ListNodesRequest& request);
  absl::StatusOr<v1::SignNodeResponse> SignNode(const v1::SignNodeRequest& request);
  absl::StatusOr<v1::ListAccountsResponse> ListAccounts(const v1::ListAccountsRequest& request);
  absl::StatusOr<v1::ChangeAccountResponse> ChangeAccount(const v1::ChangeAccountRequest& request);
  absl::StatusOr<v1::AdoptAccountResponse> AdoptAccount(const v1::AdoptAccountRequest& request);
  absl::StatusOr<v1::RevokeResponse> Revoke(const v1::RevokeRequest& request);
  // `stop`: as for Apply.
  absl::StatusOr<v1::ReplaceResponse> Replace(const v1::ReplaceRequest& request, const OnProgress& on_progress,
                                              const std::atomic<bool>& stop);
  absl::StatusOr<v1::DoctorResponse> Doctor(const v1::DoctorRequest& request = v1::DoctorRequest());
  absl::StatusOr<v1::ListRolloutsResponse> ListRollouts(const v1::ListRolloutsRequest& request);
  absl::StatusOr<v1::GetRolloutResponse> GetRollout(const v1::GetRolloutRequest& request);
  // `stop` as in Apply.
  absl::StatusOr<v1::ChangeRolloutResponse> ChangeRollout(const v1::ChangeRolloutRequest& request,
                                                          const OnProgress& on_progress, const std::atomic<bool>& stop);
  // `stop` as of Apply: hosts at work are finished.
  absl::StatusOr<v1::UpgradeNodesResponse> UpgradeNodes(const v1::UpgradeNodesRequest& request,
                                                        const OnProgress& on_progress, const std::atomic<bool>& stop);

 private:
  const Config config_;
  const Machine machine_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_CONTROLLER_H_
