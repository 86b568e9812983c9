// One stream of NodeLink.Link, as a Link that blocks.
#ifndef CERTCAST_CONTROLLER_TRANSPORT_GRPC_LINK_H_
#define CERTCAST_CONTROLLER_TRANSPORT_GRPC_LINK_H_

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "certcast/v1/link.grpc.pb.h"
#include "controller/transport/link.h"

namespace certcast::controller {

// Thread-safe.
class GrpcLink final : public Link, private grpc::ClientBidiReactor<v1::Command, v1::Report> {
 public:
  // `peer` names the node in messages: `web-02 at 127.0.0.2:7444`. Starts to connect at once.
  GrpcLink(std::shared_ptr<grpc::Channel> channel, std::string peer);
  // Ends the stream, whatever is under way on it.
  ~GrpcLink() override;

  // Once, before any Call: waits for the connection and Hello. The stream's own status tells what failed,
  // DEADLINE_EXCEEDED when the time was over. `names` gets the subjectAltNames of the node's certificate.
  grpc::Status AwaitHello(absl::Time deadline, std::vector<std::string>& names);

  absl::StatusOr<v1::Report> Call(const v1::Command& command, absl::Duration timeout,
                                  const OnProgress& on_progress) override;
  const v1::Hello& hello() const override { return hello_; }

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

  absl::Status Send(const v1::Command& command, absl::Time deadline);
  // The next report; kDeadlineExceeded, or kUnavailable when there is none any more.
  absl::StatusOr<v1::Report> Receive(absl::Time deadline);
  absl::Status TimedOut(absl::Duration timeout) const;
  absl::Status Lost() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LetGo() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  bool CanWrite() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !writing_ || done_.has_value(); }
  bool CanReceive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return received_ || done_.has_value(); }
  bool IsDone() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return done_.has_value(); }

  const std::string peer_;
  std::unique_ptr<v1::NodeLink::Stub> stub_;
  grpc::ClientContext context_;
  v1::Hello hello_;

  // Held for a whole Call.
  absl::Mutex call_mutex_;
  // Commands that nobody waits for any more: their reports are dropped.
  std::set<std::string> given_up_ ABSL_GUARDED_BY(call_mutex_);

  absl::Mutex mutex_;
  // Belong to the stream while writing_, and until received_.
  v1::Command outgoing_;
  v1::Report incoming_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool received_ ABSL_GUARDED_BY(mutex_) = false;
  // No operation may be started any more.
  bool let_go_ ABSL_GUARDED_BY(mutex_) = false;
  // The stream's end.
  std::optional<grpc::Status> done_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace certcast::controller

#endif  // CERTCAST_CONTROLLER_TRANSPORT_GRPC_LINK_H_
