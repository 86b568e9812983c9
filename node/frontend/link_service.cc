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
// its reports are in memory, however fast a peer sends. Deletes itself when all that it asked of gRPC is done.
class OneLink {
 public:
  // gRPC's tags: what was asked of it. The queue says when it is done, and whether it was.
  class Event {
   public:
    Event(OneLink& link, void (OneLink::*done)(bool)) : link_(link), done_(done) {}
    void Done(bool ok) { (link_.*done_)(ok); }

   private:
    OneLink& link_;
    void (OneLink::*done_)(bool);
  };

  // Awaits a peer that begins it.
  OneLink(LinkService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), stream_(&context_) {
    service_.RequestLink(&context_, &stream_, &queue_, &queue_, &begun_);
  }

  void Drain() {
    absl::MutexLock lock(&mutex_);
    if (!end_with_.has_value()) end_with_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, kEnding);
    Proceed();
  }

 private:
  void OnBegun(bool ok) {
    if (!ok) return End();
    service_.AwaitNext(queue_);
    peer_ = context_.peer();
    const grpc::Status status = service_.Admit(this, peer_);
    if (!status.ok()) service_.options_.on_refused(absl::StrCat(peer_, ": ", status.error_message()));
    absl::MutexLock lock(&mutex_);
    if (status.ok()) {
      *outbox_.emplace_back().mutable_hello() = service_.options_.hello;
    } else {
      end_with_ = status;
    }
    Proceed();
  }

  void OnRead(bool ok) {
    {
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
      if (!finished_) return;
    }
    End();
  }

  void OnWritten(bool ok) {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    outbox_.pop_front();
    if (!ok) {
      outbox_.clear();
      if (!end_with_.has_value()) end_with_ = grpc::Status::OK;
    }
    Proceed();
  }

  void OnFinished(bool) {
    {
      absl::MutexLock lock(&mutex_);
      finished_ = true;
      // That ends as well, and is the last then.
      if (reading_) return;
    }
    End();
  }

  // Nothing comes from gRPC any more, and no worker has it.
  void End() {
    service_.Forget(this);
    delete this;
  }

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
      stream_.Write(outbox_.front(), &written_);
    } else if (handling_) {
      return;
    } else if (end_with_.has_value()) {
      ended_ = true;
      stream_.Finish(*end_with_, &finished_event_);
    } else if (!reading_) {
      reading_ = true;
      stream_.Read(&command_, &read_);
    }
  }

  LinkService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<v1::Report, v1::Command> stream_;
  Event begun_{*this, &OneLink::OnBegun};
  Event read_{*this, &OneLink::OnRead};
  Event written_{*this, &OneLink::OnWritten};
  Event finished_event_{*this, &OneLink::OnFinished};
  // From when it has begun.
  std::string peer_;
  absl::Mutex mutex_;
  // Held by the stream while reading_, by a worker while handling_.
  v1::Command command_;
  // The first is being written while writing_.
  std::deque<v1::Report> outbox_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool handling_ ABSL_GUARDED_BY(mutex_) = false;
  // gRPC was asked to end it, and has.
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_with_ ABSL_GUARDED_BY(mutex_);
};

LinkService::LinkService(Engine& engine, Workers& workers, Workers& probing, Gate& gate, Options options)
    : engine_(engine), workers_(workers), probing_(probing), gate_(gate), options_(std::move(options)) {
}

LinkService::~LinkService() = default;

void LinkService::Serve(grpc::ServerCompletionQueue& queue) {
  void* tag = nullptr;
  for (bool ok = false; queue.Next(&tag, &ok);) static_cast<OneLink::Event*>(tag)->Done(ok);
}

void LinkService::AwaitNext(grpc::ServerCompletionQueue& queue) {
  {
    absl::MutexLock lock(&mutex_);
    ++alive_;
  }
  new OneLink(*this, queue);  // deletes itself
}

void LinkService::AwaitEnd() {
  const auto is_over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return alive_ == 0; };
  absl::MutexLock lock(&mutex_, absl::Condition(&is_over));
}

grpc::Status LinkService::Admit(OneLink* link, const std::string& peer) {
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
  links_.emplace(link, peer);
  return grpc::Status::OK;
}

void LinkService::Forget(OneLink* link) {
  absl::MutexLock lock(&mutex_);
  if (const auto known = links_.find(link); known != links_.end()) {
    gate_.EndLink(known->second);
    links_.erase(known);
  }
  --alive_;
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
