// Calls about the fleet's keys: init, nodes sign.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/api/controller.h"
#include "controller/api/session.h"
#include "controller/store/records.h"

namespace certcast::controller {

absl::StatusOr<v1::InitResponse> Controller::Init() {
  Session session;
  ASSIGN_OR_RETURN(session.store, machine_.open_store(config_.state, /*make=*/true));
  ASSIGN_OR_RETURN(session.lease, session.store->TakeLease("init"));
  std::vector<std::string> made;
  ASSIGN_OR_RETURN(
      session.keyring,
      Keyring::Init(config_.master_key, {session.store.get(), machine_.files, machine_.clock}, session.epoch(), &made));
  v1::InitResponse response;
  response.set_fleet_id(session.keyring->fleet_id());
  response.set_state(config_.state);
  response.set_fleet_ca_sha256(session.keyring->fleet_ca().sha256());
  for (std::string& line : made) response.add_made(std::move(line));
  return response;
}

absl::StatusOr<v1::SignNodeResponse> Controller::SignNode(const v1::SignNodeRequest& request) {
  const NodeConfig* const node = config_.FindNode(request.name());
  if (node == nullptr) {
    return FailInput(
        absl::StrCat("there is no node ", request.name(), " in ", config_.path),
        absl::StrCat("add it under `nodes:` first: - {name: ", request.name(), ", address: \"grpc://HOST:7444\"}"));
  }
  if (node->ssh.has_value() && node->ssh->hosted()) {
    return FailInput(absl::StrCat(node->name,
                                  " is reached over ssh, where the login is what it is known by: there is "
                                  "nothing to sign"),
                     "`certcast doctor` shows whether the login works; where the host is to have its own node.yaml, "
                     "remove the node's "
                     "`services`");
  }
  ASSIGN_OR_RETURN(Session session, OpenToChange(config_, machine_, "nodes sign"));
  ASSIGN_OR_RETURN(NodeIdentity identity, session.keyring->SignNode(request.name(), request.csr_pem()));
  RETURN_IF_ERROR(NodeRecords(*session.store).Update({request.name()}, session.epoch(), [&](state::v1::Node& record) {
    record.set_identity_sha256(identity.sha256);
    *record.mutable_identity_not_after() = ToTimestamp(identity.not_after);
  }));
  v1::SignNodeResponse response;
  response.set_name(request.name());
  response.set_identity_pem(std::move(identity.pem));
  *response.mutable_not_after() = ToTimestamp(identity.not_after);
  return response;
}

}  // namespace certcast::controller
