// TaskManagers die or vanish, alone or with the leader: their tasks run again elsewhere, never
// while the first attempt may live.

#include "tests/simulation/simulation_test.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Restarts = Recorder::Restarts;

// Subtasks on both workers: each takes eight, the policy fills the first one first.
SimulatedJob SpreadJob(Scenario& s, Duration runs_for) { return s.SubmitRunning(runs_for, 12); }

TEST(WorkerLossSimulation, TasksOfADeadTaskManagerRunElsewhereAfterTheGrace) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(1), 8);                    // keeps one worker busy meanwhile
    const auto job = s.SubmitRunning(seconds(30), 4);  // no restart strategy: a loss costs nothing
    s.recorder().Set(Restarts::kAllowed);
    s.cluster.Advance(seconds(2) + s.cluster.Draw(seconds(3)));
    const size_t lost = s.recorder().RunningOn("t1");
    ASSERT_EQ(lost, 4u);
    s.cluster.KillWorker(1);
    const size_t before = s.recorder().total_starts();
    s.cluster.Advance(milliseconds(900));
    EXPECT_EQ(s.recorder().total_starts(), before) << "redeployed within the grace";
    EXPECT_TRUE(s.cluster.RunUntil([&] { return s.recorder().total_starts() == before + lost; },
                                   seconds(3)))
        << s.recorder().total_starts();
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FINISHED");
    s.cluster.StartWorker(1);
    EXPECT_TRUE(s.cluster.RunUntil([&] { return s.cluster.WorkerServes(1); }, seconds(5)));
    SpreadJob(s, seconds(1));
    EXPECT_GT(s.recorder().RunningOn("t1"), 0u);
    s.cluster.ExpectAllEnd();
  });
}

TEST(WorkerLossSimulation, TaskManagerThatRestartsAtOnceRunsItsTasksAgain) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    SpreadJob(s, seconds(5));
    s.recorder().Set(Restarts::kAllowed);
    for (int round = 0; round < 4; ++round) {
      s.cluster.Advance(s.cluster.Draw(seconds(2)));
      s.cluster.KillWorker(0);
      s.cluster.Advance(s.cluster.Draw(milliseconds(500)));
      s.cluster.StartWorker(0);
    }
    s.cluster.ExpectAllEnd();
  });
}

TEST(WorkerLossSimulation, TasksOfACutOffTaskManagerRunAgainOnlyAfterItsLease) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    const auto job = SpreadJob(s, seconds(60));
    s.recorder().Set(Restarts::kAllowed);
    s.cluster.Advance(s.cluster.Draw(seconds(5)));
    const size_t lost = s.recorder().RunningOn("t0");
    const size_t before = s.recorder().total_starts();
    ASSERT_GT(lost, 0u);
    s.cluster.CutWorker(0);
    s.cluster.Advance(SimulatedCluster::kLease - seconds(2));
    EXPECT_EQ(s.recorder().RunningOn("t0"), lost) << "its lease was still running";
    s.cluster.Advance(seconds(2) + milliseconds(1));
    EXPECT_EQ(s.recorder().RunningOn("t0"), 0u) << "its lease is over";
    EXPECT_EQ(s.recorder().total_starts(), before);
    EXPECT_TRUE(
        s.cluster.RunUntil([&] { return s.recorder().total_starts() > before; }, seconds(5)));
    EXPECT_GE(s.recorder().last_start() - s.recorder().last_end(), milliseconds(900));
    s.cluster.Advance(s.cluster.Draw(seconds(10)));
    s.cluster.HealWorker(0);
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FINISHED");
    EXPECT_TRUE(s.cluster.RunUntil([&] { return s.cluster.WorkerServes(0); }, seconds(30)));
  });
}

TEST(WorkerLossSimulation, TaskManagerThatComesBackWithinItsLeaseKeepsItsTasks) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    SpreadJob(s, seconds(40));
    s.cluster.Advance(s.cluster.Draw(seconds(5)));
    s.cluster.CutWorker(0);
    s.cluster.Advance(s.cluster.Draw(SimulatedCluster::kLease - seconds(3)));
    s.cluster.HealWorker(0);
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 12u);
  });
}

// The leader aborted: it moved a subtask that waited for its next attempt once more to FAILED.
TEST(WorkerLossSimulation, ReportOfAnAttemptGivenUpBeforeCountsNothing) {
  ForEachSeed(10, [](Scenario& s, uint64_t) {
    const auto job = s.SubmitRunning(seconds(60), 16);  // nowhere is a slot free
    s.recorder().Set(Restarts::kAllowed);
    s.cluster.CutWorker(0);
    s.cluster.Advance(SimulatedCluster::kLease + seconds(3));
    EXPECT_EQ(s.recorder().running(), 8u);
    s.cluster.HealWorker(0);  // it reports what the lease ended
    EXPECT_TRUE(s.cluster.RunUntil([&] { return s.recorder().running() == 16; }, seconds(20)));
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FINISHED");
    EXPECT_EQ(s.recorder().total_starts(), 24u);
  });
}

TEST(WorkerLossSimulation, LeaderAndTaskManagerLostAtOnce) {
  ForEachSeed(40, [](Scenario& s, uint64_t seed) {
    SpreadJob(s, seconds(10));
    for (int i = 0; i < 5; ++i) s.SubmitSingle(seconds(2));
    s.recorder().Set(Restarts::kAllowed);
    s.cluster.Advance(s.cluster.Draw(seconds(2)));
    const size_t leader = s.cluster.AwaitLeader();
    const size_t worker = s.cluster.DrawIndex(2);
    s.cluster.KillReplica(leader);
    if (seed % 2 == 0) {
      s.cluster.KillWorker(worker);
    } else {
      s.cluster.CutWorker(worker);
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    s.cluster.HealWorker(worker);
    if (seed % 2 == 0) s.cluster.StartWorker(worker);
    s.cluster.StartReplica(leader);
    s.cluster.AwaitReady();
    SpreadJob(s, seconds(1));
    s.cluster.ExpectAllEnd();
  });
}

TEST(WorkerLossSimulation, GuardiansThatDieUnderLoadCostTheirTasksOneAttempt) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    SpreadJob(s, seconds(4));
    s.recorder().Set(Restarts::kAllowed);
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 8; ++i) s.SubmitSingle(s.cluster.Draw(milliseconds(50)));
      s.cluster.Advance(s.cluster.Draw(milliseconds(20)));
      s.cluster.LoseGuardian(s.cluster.DrawIndex(2));
      s.cluster.Advance(s.cluster.Draw(milliseconds(500)));
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
  });
}

// A drain that was ordered of a leader that dies: whoever leads at the deadline moves what is left.
TEST(WorkerLossSimulation, ADrainOutlivesItsLeaderAndCostsNothing) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    const auto job = s.SubmitRunning(seconds(30), 12);  // no restart strategy
    s.recorder().Set(Restarts::kAllowed);
    const size_t moved = s.recorder().RunningOn("t0");
    ASSERT_GT(moved, 0u);
    const auto answer =
        s.client->Ask(s.cluster.DrawIndex(3), "POST", "/v1/taskmanagers/t0/drain?deadline=3s");
    ASSERT_TRUE(answer && answer->status == 202) << (answer ? answer->body : "no answer");
    s.cluster.Advance(s.cluster.Draw(seconds(4)));
    const size_t killed = s.cluster.AwaitLeader();
    s.cluster.KillReplica(killed);
    EXPECT_TRUE(s.cluster.RunUntil([&] { return s.recorder().RunningOn("t0") == 0; }, seconds(15)));
    s.SubmitSingle(seconds(1), 2);
    s.cluster.Advance(seconds(5));
    EXPECT_EQ(s.recorder().RunningOn("t0"), 0u) << "it drains still";
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FINISHED");
    EXPECT_EQ(s.recorder().StartsOf(job.id), 12 + moved);
    const auto over = s.client->Ask(s.cluster.AwaitLeader(), "DELETE", "/v1/taskmanagers/t0/drain");
    ASSERT_TRUE(over && over->status == 202) << (over ? over->body : "no answer");
    s.ExpectAllSlotsFree(16);
  });
}

// The host of a TaskManager is lost without a word: its lease would be waited for, but an operator
// knows.
TEST(WorkerLossSimulation, AForgottenHostIsNotWaitedFor) {
  const auto forget = [](Scenario& s, uint64_t seed) {
    const auto job = s.SubmitRunning(seconds(20), 12);
    s.recorder().Set(Restarts::kAllowed);
    const size_t lost = s.recorder().RunningOn("t1");
    s.cluster.LoseWorkerHost(1);
    if (seed % 2 == 0) s.cluster.KillReplica(s.cluster.AwaitLeader());  // the next one awaits it
    s.cluster.Advance(seconds(6));
    const size_t before = s.recorder().StartsOf(job.id);
    EXPECT_EQ(before, 12u);
    const auto answer =
        s.client->Ask(s.cluster.AwaitLeader(), "POST", "/v1/taskmanagers/t1/forget");
    ASSERT_TRUE(answer && answer->status == 202) << (answer ? answer->body : "no answer");
    EXPECT_TRUE(
        s.cluster.RunUntil([&] { return s.recorder().StartsOf(job.id) == 12 + lost; }, seconds(1)));
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FINISHED");
  };
  ForEachSeed(30, forget, SimulatedCluster::Shape{.replicas = 3, .workers = 3, .slots = 8});
}

using Cut = EmbeddedCoordinationServer::Cut;

// One fault and its end, drawn from the seed.
void Disaster(SimulatedCluster& c) {
  const size_t replica = c.DrawIndex(3), worker = c.DrawIndex(2);
  const std::string r = c.ReplicaName(replica), w = c.WorkerName(worker);
  const auto between = [&](Duration most, const std::function<void()>& begin,
                           const std::function<void()>& end) {
    begin();
    c.Advance(c.Draw(most));
    end();
  };
  switch (c.DrawIndex(11)) {
    case 0:
      return between(
          seconds(6), [&] { c.KillReplica(replica); }, [&] { c.StartReplica(replica); });
    case 1:
      return between(
          seconds(6), [&] { c.KillWorker(worker); }, [&] { c.StartWorker(worker); });
    case 2:
      return between(
          seconds(40), [&] { c.CutWorker(worker); }, [&] { c.HealWorker(worker); });
    case 3:
      return between(
          seconds(20), [&] { c.PauseReplica(replica); }, [&] { c.ResumeReplica(replica); });
    case 4:
      return c.ExpireSession(replica);
    case 5:
      return c.LoseGuardian(worker);
    case 6:
      return between(
          seconds(40), [&] { c.network().Cut(w, r); }, [&] { c.network().Heal(w, r); });
    case 7:
      return c.network().Reset(w, r);
    case 8: {
      const Cut cut = c.DrawIndex(2) == 0 ? Cut::kReset : Cut::kSilent;
      return between(
          seconds(20), [&] { c.DisconnectFromCoordination(replica, cut); },
          [&] { c.ReconnectToCoordination(replica); });
    }
    case 9:
      return between(
          seconds(20), [&] { c.PauseCoordination(); }, [&] { c.ResumeCoordination(); });
    default: {
      const std::string other = c.ReplicaName((replica + 1) % 3);
      return between(
          seconds(10), [&] { c.network().Cut(r, other); }, [&] { c.network().Heal(r, other); });
    }
  }
}

TEST(WorkerLossSimulation, DisastersInAnyOrder) {
  ForEachSeed(100, [](Scenario& s, uint64_t) {
    s.recorder().Set(Restarts::kAllowed);
    for (int round = 0; round < 15; ++round) {
      for (uint32_t i = 1; i <= 4; ++i) s.SubmitSingle(s.cluster.Draw(seconds(8)), i);
      s.client->Submit(SimulatedJob::Diamond(s.cluster.random(), milliseconds(200)), 0);
      s.cluster.Advance(s.cluster.Draw(seconds(4)));
      Disaster(s.cluster);
    }
    ASSERT_TRUE(s.client->AwaitAnswers(seconds(300))) << s.client->waiting();
    EXPECT_EQ(s.recorder().acknowledged().size(), 75u);
    s.cluster.ExpectAllEnd();
    s.cluster.AwaitReady();  // everything has healed
    s.ExpectAllSlotsFree(16);
  });
}

}  // namespace
}  // namespace baton
