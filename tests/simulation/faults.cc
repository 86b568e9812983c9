// What goes wrong in a run, and that it is well again.
#include <algorithm>

#include "common/status/status.h"
#include "tests/simulation/world.h"

namespace certcast::simulation {

void World::Happen(const FaultEvent& fault) {
  scheduler_.Sleep(fault.at - scheduler_.Now());
  if (IsOver() || healed_ || !Begin(fault)) return;
  trace_.Note("fault: ", NameOf(fault.kind), " node-", fault.node);
  ++outcome_.faults[static_cast<size_t>(fault.kind)];
  scheduler_.Sleep(fault.length);
  if (!IsOver() && !healed_) End(fault);
}

bool World::Begin(const FaultEvent& fault) {
  NodeMachine& node = *nodes_[static_cast<size_t>(fault.node)];
  Network::Troubles& network = network_.troubles(node.name());
  NodeMachine::Troubles& troubles = node.troubles();
  const int operations = fault.dice % 3 == 0 ? 0 : static_cast<int>(fault.dice / 3 % 90);
  const InvocationPtr at_work = CarryingOut();
  switch (fault.kind) {
    case FaultKind::kPartition:
      return network.partition = true;
    case FaultKind::kLoss:
      return network.loss = true;
    case FaultKind::kDelay:
      return network.delay = true;
    case FaultKind::kLateDelivery:
      return network.late_delivery = true;
    case FaultKind::kKilledAgent:
      return node.KillAgent(operations, std::min(fault.length, absl::Seconds(10)));
    case FaultKind::kFrozenAgent:
      return node.FreezeAgent(fault.length);
    case FaultKind::kPowerLoss:
      node.LosePower(operations, fault.dice | 1, fault.length);
      return true;
    case FaultKind::kSlowDisk:
      return troubles.slow_disk = true;
    case FaultKind::kFullDisk:
      return troubles.full_disk = true;
    case FaultKind::kClockSkew:
      node.clock().SetSkew(absl::Seconds(static_cast<int64_t>(fault.dice % 14400) - 7200));
      return true;
    case FaultKind::kFlappingProbe:
      return troubles.flapping_probe = true;
    case FaultKind::kLyingReload:
      return troubles.lying_reload = true;
    case FaultKind::kFailingReload:
      return troubles.failing_reload = true;
    case FaultKind::kFailingCheck:
      return troubles.failing_check = true;
    case FaultKind::kServiceDown:
      return troubles.service_down = true;
    case FaultKind::kKilledController:
      if (at_work == nullptr) return false;
      doomed_ = at_work->process.get();
      slices_left_ = 1 + static_cast<int>(fault.dice % 60);
      return true;
    case FaultKind::kFrozenController:
      if (at_work == nullptr) return false;
      Freeze(*at_work->process, fault.length);
      return true;
    case FaultKind::kTakenLease:
      if (at_work == nullptr) return false;
      store_.Release(*at_work->process);
      if (fault.dice % 2 == 0) Freeze(*at_work->process, fault.length);
      StartApply();
      return true;
    case FaultKind::kStop:
      if (at_work == nullptr) return false;
      at_work->stop = true;
      return true;
    case FaultKind::kSlowStore:
      store_.SetCommitTime(absl::Milliseconds(600));
      return true;
    case FaultKind::kFailingStore:
      store_.SetFailure(Fail(Reason::NO_SPACE, "the controller's disk is full"));
      return true;
  }
  return false;
}

void World::Freeze(Process& process, absl::Duration length) {
  scheduler_.Freeze(process, length);
  rules_.Froze(scheduler_.Now() + length);
}

void World::End(const FaultEvent& fault) {
  NodeMachine& node = *nodes_[static_cast<size_t>(fault.node)];
  Network::Troubles& network = network_.troubles(node.name());
  NodeMachine::Troubles& troubles = node.troubles();
  switch (fault.kind) {
    case FaultKind::kPartition:
      network.partition = false;
      break;
    case FaultKind::kLoss:
      network.loss = false;
      break;
    case FaultKind::kDelay:
      network.delay = false;
      break;
    case FaultKind::kLateDelivery:
      network.late_delivery = false;
      break;
    case FaultKind::kSlowDisk:
      troubles.slow_disk = false;
      break;
    case FaultKind::kFullDisk:
      troubles.full_disk = false;
      break;
    case FaultKind::kClockSkew:
      node.clock().SetSkew(absl::ZeroDuration());
      break;
    case FaultKind::kFlappingProbe:
      troubles.flapping_probe = false;
      break;
    case FaultKind::kLyingReload:
      troubles.lying_reload = false;
      break;
    case FaultKind::kFailingReload:
      troubles.failing_reload = false;
      break;
    case FaultKind::kFailingCheck:
      troubles.failing_check = false;
      break;
    case FaultKind::kServiceDown:
      troubles.service_down = false;
      break;
    case FaultKind::kSlowStore:
      store_.SetCommitTime(absl::Milliseconds(5));
      break;
    case FaultKind::kFailingStore:
      store_.SetFailure(absl::OkStatus());
      break;
    default:
      break;
  }
}

void World::Heal() {
  network_.Heal();
  store_.SetCommitTime(absl::Milliseconds(5));
  store_.SetFailure(absl::OkStatus());
  doomed_ = nullptr;
  for (const std::unique_ptr<NodeMachine>& node : nodes_) {
    node->troubles() = {};
    node->clock().SetSkew(absl::ZeroDuration());
  }
}

}  // namespace certcast::simulation
