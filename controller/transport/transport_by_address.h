// Each node over what its address says.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_TRANSPORT_BY_ADDRESS_H_
#define CERTCAST_CONTROLLER_TRANSPORT_TRANSPORT_BY_ADDRESS_H_

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// Thread-safe as the two are.
class TransportByAddress final : public Transport {
 public:
  TransportByAddress(std::unique_ptr<Transport> grpc, std::unique_ptr<Transport> ssh)
      : grpc_(std::move(grpc)), ssh_(std::move(ssh)) {}

  absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) override {
    return (node.ssh.has_value() ? *ssh_ : *grpc_).Open(node, timeout);
  }

 private:
  const std::unique_ptr<Transport> grpc_;
  const std::unique_ptr<Transport> ssh_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_TRANSPORT_BY_ADDRESS_H_
