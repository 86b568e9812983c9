#include "node/frontend/link_service.h"

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/link/bounds.h"
#include "common/link/wipe_key.h"
#include "common/status/status.h"

namespace certcast::node {
namespace {

constexpr char kEnding[] = "the agent is ending";

}  // namespace

// One link: reads a command, has it handled, writes what the engine reports, reads the next. So at most one command and
// its reports are in memory, however fast a peer sends.
class LinkReactor final : public grpc::ServerBidiReactor<v1::Command, v1::Report> {
 public:
  LinkReactor(LinkService& service, std::string peer) : service_(service), peer_(std::move(peer)) {}

  void Begin() {
    v1::Report hello;
    *hello.mutable_hello() = service_.options_.hello;
    absl::MutexLock lock(&mutex_);
    outbox_.push_back(std::move(hello));
    Proceed();
  }

  // Ends without having begun.
  void Refuse(const grpc::Status& status) {
    absl::MutexLock lock(&mutex_);
    end_with_ = status;
    Proceed();
  }

  void Drain() {
    absl::MutexLock lock(&mutex_);
    if (!end_with_.has_value()) end_with_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, kEnding);
    Proceed();
  }

  void OnReadDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    if (ok) service_.gate_.CountCommand(peer_);
    if (!ok) {
      if (!end_with_.has_value()) end_with_ = grpc::Status::OK;
    } else if (!ended_) {
      handling_ = true;
      Workers& workers = command_.has_probe() ? service_.probing_ : service_.workers_;
      workers.Run([this] { Handle(); });
    }
    Proceed();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    outbox_.pop_front();
    if (!ok) {
      outbox_.clear();
      if (!end_with_.has_value()) end_with_ = grpc::Status::OK;
    }
    Proceed();
  }

  void OnDone() override {
    service_.Forget(this);
    { absl::MutexLock lock(&mutex_); }
    delete this;
  }

 private:
  // On a worker's thread. The link can't be done before this has ended. The key's copy is wiped: links live long.
  void Handle() {
    v1::Report report = service_.IsDraining() ? TooLate() : CarryOut();
    service_.options_.on_handled();
    WipeKey(command_);
    absl::MutexLock lock(&mutex_);
    command_.Clear();
    outbox_.push_back(std::move(report));
    handling_ = false;
    Proceed();
  }

  v1::Report CarryOut() {
    if (command_.without_progress()) return service_.engine_.Handle(command_, nullptr);
    return service_.engine_.Handle(command_, [this](const v1::Progress& progress) {
      v1::Report line;
      line.set_command_id(command_.id());
      *line.mutable_progress() = progress;
      absl::MutexLock lock(&mutex_);
      outbox_.push_back(std::move(line));
      Proceed();
    });
  }

  // Waited for a thread until the agent ended.
  v1::Report TooLate() const {
    v1::Report report;
    report.set_command_id(command_.id());
    *report.mutable_refusal()->mutable_failure() =
        FailureOf(Fail(Reason::BUSY, kEnding, "send it again once the agent is back"));
    return report;
  }

  // Does what is next, if anything.
  void Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (ended_ || writing_) return;
    if (!outbox_.empty()) {
      writing_ = true;
      StartWrite(&outbox_.front());
    } else if (handling_) {
      return;
    } else if (end_with_.has_value()) {
      ended_ = true;
      Finish(*end_with_);
    } else if (!reading_) {
      reading_ = true;
      StartRead(&command_);
    }
  }

  LinkService& service_;
  const std::string peer_;
  absl::Mutex mutex_;
  // Held by the stream while reading_, by a worker while handling_.
  v1::Command command_;
  // The first is being written while writing_.
  std::deque<v1::Report> outbox_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool handling_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_with_ ABSL_GUARDED_BY(mutex_);
};

LinkService::LinkService(Engine& engine, Workers& workers, Workers& probing, Gate& gate, Options options)
    : engine_(engine), workers_(workers), probing_(probing), gate_(gate), options_(std::move(options)) {
}

LinkService::~LinkService() = default;

grpc::ServerBidiReactor<v1::Command, v1::Report>* LinkService::Link(grpc::CallbackServerContext* context) {
  const std::string peer = context->peer();
  auto* reactor = new LinkReactor(*this, peer);  // deletes itself in OnDone
  if (const grpc::Status status = Admit(reactor, peer); status.ok()) {
    reactor->Begin();
  } else {
    options_.on_refused(absl::StrCat(peer, ": ", status.error_message()));
    reactor->Refuse(status);
  }
  return reactor;
}

grpc::Status LinkService::Admit(LinkReactor* reactor, const std::string& peer) {
  absl::MutexLock lock(&mutex_);
  if (draining_) return {grpc::StatusCode::UNAVAILABLE, kEnding};
  if (!gate_.BeginLink(peer)) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            absl::StrCat("its connection ended, or has more than ", kMaxStreamsPerConnection, " links, or more than ",
                         kMaxLinksBegun, " in its life")};
  }
  if (links_.size() >= kMaxLinks) {
    gate_.EndLink(peer);
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, absl::StrCat("the node has ", kMaxLinks, " links already")};
  }
  links_.emplace(reactor, peer);
  return grpc::Status::OK;
}

void LinkService::Forget(LinkReactor* reactor) {
  absl::MutexLock lock(&mutex_);
  const auto link = links_.find(reactor);
  if (link == links_.end()) return;
  gate_.EndLink(link->second);
  links_.erase(link);
}

bool LinkService::IsDraining() {
  absl::MutexLock lock(&mutex_);
  return draining_;
}

void LinkService::Drain() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  for (const auto& [link, peer] : links_) link->Drain();
}

}  // namespace certcast::node
