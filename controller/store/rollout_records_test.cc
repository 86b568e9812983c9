#include "controller/store/rollout_records.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/memory_store.h"
#include "tests/testing/status_matchers.h"

namespace certcast::controller {
namespace {

using ::certcast::testing::HasCode;
using ::certcast::testing::HasReason;
using ::certcast::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

using state::v1::Rollout;
using Node = Rollout::Node;

constexpr int64_t kStart = 1893456000;

Rollout MakeRollout(const std::string& certificate, uint64_t generation, int64_t seconds,
                    const std::vector<std::string>& nodes = {"web-01"}) {
  Rollout rollout;
  rollout.set_certificate(certificate);
  rollout.set_generation(generation);
  rollout.set_state(v1::Rollout::RUNNING);
  rollout.mutable_started_at()->set_seconds(seconds);
  for (const std::string& name : nodes) rollout.add_nodes()->mutable_result()->set_name(name);
  return rollout;
}

std::vector<std::string> NamesOf(const Rollout& rollout) {
  std::vector<std::string> names;
  for (const Node& node : rollout.nodes()) names.push_back(node.result().name());
  return names;
}

std::vector<std::string> IdsOf(const std::vector<Rollout>& rollouts) {
  std::vector<std::string> ids;
  ids.reserve(rollouts.size());
  for (const Rollout& rollout : rollouts) ids.push_back(rollout.id());
  return ids;
}

Node Done(const std::string& name) {
  Node node;
  node.set_step(Node::DONE);
  node.mutable_result()->set_name(name);
  return node;
}

class RolloutRecordsTest : public ::testing::Test {
 protected:
  std::string Create(const Rollout& rollout) {
    const auto id = records_.Create(rollout, 0);
    EXPECT_THAT(id, IsOk());
    return id.value_or("");
  }
  void Finish(const std::string& id) {
    Rollout head = **records_.Get(id);
    head.mutable_finished_at()->set_seconds(kStart + 1000);
    ASSERT_THAT(records_.PutHead(head, 0), IsOk());
  }

  certcast::testing::MemoryStore store_;
  RolloutRecords records_{store_};
};

TEST_F(RolloutRecordsTest, GivesBackWhatWasCreatedInItsOrder) {
  const std::string id = Create(MakeRollout("wildcard", 7, kStart, {"web-03", "web-01", "web-02"}));
  const auto rollout = **records_.Get(id);
  EXPECT_EQ(rollout.id(), id);
  EXPECT_EQ(rollout.certificate(), "wildcard");
  EXPECT_EQ(rollout.generation(), 7u);
  EXPECT_EQ(rollout.state(), v1::Rollout::RUNNING);
  EXPECT_THAT(NamesOf(rollout), ElementsAre("web-03", "web-01", "web-02"));
  EXPECT_EQ(*records_.Get("wildcard-7-000000"), std::nullopt);
}

TEST_F(RolloutRecordsTest, IdsNameCertificateAndGenerationAndSortByStart) {
  std::vector<std::string> parts;
  for (const int64_t seconds :
       {int64_t{0}, int64_t{1764000000}, kStart, kStart + 1, kStart + 1296, kStart + 400'000'000}) {
    const std::string id = Create(MakeRollout("wildcard", 7, seconds));
    EXPECT_THAT(id, MatchesRegex("wildcard-7-[0-9a-z][0-9a-z][0-9a-z][0-9a-z][0-9a-z][0-9a-z]"));
    parts.push_back(id);
  }
  EXPECT_TRUE(std::is_sorted(parts.begin(), parts.end()));
}

TEST_F(RolloutRecordsTest, TwoInOneSecondHaveTwoIds) {
  std::vector<std::string> ids;
  ids.reserve(10);
  for (int i = 0; i < 10; ++i) ids.push_back(Create(MakeRollout("wildcard", 7, kStart)));
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end()), ids.end());
}

TEST_F(RolloutRecordsTest, OneNodesStepIsOneSmallWriteInALargeRollout) {
  std::vector<std::string> names;
  names.reserve(10'000);
  for (int i = 0; i < 10'000; ++i) names.push_back(absl::StrFormat("node-%05d", i));
  const std::string id = Create(MakeRollout("wildcard", 7, kStart, names));
  EXPECT_EQ(store_.commits(), 1);
  const int64_t head_revision = store_.Get("rollouts/" + id)->revision;
  const int64_t other_revision = store_.Get(absl::StrCat("rollout-nodes/", id, "/node-00000"))->revision;

  ASSERT_THAT(records_.PutNodes(id, {Done("node-05000")}, 0), IsOk());
  EXPECT_EQ(store_.commits(), 2);
  EXPECT_EQ(store_.Get("rollouts/" + id)->revision, head_revision);
  EXPECT_EQ(store_.Get(absl::StrCat("rollout-nodes/", id, "/node-00000"))->revision, other_revision);
  EXPECT_LT(store_.Get("rollouts/" + id)->value.size(), 200u) << "the head holds no nodes";

  const auto rollout = **records_.Get(id);
  EXPECT_THAT(NamesOf(rollout), ::testing::ElementsAreArray(names));
  EXPECT_EQ(rollout.nodes(5000).step(), Node::DONE);
  EXPECT_EQ(rollout.nodes(5001).step(), Node::PENDING);
}

TEST_F(RolloutRecordsTest, HeadAndNodesChangeTogether) {
  const std::string id = Create(MakeRollout("wildcard", 7, kStart, {"web-01", "web-02"}));
  Rollout head = **records_.Get(id);
  head.set_state(v1::Rollout::HALTED);
  head.set_halted_because("web-01");
  const int commits = store_.commits();
  ASSERT_THAT(records_.PutHeadAndNodes(head, {Done("web-01"), Done("web-02")}, 0), IsOk());
  EXPECT_EQ(store_.commits(), commits + 1);
  const auto rollout = **records_.Get(id);
  EXPECT_EQ(rollout.halted_because(), "web-01");
  EXPECT_EQ(rollout.nodes(0).step(), Node::DONE);
  EXPECT_EQ(rollout.nodes(1).step(), Node::DONE);
  EXPECT_THAT(NamesOf(rollout), ElementsAre("web-01", "web-02"));
}

TEST_F(RolloutRecordsTest, PuttingTheHeadLeavesTheNodesAlone) {
  const std::string id = Create(MakeRollout("wildcard", 7, kStart, {"web-01"}));
  ASSERT_THAT(records_.PutNodes(id, {Done("web-01")}, 0), IsOk());
  Rollout head = MakeRollout("wildcard", 7, kStart, {"web-01"});  // with the old node in it
  head.set_id(id);
  head.set_wave(2);
  ASSERT_THAT(records_.PutHead(head, 0), IsOk());
  const auto rollout = **records_.Get(id);
  EXPECT_EQ(rollout.wave(), 2);
  EXPECT_EQ(rollout.nodes(0).step(), Node::DONE);
}

TEST_F(RolloutRecordsTest, OnlyWhatIsThereCanBeReplaced) {
  const std::string id = Create(MakeRollout("wildcard", 7, kStart));
  EXPECT_THAT(records_.PutNodes(id, {Done("web-01"), Done("web-99")}, 0), HasCode(absl::StatusCode::kNotFound));
  EXPECT_EQ((*records_.Get(id))->nodes(0).step(), Node::PENDING);
  Rollout head = MakeRollout("wildcard", 8, kStart);
  head.set_id("wildcard-8-000000");
  EXPECT_THAT(records_.PutHead(head, 0), HasCode(absl::StatusCode::kNotFound));
}

TEST_F(RolloutRecordsTest, RefusesARolloutThatIsNone) {
  Rollout without_start = MakeRollout("wildcard", 7, kStart);
  without_start.clear_started_at();
  const Rollout all[] = {MakeRollout("", 7, kStart),
                         MakeRollout("a/b", 7, kStart),
                         MakeRollout("wildcard", 0, kStart),
                         MakeRollout("wildcard", 7, kStart, {"web-01", "web-01"}),
                         MakeRollout("wildcard", 7, kStart, {""}),
                         MakeRollout(std::string(199, 'a'), 7, kStart),
                         without_start};
  for (const Rollout& rollout : all) {
    EXPECT_THAT(records_.Create(rollout, 0), HasCode(absl::StatusCode::kInvalidArgument)) << rollout.ShortDebugString();
  }
  EXPECT_EQ(store_.commits(), 0);
}

TEST_F(RolloutRecordsTest, ListsTheNewestFirstWithoutNodes) {
  const std::string first = Create(MakeRollout("wildcard", 9, kStart));
  const std::string second = Create(MakeRollout("wildcard", 10, kStart + 5));
  const std::string other = Create(MakeRollout("wildcard-7", 1, kStart + 3));
  EXPECT_THAT(IdsOf(*records_.List("wildcard")), ElementsAre(second, first));
  EXPECT_THAT(IdsOf(*records_.List("wildcard-7")), ElementsAre(other));
  EXPECT_THAT(IdsOf(*records_.List("")), ElementsAre(second, other, first));
  EXPECT_THAT(IdsOf(*records_.List("wild")), IsEmpty());
  const std::vector<Rollout> heads = *records_.List("");
  for (const Rollout& head : heads) EXPECT_THAT(head.nodes(), IsEmpty());
}

TEST_F(RolloutRecordsTest, UnfinishedOnesAreThoseWithoutAnEnd) {
  const std::string first = Create(MakeRollout("wildcard", 7, kStart));
  const std::string second = Create(MakeRollout("ev", 1, kStart + 1));
  EXPECT_THAT(IdsOf(*records_.Unfinished()), ElementsAre(second, first));
  Finish(second);
  EXPECT_THAT(IdsOf(*records_.Unfinished()), ElementsAre(first));
}

TEST_F(RolloutRecordsTest, DropsTheOldestFinishedOnesOfTheCertificate) {
  const std::string unfinished = Create(MakeRollout("wildcard", 1, kStart));
  const std::string other = Create(MakeRollout("ev", 1, kStart));
  Finish(other);
  std::vector<std::string> ids;
  for (size_t i = 0; i < RolloutRecords::kKeptFinished + 2; ++i) {
    ids.push_back(Create(MakeRollout("wildcard", 2, kStart + 10 + static_cast<int64_t>(i), {"web-01", "web-02"})));
    Finish(ids.back());
  }
  const std::string last = Create(MakeRollout("wildcard", 3, kStart + 1000));
  EXPECT_EQ(*records_.Get(ids[0]), std::nullopt);
  EXPECT_EQ(*records_.Get(ids[1]), std::nullopt);
  EXPECT_THAT(*store_.List(absl::StrCat("rollout-nodes/", ids[0], "/")), IsEmpty());
  for (size_t i = 2; i < ids.size(); ++i) EXPECT_TRUE(records_.Get(ids[i])->has_value()) << i;
  for (const std::string& id : {unfinished, other, last}) EXPECT_TRUE(records_.Get(id)->has_value()) << id;
}

TEST_F(RolloutRecordsTest, NobodyWritesUnderALostLease) {
  const std::string id = Create(MakeRollout("wildcard", 7, kStart));
  const uint64_t lost = (*store_.TakeLease("certcast apply"))->epoch();
  ASSERT_THAT(store_.TakeLease("certcast serve"), IsOk());
  EXPECT_THAT(records_.Create(MakeRollout("wildcard", 8, kStart), lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(records_.PutHead(**records_.Get(id), lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(records_.PutNodes(id, {Done("web-01")}, lost), HasReason(Reason::STALE_EPOCH));
  EXPECT_THAT(IdsOf(*records_.List("")), ElementsAre(id));
}

}  // namespace
}  // namespace certcast::controller
