#include "node/frontend/link_service.h"

#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/identity/names.h"
#include "common/secret/secret.h"

namespace certcast::node {
namespace {

constexpr char kSanProperty[] = "x509_subject_alternative_name";

}  // namespace

// One link: reads a command, has it handled, writes what the engine reports, reads the next. So at most one command and
// its reports are in memory, however fast a peer sends.
class LinkReactor final : public grpc::ServerBidiReactor<v1::Command, v1::Report> {
 public:
  explicit LinkReactor(LinkService& service) : service_(service) {}

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
    if (!end_with_.has_value()) end_with_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the agent is ending");
    Proceed();
  }

  void OnReadDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    if (!ok) {
      if (!end_with_.has_value()) end_with_ = grpc::Status::OK;
    } else if (!ended_) {
      handling_ = true;
      service_.workers_.Run([this] { Handle(); });
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
    v1::Report report = service_.engine_.Handle(command_, [this](const v1::Progress& progress) {
      v1::Report line;
      line.set_command_id(command_.id());
      *line.mutable_progress() = progress;
      absl::MutexLock lock(&mutex_);
      outbox_.push_back(std::move(line));
      Proceed();
    });
    service_.options_.on_handled();
    if (command_.has_install()) {
      std::string& key = *command_.mutable_install()->mutable_bundle()->mutable_private_key_pem();
      Wipe(key.data(), key.size());
    }
    absl::MutexLock lock(&mutex_);
    command_.Clear();
    outbox_.push_back(std::move(report));
    handling_ = false;
    Proceed();
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

LinkService::LinkService(Engine& engine, Workers& workers, Options options)
    : engine_(engine), workers_(workers), options_(std::move(options)) {
}

LinkService::~LinkService() = default;

grpc::ServerBidiReactor<v1::Command, v1::Report>* LinkService::Link(grpc::CallbackServerContext* context) {
  auto* reactor = new LinkReactor(*this);  // deletes itself in OnDone
  grpc::Status status = CheckPeer(*context);
  if (status.ok()) status = Admit(reactor);
  if (status.ok()) {
    reactor->Begin();
  } else {
    options_.on_refused(absl::StrCat(context->peer(), ": ", status.error_message()));
    reactor->Refuse(status);
  }
  return reactor;
}

grpc::Status LinkService::CheckPeer(const grpc::CallbackServerContext& context) const {
  std::vector<std::string> names;
  for (const grpc::string_ref& name : context.auth_context()->FindPropertyValues(kSanProperty)) {
    names.emplace_back(name.data(), name.size());
  }
  if (IsController(options_.hello.fleet_id(), names)) return grpc::Status::OK;
  return {grpc::StatusCode::PERMISSION_DENIED,
          absl::StrCat("the peer is ", names.empty() ? "nobody" : absl::StrJoin(names, ", "),
                       ", not the controller of fleet ", options_.hello.fleet_id())};
}

grpc::Status LinkService::Admit(LinkReactor* reactor) {
  absl::MutexLock lock(&mutex_);
  if (draining_) return {grpc::StatusCode::UNAVAILABLE, "the agent is ending"};
  if (links_.size() >= kMaxLinks) {
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, absl::StrCat("the node has ", kMaxLinks, " links already")};
  }
  links_.insert(reactor);
  return grpc::Status::OK;
}

void LinkService::Forget(LinkReactor* reactor) {
  absl::MutexLock lock(&mutex_);
  links_.erase(reactor);
}

void LinkService::Drain() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  for (LinkReactor* link : links_) link->Drain();
}

}  // namespace certcast::node
