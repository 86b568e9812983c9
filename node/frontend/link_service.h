// NodeLink.Link (link.proto): carries Commands to the engine and its Reports back. No logic of its own.
#ifndef CERTCAST_NODE_FRONTEND_LINK_SERVICE_H_
#define CERTCAST_NODE_FRONTEND_LINK_SERVICE_H_

#include <functional>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "certcast/v1/link.grpc.pb.h"
#include "node/engine/engine.h"
#include "node/frontend/workers.h"

namespace certcast::node {

// Links that a node holds at once, over all connections; the next one gets RESOURCE_EXHAUSTED.
inline constexpr size_t kMaxLinks = 64;

class LinkReactor;

// Thread-safe.
class LinkService final : public v1::NodeLink::CallbackService {
 public:
  struct Options {
    // What Hello says. fleet_id is also whose controller may open a link.
    v1::Hello hello;
    // Called with a peer that was authenticated and still may not open a link, in words.
    std::function<void(absl::string_view)> on_refused;
    // Called after each command.
    std::function<void()> on_handled;
  };

  // `engine` and `workers` outlive the server that this is registered with.
  LinkService(Engine& engine, Workers& workers, Options options);
  ~LinkService() override;

  // No new link; those that are open end once the command under way is answered. Does not wait.
  void Drain();

 private:
  friend class LinkReactor;

  grpc::ServerBidiReactor<v1::Command, v1::Report>* Link(grpc::CallbackServerContext* context) override;
  // OK when the peer is the fleet's controller.
  grpc::Status CheckPeer(const grpc::CallbackServerContext& context) const;
  grpc::Status Admit(LinkReactor* reactor);
  void Forget(LinkReactor* reactor);

  Engine& engine_;
  Workers& workers_;
  const Options options_;
  absl::Mutex mutex_;
  std::set<LinkReactor*> links_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace certcast::node

#endif  // CERTCAST_NODE_FRONTEND_LINK_SERVICE_H_
