// Reaches nodes by dialling them: gRPC with mutual TLS.
//
// Each link has a connection of its own, and no thread while it is idle. Nothing is retried in here but a connection
// that the node cut before it was a link.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_GRPC_TRANSPORT_H_
#define CERTCAST_CONTROLLER_TRANSPORT_GRPC_TRANSPORT_H_

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/secret/secret.h"
#include "controller/transport/link.h"

namespace grpc {
class ChannelCredentials;
}

namespace certcast::controller {

// Who the controller is to the nodes, and whom it believes.
struct LinkIdentity {
  std::string fleet_id;
  // The controller's certificate, PEM.
  std::string chain_pem;
  Secret private_key_pem;
  // The fleet CA's certificate, PEM.
  std::string fleet_ca_pem;
};

// Thread-safe. Links may outlive it.
class GrpcTransport final : public Transport {
 public:
  explicit GrpcTransport(LinkIdentity identity);
  ~GrpcTransport() override;

  // For links opened from now on; those that are open keep theirs.
  void SetIdentity(LinkIdentity identity);

  // As in link.h. After a failed connection it looks once more at what the node shows, so that the error says what is
  // wrong with whose certificate; that takes a second at most beyond `timeout`. A connection that was cut, for no
  // reason that could be seen, is tried again a few times over a second and a half, within `timeout`.
  absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) override;

 private:
  // Once. `try_again`: the node has too many links, or ended the connection for no reason that could be seen.
  absl::StatusOr<std::unique_ptr<Link>> Try(const NodeConfig& node, absl::Duration timeout, absl::Time deadline,
                                            bool& try_again);

  absl::Mutex mutex_;
  std::shared_ptr<const LinkIdentity> identity_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<grpc::ChannelCredentials> credentials_ ABSL_GUARDED_BY(mutex_);
};

// From now on gRPC's own log lines go nowhere: what matters of them is in the errors. For the whole process; call it in
// main.
void SilenceGrpcLog();

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_GRPC_TRANSPORT_H_
