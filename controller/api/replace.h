// A key that is out: another one for every node, and then the revocation of what had it.
#ifndef CERTCAST_CONTROLLER_API_REPLACE_H_
#define CERTCAST_CONTROLLER_API_REPLACE_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "certcast/state/v1/store.pb.h"
#include "certcast/v1/api.pb.h"
#include "controller/api/controller.h"
#include "controller/api/holders.h"
#include "controller/api/machine.h"
#include "controller/api/session.h"
#include "controller/config/config.h"
#include "controller/store/store.h"

namespace certcast::controller {

// One run at a certificate's replacement, from wherever an earlier one left it. Used once. All that it is made of must
// outlive it.
//
//   ISSUING      a new order with a new key; a pending order of before is forgotten with its key
//   ROLLING_OUT  a rollout; then each node is asked, and each endpoint looked at: all have the new generation, and none
//                has what is to be revoked
//   REVOKING     every generation with the old key, keyCompromise
//
// Each is saved before it is begun. A node whose probe fails goes back to the old key: it is not revoked before nobody
// has it.
class Replacement {
 public:
  struct Context {
    const Config& config;
    const Machine& machine;
    Session& session;
    const CertificateConfig& certificate;
    const v1::ReplaceRequest& request;
    const OnProgress& on_progress;
    const std::atomic<bool>& stop;
  };
  explicit Replacement(const Context& context) : context_(context) {}
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  // What was done and what is left. Errors are those that keep the controller itself from going on, and kCancelled when
  // `stop` became true; that the CA refuses is in the response.
  absl::StatusOr<v1::ReplaceResponse> Run();

 private:
  using Record = state::v1::Replacement;

  absl::Status BeginOrResume();
  absl::StatusOr<Record> NewRecord();
  absl::Status AddKeyOf(uint64_t generation);
  // Each moves on to the next phase, or leaves it as it is: then this run is over.
  absl::Status Issue();
  // A generation that is newer than the record's, and good, takes its place.
  absl::Status TakeUpNewer();
  absl::Status RollOut();
  absl::Status Revoke();

  absl::Status RevokeOne(const state::v1::Generation& generation);
  absl::StatusOr<bool> RunRollouts(const state::v1::Generation& generation);
  absl::StatusOr<bool> Prove(const state::v1::Generation& generation);
  absl::Status Enter(Record::Phase phase);
  absl::StatusOr<state::v1::Generation> LoadGeneration(uint64_t number);
  // With a key that is out, neither revoked nor expired.
  absl::StatusOr<std::vector<state::v1::Generation>> ToRevoke();
  bool IsCompromised(const state::v1::Generation& generation) const;
  absl::StatusOr<v1::ReplaceResponse> Describe();
  void Note(const std::string& text) const;

  const Context context_;
  Record record_;
  v1::ReplaceResponse response_;
};

// A line for each of these certificates whose replacement was begun and is not done.
absl::StatusOr<std::vector<std::string>> WarnOfReplacements(Store& store,
                                                            const std::vector<const CertificateConfig*>& certificates);

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_REPLACE_H_
