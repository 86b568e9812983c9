// NodeLink.Link (link.proto): carries Commands to the engine and its Reports back. No logic of its own.
#ifndef CERTCAST_NODE_FRONTEND_LINK_SERVICE_H_
#define CERTCAST_NODE_FRONTEND_LINK_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "certcast/v1/link.grpc.pb.h"
#include "node/engine/engine.h"
#include "node/frontend/gate.h"
#include "node/frontend/workers.h"

namespace certcast::node {

// Links that a node holds at once, over all connections; the next one gets RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxLinks = 64;

class OneLink;

// Thread-safe. Whoever gets through the handshake may open a link: see server_credentials.h.
//
// Not gRPC's callback service, whose threads wake several times a second for as long as the agent runs.
class LinkService final : public v1::NodeLink::AsyncService {
 public:
  struct Options {
    v1::Hello hello;
    // Called with a peer that got no link, in words.
    std::function<void(absl::string_view)> on_refused;
    // Called after each command.
    std::function<void()> on_handled;
  };

  // `probing` is for Probe, which takes as long as a service that hangs, `workers` for all else: so that Confirm and
  // Revert never wait for a Probe. All outlive the server that this is registered with.
  LinkService(Engine& engine, Workers& workers, Workers& probing, Gate& gate, Options options);
  ~LinkService() override;

  // Lets links begin. Once, when the server that this is registered with was started; `queue` is that server's.
  void Open(grpc::ServerCompletionQueue& queue) { AwaitNext(queue); }
  // Carries them on, as the queue says. Returns when that was shut down.
  static void Serve(grpc::ServerCompletionQueue& queue);
  // Waits until there are no links, and none can begin, since the server was shut down: then the queue may be, too.
  void AwaitEnd();

  // No new link; those that are open end once the command under way is answered. One that still waits for a thread is
  // answered BUSY. Does not wait.
  void Drain();

 private:
  friend class OneLink;

  void AwaitNext(grpc::ServerCompletionQueue& queue);
  grpc::Status Admit(OneLink* link, const std::string& peer);
  void Forget(OneLink* link);
  bool IsDraining();

  Engine& engine_;
  Workers& workers_;
  Workers& probing_;
  Gate& gate_;
  const Options options_;
  absl::Mutex mutex_;
  // Those that were admitted, with the peer that gRPC names.
  std::map<OneLink*, std::string> links_ ABSL_GUARDED_BY(mutex_);
  // With the next, which has not begun, and those that were refused.
  int alive_ ABSL_GUARDED_BY(mutex_) = 0;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_LINK_SERVICE_H_
