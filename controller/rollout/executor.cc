#include "controller/rollout/executor.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/clock/timestamp.h"
#include "common/status/status.h"
#include "controller/rollout/bundle_cache.h"
#include "controller/rollout/ledger.h"
#include "controller/rollout/life_cycle.h"
#include "controller/rollout/node_run.h"
#include "controller/rollout/record.h"
#include "controller/rollout/rollout_progress.h"
#include "controller/rollout/soak.h"
#include "controller/rollout/worker_threads.h"

namespace certcast::controller {
namespace {

using Node = state::v1::Rollout::Node;
using Progress = v1::ApplyEvent::Progress;

// So long may pass between a request to stop and the end of a soak.
constexpr absl::Duration kSoakSlice = absl::Milliseconds(200);

bool InTheMiddle(const Node& node) {
  return node.step() != Node::PENDING && node.step() != Node::DONE;
}

class Execution {
 public:
  Execution(const state::v1::Rollout& rollout, const RolloutInputs& inputs, const RolloutEnvironment& environment,
            const OnRolloutProgress& on_progress, const std::atomic<bool>& stop);

  absl::StatusOr<state::v1::Rollout> Run();

 private:
  // --- One a state: each does what the state stands for, and ends by saving the next.
  absl::Status Begin();
  absl::Status StartWave(int wave);
  absl::Status RunWave();
  absl::Status Soak();
  absl::Status GoOnFromPause();
  absl::Status GoOnInWindow();
  absl::Status EndHalted();
  absl::Status RevertChanged();
  absl::Status EndAfterLastWave();
  absl::Status EndAtTimeout();
  // `because`: where it ends before its time.
  absl::Status End(v1::Rollout::State state, const Ledger::Nodes& nodes = {}, const std::string& because = "");

  absl::Status SaveHead(const std::function<void(state::v1::Rollout& head)>& change, const Ledger::Nodes& nodes = {});
  absl::Status SaveState(v1::Rollout::State state, const Ledger::Nodes& nodes = {});
  // What an operator wants meanwhile: saved, then done.
  absl::Status TakeUpRequest();
  // No further node may begin; asks for requests, whose error is kept for later.
  bool ClosedTo(v1::Rollout::State state);
  // Of the run, and of those before it.
  absl::Duration TimeSpent() const;
  bool TimeIsOver() const { return TimeSpent() >= policy_.timeout; }
  // Forwards, as the limits of the policy let nodes begin, until all are done or `closed`.
  absl::Status AdvanceNodes(std::vector<size_t> nodes, std::function<bool()> closed);
  absl::Status AdvanceNode(size_t index);
  absl::Status LookAgainAt(size_t index);
  // PENDING nodes, as they end without their turn.
  Ledger::Nodes SkipPending(Reason::Code reason, absl::string_view detail) const;
  absl::Status RevertNode(size_t index);
  // For a node that the configuration no longer has, or no longer gives this certificate.
  absl::Status FinishRemovedNode(size_t index, bool reverting);
  void ShowEnd(size_t index);

  AdmissionLimits Limits() const;
  bool MayBegin() const;
  // Nothing is at work, and nothing is to be begun by this run.
  bool Waits() const;
  std::vector<size_t> Select(const std::function<bool(const Node&)>& wanted) const { return ledger_.Select(wanted); }
  const std::string& NameOf(size_t index) const { return names_[index]; }

  const RolloutInputs& inputs_;
  const RolloutEnvironment& environment_;
  const std::atomic<bool>& stop_;
  const RolloutPolicy policy_;
  const int waves_;
  const int first_wave_size_;
  std::vector<std::string> names_;
  std::vector<int> groups_;
  Ledger ledger_;
  BundleCache bundles_;
  RolloutProgress progress_;
  NodeRunContext context_;
  const absl::Duration began_;
  absl::Duration spent_before_;
  // Of requests that could not be read or saved.
  absl::Status request_error_;
};

absl::StatusOr<state::v1::Rollout> Execution::Run() {
  if (ledger_.state() == v1::Rollout::PAUSED && !stop_) RETURN_IF_ERROR(GoOnFromPause());
  if (ledger_.state() == v1::Rollout::WAITING_FOR_WINDOW && !stop_ && MayBegin()) RETURN_IF_ERROR(GoOnInWindow());
  while (true) {
    RETURN_IF_ERROR(TakeUpRequest());
    if (ledger_.finished() || stop_ || Waits()) break;
    switch (ledger_.state()) {
      case v1::Rollout::PLANNED:
        RETURN_IF_ERROR(Begin());
        break;
      case v1::Rollout::RUNNING:
        RETURN_IF_ERROR(RunWave());
        break;
      case v1::Rollout::SOAKING:
        RETURN_IF_ERROR(Soak());
        break;
      case v1::Rollout::HALTED:
        RETURN_IF_ERROR(EndHalted());
        break;
      case v1::Rollout::REVERTING:
        RETURN_IF_ERROR(RevertChanged());
        break;
      default:
        return Fail(Reason::MALFORMED,
                    absl::StrCat("rollout ", context_.rollout_id, " is ", v1::Rollout::State_Name(ledger_.state()),
                                 ", which this version can't go on from"),
                    "use the version of certcast that began it");
    }
  }
  // The time of a run that leaves it unfinished counts too.
  const bool timed = !ledger_.finished() && policy_.timeout != absl::InfiniteDuration();
  RETURN_IF_ERROR(timed ? SaveHead([](state::v1::Rollout&) {}) : ledger_.Flush());
  state::v1::Rollout rollout = ledger_.Snapshot();
  if (rollout.state() == v1::Rollout::PAUSED) progress_.Note(absl::StrCat("paused: ", rollout.paused_because()));
  return rollout;
}

absl::Status Execution::Begin() {
  if (waves_ == 0) return EndAfterLastWave();
  return MayBegin() ? StartWave(1) : SaveState(v1::Rollout::WAITING_FOR_WINDOW);
}

absl::Status Execution::StartWave(int wave) {
  return SaveHead([wave](state::v1::Rollout& head) {
    head.set_state(v1::Rollout::RUNNING);
    head.set_wave(wave);
    head.clear_soak_started_at();
  });
}

absl::Status Execution::RunWave() {
  if (TimeIsOver()) return EndAtTimeout();
  const int wave = ledger_.wave();
  const auto open = [wave](const Node& node) { return node.result().wave() == wave && node.step() != Node::DONE; };
  const auto count = [&](Standing standing) {
    return Select([&](const Node& node) { return node.result().wave() == wave && StandingOf(node) == standing; })
        .size();
  };
  const std::vector<size_t> left = Select(open);
  // Outside its window only what a controller that died left in the middle is finished.
  const bool may_begin = MayBegin();
  const std::vector<size_t> nodes =
      may_begin ? left : Select([&](const Node& node) { return open(node) && InTheMiddle(node); });
  if (nodes.empty() && !left.empty()) return SaveState(v1::Rollout::WAITING_FOR_WINDOW);
  const size_t good = count(Standing::kGood);
  const size_t bad = count(Standing::kFailed) + count(Standing::kMissing);
  progress_.Begin(Progress::WAVE, wave, left.size() + good + bad, good, bad);
  const absl::Status status =
      AdvanceNodes(nodes, [&] { return TimeIsOver() || ClosedTo(v1::Rollout::RUNNING) || (may_begin && !MayBegin()); });
  bundles_.Forget();
  RETURN_IF_ERROR(status);
  if (ledger_.state() != v1::Rollout::RUNNING || !Select(open).empty()) return absl::OkStatus();
  if (wave == waves_) return EndAfterLastWave();
  if (policy_.soak <= absl::ZeroDuration()) return StartWave(wave + 1);
  return SaveHead([now = environment_.clock->Now()](state::v1::Rollout& head) {
    head.set_state(v1::Rollout::SOAKING);
    // It may have been paused in the soak.
    if (!head.has_soak_started_at()) *head.mutable_soak_started_at() = ToTimestamp(now);
  });
}

// Of one that was interrupted, what is left; each node is looked at in it all the same.
absl::Status Execution::Soak() {
  const int wave = ledger_.wave();
  Clock& clock = *environment_.clock;
  const state::v1::Rollout head = ledger_.Head();
  const absl::Time until = FromTimestamp(head.soak_started_at()) + policy_.soak;
  const absl::Duration left = std::clamp(until - clock.Now(), absl::ZeroDuration(), policy_.soak);
  const std::vector<size_t> nodes =
      Select([](const Node& node) { return node.result().wave() > 0 && StandingOf(node) == Standing::kGood; });
  const SoakPlan plan(nodes.size(), left);
  progress_.Soak(wave, absl::StrCat("soaking for ", absl::FormatDuration(absl::Ceil(left, absl::Seconds(1))),
                                    " before wave ", wave + 1));
  const absl::Duration began = clock.Monotonic();
  size_t looks = 0;
  while (!ClosedTo(v1::Rollout::SOAKING)) {
    if (TimeIsOver()) return EndAtTimeout();
    const absl::Duration elapsed = clock.Monotonic() - began;
    const size_t due = std::min({plan.DueAfter(elapsed) - looks, nodes.size(), static_cast<size_t>(policy_.parallel)});
    if (due == 0 && elapsed >= left) return StartWave(wave + 1);
    if (due == 0) clock.Sleep(std::min(left - elapsed, kSoakSlice));
    std::vector<absl::Status> saved(due);
    ForEachAtOnce(due, policy_.parallel, [&](size_t i) { saved[i] = LookAgainAt(nodes[(looks + i) % nodes.size()]); });
    for (const absl::Status& status : saved) RETURN_IF_ERROR(status);
    looks += due;
  }
  return std::exchange(request_error_, absl::OkStatus());
}

absl::Status Execution::LookAgainAt(size_t index) {
  Node node = ledger_.node(index);
  const NodeConfig* config = inputs_.find_node(NameOf(index));
  // One that left the configuration meanwhile is nobody's to judge.
  if (config == nullptr || StandingOf(node) != Standing::kGood) return absl::OkStatus();
  if (!KeepFinding(LookAgain(*config, context_), *node.mutable_result())) return absl::OkStatus();
  RETURN_IF_ERROR(ledger_.FinishNode(index, node));
  progress_.NoteNode(node.result());
  return absl::OkStatus();
}

// Nodes of which nobody knows yet have not begun.
absl::Status Execution::GoOnFromPause() {
  Ledger::Nodes nodes;
  for (size_t index : Select([](const Node& node) { return StandingOf(node) == Standing::kInconclusive; })) {
    const Node before = ledger_.node(index);
    nodes[index] = ToBeAskedAnew(before);
    progress_.Note(
        absl::StrCat("asks ", before.result().name(), " once more, whose probes passed and failed by turns"));
  }
  return SaveHead(
      [&nodes](state::v1::Rollout& head) {
        head.set_state(head.wave() == 0 ? v1::Rollout::PLANNED : v1::Rollout::RUNNING);
        head.clear_paused_because();
        head.clear_paused_by();
        // It soaks anew where a node has to show itself anew.
        if (!nodes.empty()) head.clear_soak_started_at();
      },
      nodes);
}

absl::Status Execution::GoOnInWindow() {
  return ledger_.wave() == 0 ? Begin() : SaveState(v1::Rollout::RUNNING);
}

// No further node is touched. Nodes that were at work have ended, unless a controller died: these go back unseen, or
// are finished where they are to stay.
absl::Status Execution::EndHalted() {
  const state::v1::Rollout head = ledger_.Head();
  progress_.Note(absl::StrCat("halted: ", head.halted_because()));
  bool revert = head.policy().revert_on_halt();
  if (revert && inputs_.why_not_back) {
    ASSIGN_OR_RETURN(const std::optional<std::string> because, inputs_.why_not_back());
    if (because.has_value()) progress_.Note(absl::StrCat("nodes are not put back: ", *because));
    revert = !because.has_value();
  }
  if (!revert) {
    const std::vector<size_t> begun = Select(InTheMiddle);
    RETURN_IF_ERROR(AdvanceNodes(begun, [this] { return ClosedTo(v1::Rollout::HALTED); }));
    if (!Select(InTheMiddle).empty()) return absl::OkStatus();
  }
  Ledger::Nodes nodes = SkipPending(Reason::ROLLOUT_HALTED, "the rollout halted before its turn");
  if (!revert) return End(v1::Rollout::HALTED, nodes);
  for (size_t index : Select([](const Node& node) { return node.changed() || InTheMiddle(node); })) {
    Node node = ledger_.node(index);
    if (node.had_before()) {
      nodes[index] = EndSkipped(node, Reason::ROLLOUT_HALTED,
                                "the rollout halted; it goes back by itself to what it had of this generation");
      continue;
    }
    node.set_changed(true);
    node.set_step(Node::REVERTING);
    nodes[index] = node;
  }
  return SaveState(v1::Rollout::REVERTING, nodes);
}

// All at once as far as `parallel` allows: what is bad is gone soonest. The spread bound is for going forwards.
absl::Status Execution::RevertChanged() {
  const auto open = [](const Node& node) { return node.step() == Node::REVERTING; };
  const std::vector<size_t> nodes = Select(open);
  progress_.Begin(Progress::REVERTING, ledger_.wave(), nodes.size(), 0, 0);
  NodeQueue queue;
  queue.nodes = nodes;
  queue.groups.assign(names_.size(), kNoGroup);
  queue.max_threads = policy_.parallel;
  queue.limits = [this] { return AdmissionLimits{.parallel = policy_.parallel}; };
  queue.closed = [this] { return ClosedTo(v1::Rollout::REVERTING); };
  RETURN_IF_ERROR(WorkThrough(std::move(queue), [this](size_t index) { return RevertNode(index); }));
  if (!Select(open).empty()) return absl::OkStatus();
  // REVERTED says that all is as it was. Where a node did not go back the rollout stays what it was: HALTED.
  const auto is_not_back = [](const Node& node) {
    return node.changed() || node.result().reason() == Reason::REVERT_FAILED;
  };
  const bool all_back = Select(is_not_back).empty();
  return End(all_back ? v1::Rollout::REVERTED : v1::Rollout::HALTED);
}

absl::Status Execution::EndAfterLastWave() {
  const v1::Rollout::Counts tally = ledger_.tally();
  return End(tally.failed() + tally.missing() == 0 ? v1::Rollout::COMPLETED : v1::Rollout::INCOMPLETE);
}

// What an earlier controller left in the middle is not left so.
absl::Status Execution::EndAtTimeout() {
  const v1::Rollout::State state = ledger_.state();
  RETURN_IF_ERROR(AdvanceNodes(Select(InTheMiddle), [this, state] { return ClosedTo(state); }));
  if (ledger_.state() != state || !Select(InTheMiddle).empty()) return absl::OkStatus();
  const std::string because = absl::StrCat("its timeout of ", absl::FormatDuration(policy_.timeout), " is over");
  progress_.Note(absl::StrCat("ends: ", because));
  return End(v1::Rollout::INCOMPLETE, SkipPending(Reason::TIMED_OUT, "the rollout's timeout was over before its turn"),
             because);
}

Ledger::Nodes Execution::SkipPending(Reason::Code reason, absl::string_view detail) const {
  Ledger::Nodes nodes;
  for (size_t index : Select([](const Node& node) { return node.step() == Node::PENDING; })) {
    nodes[index] = EndSkipped(ledger_.node(index), reason, detail);
  }
  return nodes;
}

absl::Status Execution::End(v1::Rollout::State state, const Ledger::Nodes& nodes, const std::string& because) {
  const absl::Time now = environment_.clock->Now();
  return SaveHead(
      [&](state::v1::Rollout& head) {
        head.set_state(state);
        if (!because.empty()) head.set_halted_because(because);
        head.clear_soak_started_at();
        *head.mutable_finished_at() = ToTimestamp(now);
      },
      nodes);
}

absl::Status Execution::SaveState(v1::Rollout::State state, const Ledger::Nodes& nodes) {
  return SaveHead([state](state::v1::Rollout& head) { head.set_state(state); }, nodes);
}

absl::Status Execution::SaveHead(const std::function<void(state::v1::Rollout& head)>& change,
                                 const Ledger::Nodes& nodes) {
  const google::protobuf::Duration spent = ToProto(TimeSpent());
  return ledger_.SaveHead(
      [&](state::v1::Rollout& head) {
        change(head);
        *head.mutable_time_spent() = spent;
      },
      nodes);
}

absl::Duration Execution::TimeSpent() const {
  return spent_before_ + (environment_.clock->Monotonic() - began_);
}

absl::Status Execution::TakeUpRequest() {
  RETURN_IF_ERROR(std::exchange(request_error_, absl::OkStatus()));
  if (!inputs_.request) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::optional<state::v1::RolloutRequest> request, inputs_.request());
  if (!request.has_value()) return absl::OkStatus();
  // Where it comes too late there is nothing to save.
  if (state::v1::Rollout head = ledger_.Head(); TakeRequest(*request, head)) {
    RETURN_IF_ERROR(SaveHead([&](state::v1::Rollout& now) { TakeRequest(*request, now); }));
  }
  return inputs_.forget_request();
}

bool Execution::ClosedTo(v1::Rollout::State state) {
  if (stop_ || !request_error_.ok()) return true;
  request_error_ = TakeUpRequest();
  return !request_error_.ok() || ledger_.state() != state;
}

absl::Status Execution::AdvanceNodes(std::vector<size_t> nodes, std::function<bool()> closed) {
  // Those that an earlier controller left in the middle wait for a Confirm: they come first.
  std::stable_partition(nodes.begin(), nodes.end(), [this](size_t index) { return InTheMiddle(ledger_.node(index)); });
  NodeQueue queue;
  queue.nodes = std::move(nodes);
  queue.groups = groups_;
  queue.max_threads = policy_.parallel;
  queue.limits = [this] { return Limits(); };
  queue.closed = std::move(closed);
  return WorkThrough(std::move(queue), [this](size_t index) { return AdvanceNode(index); });
}

// Until one node has shown that the generation works, no more are at risk than the first wave was meant to be; it may
// have been unreachable as a whole.
AdmissionLimits Execution::Limits() const {
  const bool proven = ledger_.tally().good() > 0;
  return {.parallel = proven ? policy_.parallel : std::min(policy_.parallel, first_wave_size_),
          .per_group = policy_.spread_in_flight};
}

bool Execution::MayBegin() const {
  if (!inputs_.may_begin) return true;
  const absl::Time now = environment_.clock->Now();
  return inputs_.may_begin(now) <= now;
}

bool Execution::Waits() const {
  return ledger_.state() == v1::Rollout::PAUSED || ledger_.state() == v1::Rollout::WAITING_FOR_WINDOW;
}

absl::Status Execution::AdvanceNode(size_t index) {
  progress_.NodeBegins(NameOf(index));
  const Node::Step step = ledger_.node(index).step();
  // Beyond these steps it has the key, and goes on to a proven end.
  const bool begun = step != Node::PENDING && step != Node::INSTALLING;
  const bool wants = begun || !inputs_.still_wants || inputs_.still_wants(NameOf(index));
  const NodeConfig* config = wants ? inputs_.find_node(NameOf(index)) : nullptr;
  RETURN_IF_ERROR(config == nullptr ? FinishRemovedNode(index, false) : NodeRun(index, *config, context_).Advance());
  ShowEnd(index);
  return absl::OkStatus();
}

absl::Status Execution::RevertNode(size_t index) {
  progress_.NodeBegins(NameOf(index));
  const NodeConfig* config = inputs_.find_node(NameOf(index));
  RETURN_IF_ERROR(config == nullptr ? FinishRemovedNode(index, true) : NodeRun(index, *config, context_).Revert());
  ShowEnd(index);
  return absl::OkStatus();
}

absl::Status Execution::FinishRemovedNode(size_t index, bool reverting) {
  Node node = ledger_.node(index);
  node.set_step(Node::DONE);
  node.mutable_result()->set_outcome(reverting ? v1::Outcome::FAILED : v1::Outcome::UNREACHABLE);
  node.mutable_result()->set_reason(reverting ? Reason::REVERT_FAILED : Reason::NO_ROUTE);
  const bool removed = inputs_.find_node(NameOf(index)) == nullptr;
  node.mutable_result()->set_detail(removed ? "the node is no longer in the configuration"
                                            : "the configuration no longer gives the node this certificate");
  return ledger_.FinishNode(index, node);
}

void Execution::ShowEnd(size_t index) {
  const Node node = ledger_.node(index);
  const v1::Rollout::Node& result = node.result();
  if (node.step() == Node::PENDING) return progress_.NodeReturns(result.name());
  const bool going_back = ledger_.state() == v1::Rollout::REVERTING;
  const bool good = going_back ? result.outcome() == v1::Outcome::REVERTED : StandingOf(node) == Standing::kGood;
  if (!good) progress_.NoteNode(result);
  progress_.NodeEnds(result.name(), good);
}

// Labels are the configuration's of now; a node that is gone has none.
std::vector<int> GroupsOf(const state::v1::Rollout& rollout, const RolloutInputs& inputs) {
  std::vector<FleetMember> members;
  for (const Node& node : rollout.nodes()) {
    const NodeConfig* config = inputs.find_node(node.result().name());
    members.push_back({.name = node.result().name()});
    if (config != nullptr) members.back().labels = config->labels;
  }
  return SpreadGroups(members, rollout.policy().spread_label());
}

Execution::Execution(const state::v1::Rollout& rollout, const RolloutInputs& inputs,
                     const RolloutEnvironment& environment, const OnRolloutProgress& on_progress,
                     const std::atomic<bool>& stop)
    : inputs_(inputs),
      environment_(environment),
      stop_(stop),
      policy_(PolicyOf(rollout)),
      waves_(rollout.waves_size()),
      first_wave_size_(waves_ == 0 ? 0 : rollout.waves(0).size()),
      groups_(GroupsOf(rollout, inputs)),
      ledger_(rollout, *environment.log),
      bundles_(inputs.bundle, *environment.clock),
      progress_(rollout, on_progress, *environment.clock),
      began_(environment.clock->Monotonic()),
      spent_before_(FromProto(rollout.time_spent())) {
  for (const Node& node : rollout.nodes()) names_.push_back(node.result().name());
  context_.rollout_id = rollout.id();
  context_.subject = {rollout.certificate(), rollout.generation(), rollout.leaf_sha256()};
  context_.policy = policy_;
  context_.default_server_name = inputs.default_server_name;
  context_.epoch = inputs.epoch;
  context_.may_begin = [this] { return MayBegin(); };
  context_.ledger = &ledger_;
  context_.bundles = &bundles_;
  context_.transport = environment.transport;
  context_.prober = environment.prober;
  context_.clock = environment.clock;
}

}  // namespace

absl::StatusOr<state::v1::Rollout> ExecuteRollout(const state::v1::Rollout& rollout, const RolloutInputs& inputs,
                                                  const RolloutEnvironment& environment,
                                                  const OnRolloutProgress& on_progress, const std::atomic<bool>& stop) {
  return Execution(rollout, inputs, environment, on_progress, stop).Run();
}

}  // namespace certcast::controller
