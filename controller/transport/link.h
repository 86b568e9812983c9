// One connection to one node, whatever carries it.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_LINK_H_
#define CERTCAST_CONTROLLER_TRANSPORT_LINK_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "certcast/v1/link.pb.h"
#include "controller/config/config.h"

namespace certcast::controller {

// Thread-safe; calls on one link are carried in the order they were made. Closed when destroyed.
class Link {
 public:
  using OnProgress = std::function<void(const v1::Progress&)>;

  virtual ~Link() = default;

  // Sends the command and waits for its final report: InstallResult, Inventory or HttpChallengeResult. A Refusal comes
  // back as an error with its reason. Other errors mean that it is not known what the node did: TIMED_OUT, LINK_LOST,
  // PROTOCOL. Not retried here; the same command (same id) may be sent again.
  virtual absl::StatusOr<v1::Report> Call(const v1::Command& command, absl::Duration timeout,
                                          const OnProgress& on_progress) = 0;

  // What the node said of itself when the link opened.
  virtual const v1::Hello& hello() const = 0;
};

// Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;
  // Connected, both sides authenticated, Hello received. Errors are what makes a node UNREACHABLE: NO_ROUTE, TIMED_OUT,
  // AUTH_FAILED, PROTOCOL, with the address and a hint; over SSH also HOST_KEY_UNKNOWN, HOST_KEY_CHANGED,
  // NO_AGENT_BINARY and SUDO_REFUSED. Idempotent.
  virtual absl::StatusOr<std::unique_ptr<Link>> Open(const NodeConfig& node, absl::Duration timeout) = 0;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_LINK_H_
