// A leader that loses sight of the coordination service (3.5): it waits, and goes on where it was.

#include <gtest/gtest.h>

#include <optional>

#include "tests/ha/election_cluster.h"

namespace baton {
namespace {

using namespace std::chrono_literals;

class PausedLeaderTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  PausedLeaderTest() : cluster_(GetParam()) {
    cluster_.MakeMembers({"a"});
    cluster_.Put("/d", "");
    leader_ = &cluster_.AddAndStart("a");
    cluster_.AwaitLeader(1s);
    cluster_.Advance(100ms);
  }

  void Commit(const std::string& path) {
    leader_->fence->Commit({CoordinationOp::Create(path, "")},
                           [this](absl::Status status) { answer_ = std::move(status); });
  }

  ElectionCluster cluster_;
  TestReplica* leader_ = nullptr;
  std::optional<absl::Status> answer_;
};

TEST_P(PausedLeaderTest, NothingIsTriedUntilTheTreeWasReadAgain) {
  cluster_.server->Disconnect(leader_->client);
  cluster_.Advance(10ms);
  Commit("/d/later");
  const size_t tried = leader_->spy->multi_sizes.size();
  cluster_.Advance(4s);
  EXPECT_EQ(leader_->spy->multi_sizes.size(), tried) << "a paused leader wrote";
  EXPECT_FALSE(answer_.has_value());
  cluster_.server->Reconnect(leader_->client);
  cluster_.RunUntil([&] { return answer_.has_value(); }, 2s);
  ASSERT_TRUE(answer_.has_value());
  EXPECT_TRUE(answer_->ok()) << *answer_;
}

TEST_P(PausedLeaderTest, ItAnswersAsTheLeaderForThreeSecondsAndLeadsForNoLease) {
  const auto leads = [&] {
    bool answer = true;
    leader_->Run([&] { answer = leader_->election->AnswerLeaseQuery(TaskManagerId("t")).leads(); });
    cluster_.Advance(1ms);
    return answer;
  };
  EXPECT_TRUE(leads());
  cluster_.server->Disconnect(leader_->client);
  cluster_.Advance(10ms);
  EXPECT_TRUE(leader_->view().self_leads);
  EXPECT_FALSE(leads());
  cluster_.Advance(3s);
  EXPECT_FALSE(leader_->view().self_leads);
  EXPECT_TRUE(leader_->leads()) << "the epoch is not over";
}

TEST_P(PausedLeaderTest, ItIsBackAtOnceWhenTheConnectionIs) {
  cluster_.server->Disconnect(leader_->client);
  cluster_.Advance(5s);
  ASSERT_FALSE(leader_->view().self_leads);
  cluster_.server->Reconnect(leader_->client);
  ASSERT_TRUE(cluster_.RunUntil([&] { return leader_->view().connected; }, 2s));
  EXPECT_TRUE(cluster_.RunUntil([&] { return leader_->view().self_leads; }, 20ms))
      << "confirmed by the tick only";
  EXPECT_EQ(leader_->epoch(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, PausedLeaderTest, ::testing::Range<uint64_t>(1, 11));

}  // namespace
}  // namespace baton
