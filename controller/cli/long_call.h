// Calls of the API that take long, followed to their end.
#ifndef CERTCAST_CONTROLLER_CLI_LONG_CALL_H_
#define CERTCAST_CONTROLLER_CLI_LONG_CALL_H_

#include <grpcpp/client_context.h>

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controller/cli/interrupt.h"
#include "controller/cli/progress.h"
#include "controller/cli/session.h"

namespace certcast::controller::cli {

// While it lives, the first interrupt asks the controller to stop the call, which then ends by itself; the second ends
// the process. The first says so in the view, the second on standard error. `at_work`: "nodes".
class StoppableCall {
 public:
  // Before the call begins.
  StoppableCall(Session& session, LiveProgress& view, grpc::ClientContext& context, absl::string_view at_work);

 private:
  void Stop(absl::string_view at_work);

  Session& session_;
  LiveProgress& view_;
  const std::string id_;
  Interrupt::Handler handler_;
};

// Shows the progress of a call that has begun; the answer, or the error that ended it.
template <typename Event, typename Response, typename Reader>
absl::StatusOr<Response> ShowCall(LiveProgress& view, Reader& reader) {
  Response response;
  for (Event event; reader.Read(&event);) {
    if (event.has_progress()) view.Show(event.progress());
    if (event.has_response()) response = std::move(*event.mutable_response());
  }
  if (const grpc::Status status = reader.Finish(); !status.ok()) return FromGrpc(status);
  return response;
}

// The same from its begin, where an interrupt ends the process at once. `begin` starts the call.
template <typename Event, typename Response, typename Begin>
absl::StatusOr<Response> WatchCall(Session& session, Begin begin) {
  grpc::ClientContext context;
  LiveProgress view(session.err, session.terminal, session.columns, session.colour);
  return ShowCall<Event, Response>(view, *begin(&context));
}

// The same, of a call that an interrupt has stopped.
template <typename Event, typename Response, typename Begin>
absl::StatusOr<Response> FollowCall(Session& session, absl::string_view at_work, Begin begin) {
  grpc::ClientContext context;
  LiveProgress view(session.err, session.terminal, session.columns, session.colour);
  const StoppableCall stoppable(session, view, context, at_work);
  return ShowCall<Event, Response>(view, *begin(&context));
}

}  // namespace certcast::controller::cli

#endif  // CERTCAST_CONTROLLER_CLI_LONG_CALL_H_
