// A leader that goes of its own will.

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "tests/ha/election_fixture.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using Server = EmbeddedCoordinationServer;
using Code = absl::StatusCode;

TEST_P(ElectionTest, HandOverDrainsAndAnotherLeadsWithinMilliseconds) {
  TestReplica& old = StartThree();
  cluster_.Put("/d", "");
  std::optional<absl::Status> accepted;
  old.last_fence->Commit({CoordinationOp::Create("/d/a", "")},
                         [&](absl::Status status) { accepted = std::move(status); });
  const TimePoint before = cluster_.scheduler.Now();
  EXPECT_EQ(HandOver(old), absl::OkStatus());
  EXPECT_EQ(accepted, absl::OkStatus()) << "not drained";
  ASSERT_EQ(old.revocations.size(), 1u);
  EXPECT_TRUE(old.revocations[0].ok());
  TestReplica* next = cluster_.AwaitLeader(1s);
  ASSERT_NE(next, nullptr);
  EXPECT_NE(next, &old);
  EXPECT_LT(cluster_.scheduler.Now() - before, 200ms);
  EXPECT_EQ(next->epoch(), 2u);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "hand-over");
  EXPECT_EQ(cluster_.Commit(old.last_fence, "/d/late").code(), Code::kAborted);
}

TEST_P(ElectionTest, HandOverIsRefusedWithoutASuccessorOrLeadership) {
  cluster_.MakeMembers({"a", "b"});
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.AwaitLeader(1s);
  TestReplica& stranger = cluster_.AddAndStart("stranger");
  cluster_.Advance(100ms);
  EXPECT_EQ(HandOver(a)->code(), Code::kFailedPrecondition);
  EXPECT_EQ(HandOver(stranger)->code(), Code::kFailedPrecondition);
  EXPECT_TRUE(a.leads());
}

TEST_P(ElectionTest, HandOverWhoseAnswerIsLostStillEndsInOneLeader) {
  for (auto lost : {Server::LostAnswer::kApplied, Server::LostAnswer::kNotApplied}) {
    ElectionCluster cluster(GetParam());
    cluster.MakeMembers({"a", "b"});
    cluster.AddAndStart("a");
    cluster.AddAndStart("b");
    TestReplica& old = *cluster.AwaitLeader(1s);
    cluster.Advance(100ms);
    std::optional<absl::Status> result;
    cluster.server->DropNextAnswer(old.client, lost);
    old.Run(
        [&] { old.election->HandOver([&](absl::Status status) { result = std::move(status); }); });
    ASSERT_TRUE(cluster.RunUntil([&] { return result.has_value(); }));
    EXPECT_TRUE(result->ok());
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.log.grants.size() == 2; }));
    cluster.Advance(5s);
    EXPECT_EQ(cluster.log.grants.size(), 2u);
    EXPECT_NE(cluster.Leader(), &old);
  }
}

TEST_P(ElectionTest, StopHandsOverAndLeaves) {
  TestReplica& old = StartThree();
  bool stopped = false;
  old.Run([&] { old.election->Stop([&] { stopped = true; }); });
  ASSERT_TRUE(cluster_.RunUntil([&] { return stopped; }, 1s));
  EXPECT_FALSE(old.leads());
  TestReplica* next = cluster_.AwaitLeader(1s);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "hand-over");
  cluster_.Advance(1s);
  EXPECT_EQ(next->view().replicas.size(), 2u);
}

TEST_P(ElectionTest, StopEndsEvenWithoutTheService) {
  TestReplica& old = StartThree();
  cluster_.server->Disconnect(old.client, Server::Cut::kSilent);
  cluster_.Advance(100ms);
  bool stopped = false;
  old.Run([&] { old.election->Stop([&] { stopped = true; }); });
  EXPECT_TRUE(cluster_.RunUntil([&] { return stopped; }, 6s));
  EXPECT_FALSE(old.leads());
}

}  // namespace
}  // namespace baton
