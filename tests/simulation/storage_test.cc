// Disks: lost, full, broken, behind. The jobs of the cluster survive them.

#include "tests/simulation/simulation_test.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(StorageSimulation, F29ALostDiskIsRefilledAndThenTheOthersMayGo) {
  ForEachSeed(15, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(200), 4);
    s.SubmitRunning(seconds(200), 2);
    ASSERT_TRUE(s.client->AwaitAnswers());
    const size_t lost = s.cluster.DrawIndex(3);
    s.cluster.KillReplica(lost);
    s.cluster.DiskOf(lost).Erase();
    s.cluster.Advance(s.cluster.Draw(seconds(5)));
    s.cluster.StartReplica(lost);
    ASSERT_TRUE(s.cluster.RunUntil([&] { return s.cluster.DiskOf(lost).Count("job-graph") == 2; },
                                   seconds(60)))
        << "it does not refill itself";
    for (size_t i = 0; i < 3; ++i) {
      if (i == lost) continue;
      s.cluster.KillReplica(i);
      s.cluster.Advance(s.cluster.Draw(seconds(2)));
    }
    EXPECT_EQ(s.cluster.AwaitLeader(), lost);
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 6u);
  });
}

// The copies are made, the service is away before the commit, and a disk is lost: the commit goes
// through with one copy when the service is back. The job has been promised, and its graph is
// copied again.
TEST(StorageSimulation, F29ADiskIsLostBetweenTheCopiesAndTheCommit) {
  ForEachSeed(15, [](Scenario& s, uint64_t) {
    const size_t leader = s.cluster.AwaitLeader();
    const size_t lost = (leader + 1 + s.cluster.DrawIndex(2)) % 3, other = 3 - leader - lost;
    s.cluster.KillReplica(other);
    s.cluster.Advance(milliseconds(10));
    const SimulatedJob job = SimulatedJob::Single(s.cluster.random(), seconds(200), 2);
    s.client->Submit(job, leader);
    ASSERT_TRUE(s.cluster.RunUntil([&] { return s.cluster.CountGraphs() == 2; }));
    s.cluster.PauseCoordination();
    s.cluster.Advance(s.cluster.Draw(seconds(3)));
    ASSERT_FALSE(s.recorder().tree().Knows(job.id)) << "it is committed already";
    s.cluster.KillReplica(lost);
    s.cluster.DiskOf(lost).Erase();
    s.cluster.ResumeCoordination();
    ASSERT_TRUE(s.cluster.RunUntil([&] { return s.recorder().tree().Knows(job.id); }));
    EXPECT_EQ(s.recorder().tree().FewestCopies(), 1u);
    EXPECT_FALSE(s.recorder().tree().MayLoseADisk());
    s.cluster.StartReplica(lost);
    s.cluster.StartReplica(other);
    ASSERT_TRUE(s.client->AwaitAnswers());
    ASSERT_TRUE(s.cluster.RunUntil([&] { return s.recorder().tree().FewestCopies() == 3; }))
        << "it is not copied again";
    s.cluster.KillReplica(leader);
    s.cluster.DiskOf(leader).Erase();
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 2u);
  });
}

TEST(StorageSimulation, F28AStandbyWithAnEmptyStoreIsElectedAndPullsWhatItNeeds) {
  ForEachSeed(15, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 4);
    const size_t leader = s.cluster.AwaitLeader();
    for (size_t i = 0; i < 3; ++i) {
      if (i == leader) continue;
      s.cluster.KillReplica(i);
      s.cluster.DiskOf(i).Erase();
      s.cluster.StartReplica(i);
    }
    // At any time, also before the refill; the old leader comes back with the only copy.
    s.cluster.Advance(seconds(2) + s.cluster.Draw(seconds(3)));
    s.cluster.KillReplica(leader);
    s.cluster.Advance(s.cluster.Draw(seconds(4)));
    s.cluster.StartReplica(leader);
    s.cluster.ExplainErrors("job is in quarantine");
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 4u);
  });
}

TEST(StorageSimulation, F25AFullDiskRefusesNewWorkAndGoesOn) {
  ForEachSeed(10, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(20), 4);
    const size_t leader = s.cluster.AwaitLeader();
    s.cluster.DiskOf(leader).SetFull(true);
    const auto job = SimulatedJob::Single(s.cluster.random(), milliseconds(100));
    const auto answer = s.client->Ask(leader, "PUT", "/v1/jobs/" + job.id.ToString(), job.Json());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 503) << answer->body;
    EXPECT_NE(answer->body.find("disk is full"), std::string::npos) << answer->body;
    s.cluster.ExpectAllEnd();  // also without room for its archive
    EXPECT_EQ(s.cluster.AwaitLeader(), leader);
    s.cluster.DiskOf(leader).SetFull(false);
    s.SubmitSingle(milliseconds(100));
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.cluster.AwaitLeader(), leader) << "a full disk is no reason to hand over";
  });
}

TEST(StorageSimulation, F25ALeaderWhoseDiskFailsHandsOver) {
  ForEachSeed(10, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(30), 4);
    const size_t leader = s.cluster.AwaitLeader();
    s.cluster.ExplainErrors("store fails");
    s.cluster.ExplainErrors("journal");
    s.cluster.DiskOf(leader).SetBroken(true);
    s.SubmitSingle(milliseconds(100));
    ASSERT_TRUE(s.client->AwaitAnswers());
    ASSERT_TRUE(s.cluster.RunUntil([&] {
      const size_t now = s.cluster.Leader();
      return now != SimulatedCluster::kNobody && now != leader;
    }));
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 5u);
  });
}

}  // namespace
}  // namespace baton
