// A new certificate while the rollout of the last one has not ended.
#include <atomic>
#include <string>

#include "controller/api/acme_fixture.h"
#include "gtest/gtest.h"

namespace certcast::controller {
namespace {

using testing::CommandKind;
using testing::Fault;
using testing::IsOk;

TEST(ReissueTest, ARolloutThatPausesAgainGivesWayWithinTheSameCall) {
  AcmeWorld world;
  std::atomic<int> installs = 0;
  world.transport.SetOnCommand([&](const std::string& node, const v1::Command& command) {
    if (testing::KindOf(command) != CommandKind::kInstall || ++installs > 2) return;
    world.transport.Node(node).Inject(CommandKind::kInstall,
                                      Fault::Result(v1::Outcome::REVERTED, Reason::PROBE_INCONCLUSIVE));
  });
  const auto paused = world.Apply();
  ASSERT_THAT(paused, IsOk());
  ASSERT_EQ(paused->rollouts(0).state(), v1::Rollout::PAUSED);

  const auto applied = world.Apply(/*force_renewal=*/true);

  ASSERT_THAT(applied, IsOk());
  EXPECT_EQ(installs, 5);
  ASSERT_EQ(applied->rollouts_size(), 1);
  EXPECT_EQ(applied->rollouts(0).generation(), 2u);
  EXPECT_EQ(applied->rollouts(0).state(), v1::Rollout::COMPLETED);
  EXPECT_EQ(world.Status().converged(), 3);
  v1::GetRolloutRequest request;
  request.set_id(paused->rollouts(0).id());
  EXPECT_TRUE(world.controller->GetRollout(request)->rollout().has_finished_at());
  // So that nothing of it is in the way.
  v1::ChangeRolloutRequest undo;
  undo.set_action(v1::ChangeRolloutRequest::UNDO);
  EXPECT_THAT(world.controller->ChangeRollout(undo, world.OnProgressHere(), world.stop), IsOk());
}

}  // namespace
}  // namespace certcast::controller
