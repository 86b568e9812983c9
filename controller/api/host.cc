#include "controller/api/host.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "certcast/v1/api.grpc.pb.h"
#include "common/status/status.h"

namespace certcast::controller {
namespace {

// The Failure travels in the details.
grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      FailureOf(status).SerializeAsString());
}

// A call that only answers.
template <typename Response>
grpc::Status Answer(absl::StatusOr<Response> result, Response* response) {
  grpc::Status status = ToGrpc(result.status());
  if (result.ok()) *response = *std::move(result);
  return status;
}

// Calls with a stream that are under way, by what their callers call them.
class CallsUnderWay {
 public:
  void Add(const std::string& call, std::atomic<bool>& stop) {
    absl::MutexLock lock(&mutex_);
    calls_.emplace(call, &stop);
  }
  void Remove(const std::atomic<bool>& stop) {
    absl::MutexLock lock(&mutex_);
    std::erase_if(calls_, [&](const auto& entry) { return entry.second == &stop; });
  }
  void Stop(const std::string& call) {
    absl::MutexLock lock(&mutex_);
    const auto [begin, end] = calls_.equal_range(call);
    for (auto entry = begin; entry != end; ++entry) *entry->second = true;
  }

 private:
  absl::Mutex mutex_;
  std::multimap<std::string, std::atomic<bool>*> calls_ ABSL_GUARDED_BY(mutex_);
};

std::string NameOf(const grpc::CallbackServerContext& context) {
  const auto name = context.client_metadata().find("certcast-call");
  return name == context.client_metadata().end() ? "" : std::string(name->second.data(), name->second.size());
}

// A call that reports progress while a thread of its own works on it. Deletes itself once gRPC is done with it.
template <typename Event, typename Response>
class WorkStream : public grpc::ServerWriteReactor<Event> {
 public:
  using Work = std::function<absl::StatusOr<Response>(const OnProgress&, const std::atomic<bool>& stop)>;

  WorkStream(CallsUnderWay& calls, const grpc::CallbackServerContext& context, Work work)
      : calls_(calls), work_(std::move(work)) {
    calls_.Add(NameOf(context), stop_);
    thread_ = std::thread([this] { Run(); });
  }

  void OnCancel() override { stop_ = true; }
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    // Nobody listens any more; the work itself is told by OnCancel.
    if (!ok) events_.clear();
    WriteNext();
  }
  void OnDone() override {
    thread_.join();
    calls_.Remove(stop_);
    delete this;
  }

 private:
  void Run() {
    absl::StatusOr<Response> result = work_(
        [this](const v1::ApplyEvent::Progress& progress) {
          Event event;
          *event.mutable_progress() = progress;
          Enqueue(std::move(event));
        },
        stop_);
    const grpc::Status status = ToGrpc(result.status());
    if (result.ok()) {
      Event event;
      *event.mutable_response() = *std::move(result);
      Enqueue(std::move(event));
    }
    absl::MutexLock lock(&mutex_);
    status_ = status;
    finished_ = true;
    WriteNext();
  }

  // Counts that nobody has read yet give way to newer ones, so that a slow reader has the latest and not a heap.
  void Enqueue(Event event) {
    absl::MutexLock lock(&mutex_);
    if (!events_.empty() && Supersedes(event, events_.back())) {
      events_.back() = std::move(event);
    } else {
      events_.push_back(std::move(event));
    }
    WriteNext();
  }

  static bool Supersedes(const Event& event, const Event& before) {
    if (!event.has_progress() || !before.has_progress()) return false;
    const v1::ApplyEvent::Progress& now = event.progress();
    const v1::ApplyEvent::Progress& then = before.progress();
    return now.size() > 0 && now.phase() != v1::ApplyEvent::Progress::NOTE && now.phase() == then.phase() &&
           now.rollout_id() == then.rollout_id() && now.wave() == then.wave();
  }

  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_) return;
    if (!events_.empty()) {
      current_ = std::move(events_.front());
      events_.pop_front();
      writing_ = true;
      this->StartWrite(&current_);
    } else if (finished_) {
      finished_ = false;
      this->Finish(status_);
    }
  }

  CallsUnderWay& calls_;
  const Work work_;
  std::atomic<bool> stop_ = false;
  absl::Mutex mutex_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
  Event current_ ABSL_GUARDED_BY(mutex_);
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

using Plain = v1::Controller::Service;
using Service = v1::Controller::WithCallbackMethod_Apply<v1::Controller::WithCallbackMethod_Issue<
    v1::Controller::WithCallbackMethod_UpgradeNodes<v1::Controller::WithCallbackMethod_ChangeRollout<
        v1::Controller::WithCallbackMethod_Replace<v1::Controller::WithCallbackMethod_Verify<Plain>>>>>>;

class ControllerService : public Service {
 public:
  explicit ControllerService(Controller& controller) : controller_(controller) {}

  grpc::Status Init(grpc::ServerContext*, const v1::InitRequest*, v1::InitResponse* response) override {
    return Answer(controller_.Init(), response);
  }
  grpc::ServerWriteReactor<v1::ApplyEvent>* Apply(grpc::CallbackServerContext* context,
                                                  const v1::ApplyRequest* request) override {
    return new WorkStream<v1::ApplyEvent, v1::ApplyResponse>(
        calls_, *context, [this, request = *request](const OnProgress& on_progress, const std::atomic<bool>& stop) {
          return controller_.Apply(request, on_progress, stop);
        });
  }
  grpc::ServerWriteReactor<v1::IssueEvent>* Issue(grpc::CallbackServerContext* context,
                                                  const v1::IssueRequest* request) override {
    return new WorkStream<v1::IssueEvent, v1::IssueResponse>(
        calls_, *context, [this, request = *request](const OnProgress& on_progress, const std::atomic<bool>&) {
          return controller_.Issue(request, on_progress);
        });
  }
  grpc::ServerWriteReactor<v1::ReplaceEvent>* Replace(grpc::CallbackServerContext* context,
                                                      const v1::ReplaceRequest* request) override {
    return new WorkStream<v1::ReplaceEvent, v1::ReplaceResponse>(
        calls_, *context, [this, request = *request](const OnProgress& on_progress, const std::atomic<bool>& stop) {
          return controller_.Replace(request, on_progress, stop);
        });
  }
  grpc::Status Import(grpc::ServerContext*, const v1::ImportRequest* request, v1::ImportResponse* response) override {
    return Answer(controller_.Import(*request), response);
  }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::StatusRequest* request,
                         v1::StatusResponse* response) override {
    return Answer(controller_.GetStatus(*request), response);
  }
  grpc::ServerWriteReactor<v1::VerifyEvent>* Verify(grpc::CallbackServerContext* context,
                                                    const v1::VerifyRequest* request) override {
    return new WorkStream<v1::VerifyEvent, v1::VerifyResponse>(
        calls_, *context, [this, request = *request](const OnProgress& on_progress, const std::atomic<bool>&) {
          return controller_.Verify(request, on_progress);
        });
  }
  grpc::Status ListCertificates(grpc::ServerContext*, const v1::ListCertificatesRequest* request,
                                v1::ListCertificatesResponse* response) override {
    return Answer(controller_.ListCertificates(*request), response);
  }
  grpc::Status ListNodes(grpc::ServerContext*, const v1::ListNodesRequest* request,
                         v1::ListNodesResponse* response) override {
    return Answer(controller_.ListNodes(*request), response);
  }
  grpc::Status SignNode(grpc::ServerContext*, const v1::SignNodeRequest* request,
                        v1::SignNodeResponse* response) override {
    return Answer(controller_.SignNode(*request), response);
  }
  grpc::Status Revoke(grpc::ServerContext*, const v1::RevokeRequest* request, v1::RevokeResponse* response) override {
    return Answer(controller_.Revoke(*request), response);
  }
  grpc::Status ListAccounts(grpc::ServerContext*, const v1::ListAccountsRequest* request,
                            v1::ListAccountsResponse* response) override {
    return Answer(controller_.ListAccounts(*request), response);
  }
  grpc::Status ChangeAccount(grpc::ServerContext*, const v1::ChangeAccountRequest* request,
                             v1::ChangeAccountResponse* response) override {
    return Answer(controller_.ChangeAccount(*request), response);
  }
  grpc::Status AdoptAccount(grpc::ServerContext*, const v1::AdoptAccountRequest* request,
                            v1::AdoptAccountResponse* response) override {
    return Answer(controller_.AdoptAccount(*request), response);
  }
  grpc::Status Doctor(grpc::ServerContext*, const v1::DoctorRequest* request, v1::DoctorResponse* response) override {
    return Answer(controller_.Doctor(*request), response);
  }
  grpc::ServerWriteReactor<v1::UpgradeNodesEvent>* UpgradeNodes(grpc::CallbackServerContext* context,
                                                                const v1::UpgradeNodesRequest* request) override {
    return new WorkStream<v1::UpgradeNodesEvent, v1::UpgradeNodesResponse>(
        calls_, *context, [this, request = *request](const OnProgress& on_progress, const std::atomic<bool>& stop) {
          return controller_.UpgradeNodes(request, on_progress, stop);
        });
  }
  grpc::Status ListRollouts(grpc::ServerContext*, const v1::ListRolloutsRequest* request,
                            v1::ListRolloutsResponse* response) override {
    return Answer(controller_.ListRollouts(*request), response);
  }
  grpc::Status GetRollout(grpc::ServerContext*, const v1::GetRolloutRequest* request,
                          v1::GetRolloutResponse* response) override {
    return Answer(controller_.GetRollout(*request), response);
  }
  grpc::ServerWriteReactor<v1::ChangeRolloutEvent>* ChangeRollout(grpc::CallbackServerContext* context,
                                                                  const v1::ChangeRolloutRequest* request) override {
    return new WorkStream<v1::ChangeRolloutEvent, v1::ChangeRolloutResponse>(
        calls_, *context, [this, request = *request](const OnProgress& on_progress, const std::atomic<bool>& stop) {
          return controller_.ChangeRollout(request, on_progress, stop);
        });
  }
  grpc::Status Stop(grpc::ServerContext*, const v1::StopRequest* request, v1::StopResponse*) override {
    calls_.Stop(request->call());
    return grpc::Status::OK;
  }

 private:
  Controller& controller_;
  CallsUnderWay calls_;
};

}  // namespace

struct ControllerHost::Server {
  explicit Server(Controller& controller) : service(controller) {}
  ControllerService service;
  std::unique_ptr<grpc::Server> server;
};

ControllerHost::ControllerHost(Controller& controller) : server_(std::make_unique<Server>(controller)) {
  grpc::ServerBuilder builder;
  builder.RegisterService(&server_->service);
  // A response holds a row a node.
  builder.SetMaxSendMessageSize(-1);
  server_->server = builder.BuildAndStart();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  channel_ = server_->server->InProcessChannel(arguments);
}

ControllerHost::~ControllerHost() {
  channel_.reset();
  server_->server->Shutdown();
  server_->server->Wait();
}

}  // namespace certcast::controller
