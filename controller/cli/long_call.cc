#include "controller/cli/long_call.h"

#include <unistd.h>

#include <chrono>

#include "absl/strings/str_cat.h"

namespace certcast::controller::cli {
namespace {

// Of the metadata `certcast-call`. A verb makes one call at a time.
std::string CallId() {
  return absl::StrCat("process-", getpid());
}

std::string LastWords(absl::string_view at_work) {
  return absl::StrCat("\ncertcast: ended at once, with ", at_work,
                      " at work. One that waits to be confirmed goes back by itself.\n  hint: `certcast apply`, or "
                      "`certcast rollout resume`, asks each what it has and goes on\n");
}

}  // namespace

StoppableCall::StoppableCall(Session& session, LiveProgress& view, grpc::ClientContext& context,
                             absl::string_view at_work)
    : session_(session),
      view_(view),
      id_(CallId()),
      handler_(
          session.interrupt, [this, at_work = std::string(at_work)] { Stop(at_work); }, LastWords(at_work)) {
  context.AddMetadata("certcast-call", id_);
}

void StoppableCall::Stop(absl::string_view at_work) {
  view_.Line(absl::StrCat("stopping: ", at_work, " at work are finished first; interrupt again to end at once"));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  v1::StopRequest request;
  request.set_call(id_);
  v1::StopResponse response;
  // It has ended already, or is asked by the second interrupt.
  (void)session_.controller.Stop(&context, request, &response);
}

}  // namespace certcast::controller::cli
