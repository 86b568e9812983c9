#include "tests/testing/fake_link.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "certcast/v1/bundle.pb.h"
#include "common/status/status.h"
#include "tests/testing/command_subject.h"

namespace certcast::testing {
namespace {

constexpr absl::string_view kSteps[] = {"verify", "stage", "activate", "check", "reload", "probe"};

}  // namespace

std::pair<std::string, uint64_t> SubjectOf(const v1::Command& command) {
  switch (command.body_case()) {
    case v1::Command::kInstall: {
      v1::Manifest manifest;
      manifest.ParseFromString(command.install().bundle().manifest());
      return {manifest.certificate(), manifest.generation()};
    }
    case v1::Command::kConfirm:
      return {command.confirm().certificate(), command.confirm().generation()};
    case v1::Command::kRevert:
      return {command.revert().certificate(), command.revert().generation()};
    case v1::Command::kProbe:
      return {command.probe().certificate(), 0};
    default:
      return {"", 0};
  }
}

CommandKind KindOf(const v1::Command& command) {
  switch (command.body_case()) {
    case v1::Command::kInstall:
      return CommandKind::kInstall;
    case v1::Command::kConfirm:
      return CommandKind::kConfirm;
    case v1::Command::kRevert:
      return CommandKind::kRevert;
    case v1::Command::kProbe:
      return CommandKind::kProbe;
    case v1::Command::kPutHttpChallenge:
      return CommandKind::kPutHttpChallenge;
    case v1::Command::kRemoveHttpChallenge:
      return CommandKind::kRemoveHttpChallenge;
    default:
      return CommandKind::kDescribe;
  }
}

// One link to a FakeNode. After a loss it stays lost: open another.
class FakeLink : public controller::Link {
 public:
  FakeLink(FakeTransport& transport, FakeNode& node, Clock& clock) : transport_(transport), node_(node), clock_(clock) {
    hello_.set_node(node.name_);
    hello_.set_version("fake");
    hello_.set_fleet_id("fleet");
  }

  absl::StatusOr<v1::Report> Call(const v1::Command& command, absl::Duration timeout,
                                  const OnProgress& on_progress) override {
    absl::MutexLock lock(&mutex_);
    if (lost_) return Lost();
    LinkEvent event = EventOf(command);
    transport_.Record(event);
    if (FakeTransport::OnCommand on_command = transport_.on_command()) on_command(node_.name_, command);
    absl::StatusOr<v1::Report> report = Carry(command, timeout, on_progress);
    event.phase = LinkEvent::Phase::kEnds;
    transport_.Record(event);
    return report;
  }

  const v1::Hello& hello() const override { return hello_; }

 private:
  LinkEvent EventOf(const v1::Command& command) const {
    LinkEvent event;
    event.node = node_.name_;
    event.kind = KindOf(command);
    std::tie(event.certificate, event.generation) = SubjectOf(command);
    event.command_id = command.id();
    event.epoch = command.epoch();
    return event;
  }

  absl::StatusOr<v1::Report> Carry(const v1::Command& command, absl::Duration timeout, const OnProgress& on_progress)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Fault fault;
    const bool faulty = node_.TakeFault(KindOf(command), fault);
    if (faulty && fault.kind == Fault::Kind::kLostBefore) return Lost();
    if (faulty && fault.kind == Fault::Kind::kRefused) return StatusOf(fault.failure);
    if (faulty && fault.kind == Fault::Kind::kWrongAnswer) {
      return Fail(v1::Reason::PROTOCOL, absl::StrCat("node ", node_.name_, " sent an answer that is not one"));
    }
    if (command.has_install() && on_progress != nullptr) {
      for (absl::string_view step : kSteps) {
        v1::Progress progress;
        progress.set_step(std::string(step));
        on_progress(progress);
      }
    }
    const absl::Duration delay =
        faulty && fault.kind == Fault::Kind::kTimedOut ? absl::InfiniteDuration() : node_.Delay(KindOf(command));
    if (delay > absl::ZeroDuration()) clock_.Sleep(std::min(delay, timeout));
    v1::Report report = node_.Handle(command, faulty && fault.kind == Fault::Kind::kResult ? &fault : nullptr);
    if (delay > timeout) {
      return Fail(v1::Reason::TIMED_OUT,
                  absl::StrCat("node ", node_.name_, " did not answer within ", absl::FormatDuration(timeout)));
    }
    if (faulty && fault.kind == Fault::Kind::kLostAfter) return Lost();
    if (report.has_refusal()) return StatusOf(report.refusal().failure());
    return report;
  }

  absl::Status Lost() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    lost_ = true;
    return Fail(v1::Reason::LINK_LOST,
                absl::StrCat("the connection to node ", node_.name_, " ended before the answer"));
  }

  FakeTransport& transport_;
  FakeNode& node_;
  Clock& clock_;
  v1::Hello hello_;
  absl::Mutex mutex_;
  bool lost_ ABSL_GUARDED_BY(mutex_) = false;
};

FakeNode& FakeTransport::Node(absl::string_view name) {
  absl::MutexLock lock(&mutex_);
  std::unique_ptr<FakeNode>& node = nodes_[std::string(name)];
  if (node == nullptr) node = std::make_unique<FakeNode>(std::string(name), clock_);
  return *node;
}

absl::StatusOr<std::unique_ptr<controller::Link>> FakeTransport::Open(const controller::NodeConfig& node,
                                                                      absl::Duration) {
  FakeNode* found = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    ++opened_;
    if (auto it = nodes_.find(node.name); it != nodes_.end()) found = it->second.get();
  }
  if (found == nullptr) {
    return Fail(v1::Reason::NO_ROUTE, absl::StrCat(node.name, " at ", node.address, ": connection refused"));
  }
  RETURN_IF_ERROR(found->reachable());
  return std::make_unique<FakeLink>(*this, *found, clock_);
}

void FakeTransport::SetOnCommand(OnCommand on_command) {
  absl::MutexLock lock(&mutex_);
  on_command_ = std::move(on_command);
}

FakeTransport::OnCommand FakeTransport::on_command() const {
  absl::MutexLock lock(&mutex_);
  return on_command_;
}

std::vector<LinkEvent> FakeTransport::events() const {
  absl::MutexLock lock(&mutex_);
  return events_;
}

std::vector<std::string> FakeTransport::NodesThatGot(CommandKind kind) const {
  std::vector<std::string> nodes;
  for (const LinkEvent& event : events()) {
    if (event.kind == kind && event.phase == LinkEvent::Phase::kBegins) nodes.push_back(event.node);
  }
  return nodes;
}

int FakeTransport::MaxInFlight(const std::vector<std::string>& nodes) const {
  std::multiset<std::string> in_flight;
  size_t most = 0;
  for (const LinkEvent& event : events()) {
    if (!nodes.empty() && std::find(nodes.begin(), nodes.end(), event.node) == nodes.end()) continue;
    if (event.phase == LinkEvent::Phase::kBegins) {
      in_flight.insert(event.node);
    } else {
      in_flight.erase(in_flight.find(event.node));
    }
    most = std::max(most, std::set<std::string>(in_flight.begin(), in_flight.end()).size());
  }
  return static_cast<int>(most);
}

int FakeTransport::opened() const {
  absl::MutexLock lock(&mutex_);
  return opened_;
}

void FakeTransport::Record(LinkEvent event) {
  event.at = clock_.Now();
  absl::MutexLock lock(&mutex_);
  events_.push_back(std::move(event));
}

}  // namespace certcast::testing
