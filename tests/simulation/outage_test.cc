// The coordination service is away: tasks go on, submissions wait or are told so, then all is as
// before.

#include "tests/simulation/simulation_test.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(OutageSimulation, CoordinationAwayForHalfAMinuteInterruptsNoTask) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    const auto lasting = s.SubmitRunning(seconds(60), 6);
    const auto ending = s.SubmitRunning(seconds(10), 4);
    s.cluster.Advance(s.cluster.Draw(seconds(2)));
    s.cluster.PauseCoordination();
    s.cluster.Advance(seconds(15));
    EXPECT_EQ(s.recorder().running(), 6u);
    const auto late = s.SubmitSingle(milliseconds(100));
    s.cluster.Advance(seconds(15));
    EXPECT_EQ(s.recorder().running(), 6u) << "a task was interrupted";
    EXPECT_TRUE(s.recorder().acknowledged().count(late.id) == 0) << "it cannot be durable";
    s.cluster.ResumeCoordination();
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(late.id), "FINISHED");
    EXPECT_EQ(s.recorder().total_starts(), 11u);
  });
}

TEST(OutageSimulation, EveryRequestIsAnsweredWhileCoordinationIsAway) {
  ForEachSeed(20, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 2);
    s.cluster.PauseCoordination();
    s.cluster.Advance(s.cluster.Draw(seconds(8)));
    const auto job = SimulatedJob::Single(s.cluster.random(), milliseconds(100));
    s.recorder().Know(job);
    const auto answer = s.client->Ask(s.cluster.DrawIndex(3), "PUT",
                                      "/v1/jobs/" + job.id.ToString(), job.Json(), seconds(45));
    ASSERT_TRUE(answer) << "no answer";
    EXPECT_EQ(answer->status, 503) << answer->body;
    EXPECT_FALSE(answer->Header("Retry-After").empty());
    s.cluster.ResumeCoordination();
    s.client->Submit(job, 0);
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
  });
}

// Two faults at once: what the submission needs when the service is back is one copy elsewhere.
TEST(OutageSimulation, AwayWhileOneStandbyIsDead) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(90), 6);
    const size_t leader = s.cluster.AwaitLeader();
    const uint64_t before = s.recorder().epoch();
    s.cluster.PauseCoordination();
    s.cluster.Advance(s.cluster.Draw(seconds(5)));
    s.cluster.KillReplica((leader + 1) % 3);
    s.cluster.Advance(seconds(30));
    EXPECT_EQ(s.recorder().running(), 6u) << "a task was interrupted";
    s.cluster.ResumeCoordination();
    const auto job = s.SubmitSingle(milliseconds(100));
    ASSERT_TRUE(s.client->AwaitAnswers());
    EXPECT_TRUE(s.cluster.RunUntil([&] { return !s.recorder().OutcomeOf(job.id).empty(); }));
    EXPECT_EQ(s.recorder().epoch(), before) << "its session outlived the outage";
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 7u);
  });
}

// F15: of elections, members, pointers, progress and results alike, whether or not they were
// applied.
TEST(OutageSimulation, LostAnswersLoseNoJobAndRunNoneTwice) {
  ForEachSeed(60, [](Scenario& s, uint64_t) {
    using Lost = EmbeddedCoordinationServer::LostAnswer;
    for (int round = 0; round < 12; ++round) {
      for (int i = 0; i < 5; ++i) s.SubmitSingle(s.cluster.Draw(seconds(2)));
      for (size_t i = 0; i < s.cluster.replicas(); ++i) {
        if (s.cluster.DrawIndex(3) == 0) continue;
        s.cluster.DropNextAnswer(i,
                                 s.cluster.DrawIndex(2) == 0 ? Lost::kApplied : Lost::kNotApplied);
      }
      s.cluster.Advance(s.cluster.Draw(milliseconds(500)));
      // The answer to an election may be the one that is lost.
      if (s.cluster.DrawIndex(4) == 0) s.cluster.ExpireSession(s.cluster.AwaitLeader());
      s.cluster.Advance(s.cluster.Draw(seconds(3)));
    }
    ASSERT_TRUE(s.client->AwaitAnswers()) << s.client->waiting() << " wait";
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 60u);
  });
}

TEST(OutageSimulation, LeaderThatDiesWhileCoordinationIsAwayCostsNoTask) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 6);
    s.cluster.PauseCoordination();
    s.cluster.Advance(s.cluster.Draw(seconds(5)));
    const size_t leader = s.cluster.Leader() == SimulatedCluster::kNobody ? 0 : s.cluster.Leader();
    s.cluster.KillReplica(leader);
    s.cluster.Advance(s.cluster.Draw(seconds(20)));
    s.cluster.StartReplica(leader);
    s.cluster.Advance(s.cluster.Draw(seconds(20)));
    s.cluster.ResumeCoordination();
    s.SubmitSingle(milliseconds(100));
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 7u);
  });
}

}  // namespace
}  // namespace baton
