// Carries calls of the controller's API (certcast/v1/api.proto) inside of one process.
#ifndef CERTCAST_CONTROLLER_API_HOST_H_
#define CERTCAST_CONTROLLER_API_HOST_H_

#include <memory>

#include "controller/api/controller.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace certcast::controller {

// Serves `controller`, which must outlive it, to channel() alone: no socket is opened. A call that the client cancels
// is ended as Controller::Apply says; the destructor waits for calls under way.
class ControllerHost {
 public:
  explicit ControllerHost(Controller& controller);
  ~ControllerHost();
  ControllerHost(const ControllerHost&) = delete;
  ControllerHost& operator=(const ControllerHost&) = delete;

  std::shared_ptr<grpc::Channel> channel() const { return channel_; }

 private:
  struct Server;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_API_HOST_H_
