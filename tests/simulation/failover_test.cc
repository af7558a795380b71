// The leader dies, freezes, loses its session or hands over: nothing acknowledged is lost, nothing
// runs twice, no task is interrupted.

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/simulation_test.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void KillLeader(Scenario& s) {
  const size_t leader = s.cluster.AwaitLeader();
  ASSERT_NE(leader, SimulatedCluster::kNobody);
  s.cluster.KillReplica(leader);
}

TEST(FailoverSimulation, LeaderKilledFiveTimesInAStormOfSubmissions) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 20; ++i) s.SubmitSingle(s.cluster.Draw(seconds(3)));
      s.client->Submit(SimulatedJob::Diamond(s.cluster.random(), s.cluster.Draw(seconds(1))), 0);
      s.cluster.Advance(s.cluster.Draw(milliseconds(20)));
      const size_t leader = s.cluster.AwaitLeader();
      s.cluster.KillReplica(leader);
      s.cluster.Advance(s.cluster.Draw(seconds(15)));
      s.cluster.StartReplica(leader);
      s.cluster.Advance(s.cluster.Draw(seconds(2)));
    }
    ASSERT_TRUE(s.client->AwaitAnswers()) << s.client->waiting() << " wait";
    EXPECT_EQ(s.recorder().acknowledged().size(), 105u);
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 5 * (20 + 12u));
    EXPECT_GE(s.recorder().epoch(), 6u);
  });
}

TEST(FailoverSimulation, NextLeaderIsThereWithinASecond) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.cluster.Advance(s.cluster.Draw(seconds(5)));
    s.SubmitRunning(seconds(60), 8);
    KillLeader(s);
    EXPECT_TRUE(s.cluster.RunUntil([&] { return s.cluster.Leader() != SimulatedCluster::kNobody; },
                                   seconds(1)));
    // Both workers are there: nothing is waited for.
    const auto job = s.SubmitSingle(milliseconds(10));
    EXPECT_TRUE(
        s.cluster.RunUntil([&] { return !s.recorder().OutcomeOf(job.id).empty(); }, seconds(2)));
    s.cluster.ExpectAllEnd();
  });
}

class FaultPointSimulation : public testing::TestWithParam<const char*> {};

TEST_P(FaultPointSimulation, JobRunsExactlyOnce) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(3), 2);
    s.cluster.DieAt(GetParam());
    const auto job = s.SubmitSingle(s.cluster.Draw(seconds(2)), 3);
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_TRUE(s.cluster.RunUntil([&] { return s.cluster.died_at_fault_point(); }));
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FINISHED");
    EXPECT_EQ(s.recorder().StartsOf(job.id), 3u);
    // Known to the next leader, whoever asks.
    const auto again =
        s.client->Ask(s.cluster.AwaitLeader(), "PUT", "/v1/jobs/" + job.id.ToString(), job.Json());
    ASSERT_TRUE(again);
    EXPECT_EQ(again->status, 200) << again->body;
  });
}

std::string NameOf(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  std::ranges::replace_if(
      name, [](char c) { return c == '.' || c == '-'; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Submission, FaultPointSimulation,
                         testing::Values("submission.before-store", "submission.stored-locally",
                                         "submission.replicated", "submission.pointer-committed",
                                         "submission.answered", "deployment.sent"),
                         NameOf);

// A client that asks once, through a standby, while the leader dies: the standby asks the next
// leader, and the answer says whether the dead one had committed the job. Either way it runs once.
TEST(FailoverSimulation, AJobThatADeadLeaderHadCommittedIsKnownToTheNext) {
  for (const auto& [step, status] :
       {std::pair("submission.replicated", 202), std::pair("submission.pointer-committed", 200)}) {
    SCOPED_TRACE(step);
    ForEachSeed(10, [&](Scenario& s, uint64_t) {
      const size_t leader = s.cluster.AwaitLeader();
      const uint64_t before = s.recorder().epoch();
      s.cluster.DieAt(step);
      const auto job = SimulatedJob::Single(s.cluster.random(), s.cluster.Draw(seconds(2)), 3);
      HttpResponse answer;
      s.client->Submit(job, (leader + 1) % s.cluster.replicas(),
                       [&](const HttpResponse& response) { answer = response; });
      ASSERT_TRUE(s.client->AwaitAnswers());
      EXPECT_TRUE(s.cluster.died_at_fault_point());
      EXPECT_EQ(answer.status, status) << answer.body;
      EXPECT_NE(answer.body.find(job.id.ToString()), std::string::npos) << answer.body;
      EXPECT_EQ(answer.Header("X-Baton-Epoch"), std::to_string(before + 1));
      EXPECT_EQ(s.client->statuses(), (std::map<int, size_t>{{status, 1}})) << "it asked once";
      s.cluster.ExpectAllEnd();
      EXPECT_EQ(s.recorder().StartsOf(job.id), 3u);
    });
  }
}

TEST(FailoverSimulation, RunningTasksAreAdoptedAfterEveryReplicaDied) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    const auto lasting = s.SubmitRunning(seconds(40), 6);
    const auto ending = s.SubmitSingle(seconds(3), 4);  // while nobody leads
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.Advance(seconds(1) + s.cluster.Draw(seconds(1)));
    for (size_t i = 0; i < s.cluster.replicas(); ++i) s.cluster.KillReplica(i);
    s.cluster.Advance(s.cluster.Draw(seconds(25)));
    EXPECT_GE(s.recorder().running(), 6u);
    for (size_t i = 0; i < s.cluster.replicas(); ++i) s.cluster.StartReplica(i);
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(lasting.id), "FINISHED");
    EXPECT_EQ(s.recorder().OutcomeOf(ending.id), "FINISHED");
    EXPECT_EQ(s.recorder().total_starts(), 10u);
  });
}

TEST(FailoverSimulation, FrozenLeaderIsReplacedAndItsLaterWritesAreRefused) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 6);
    for (int i = 0; i < 10; ++i) s.SubmitSingle(s.cluster.Draw(seconds(3)));
    s.cluster.Advance(s.cluster.Draw(milliseconds(30)));
    const size_t zombie = s.cluster.AwaitLeader();
    s.cluster.PauseReplica(zombie);
    EXPECT_TRUE(s.cluster.RunUntil(
        [&] {
          return s.cluster.Leader() != SimulatedCluster::kNobody && s.cluster.Leader() != zombie;
        },
        seconds(15)));
    for (int i = 0; i < 10; ++i) s.SubmitSingle(s.cluster.Draw(seconds(3)));
    s.cluster.Advance(s.cluster.Draw(seconds(20)));
    s.cluster.ResumeReplica(zombie);
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 26u);
  });
}

TEST(FailoverSimulation, ExpiredSessionOfTheLeaderRestartsNoTask) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(30), 6);
    for (int i = 0; i < 10; ++i) s.SubmitSingle(s.cluster.Draw(seconds(3)));
    s.cluster.Advance(s.cluster.Draw(milliseconds(30)));
    const uint64_t before = s.recorder().epoch();
    s.cluster.ExpireSession(s.cluster.AwaitLeader());
    ASSERT_TRUE(s.cluster.RunUntil([&] { return s.recorder().epoch() > before; }));
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 16u);
  });
}

TEST(FailoverSimulation, CancelledJobStaysCancelled) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    std::vector<SimulatedJob> jobs;
    for (int i = 0; i < 4; ++i) jobs.push_back(s.SubmitRunning(seconds(300), 2));
    for (const auto& job : jobs) s.client->Cancel(job.id, s.cluster.DrawIndex(3));
    s.cluster.Advance(s.cluster.Draw(milliseconds(10)));
    KillLeader(s);
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd(seconds(60));
    for (const auto& job : jobs) {
      EXPECT_EQ(s.recorder().OutcomeOf(job.id), "CANCELED");
      EXPECT_EQ(s.recorder().StartsOf(job.id), 2u);
    }
    EXPECT_EQ(s.recorder().running(), 0u);
  });
}

TEST(FailoverSimulation, FailingJobKeepsItsCountOfRestarts) {
  ForEachSeed(60, [](Scenario& s, uint64_t) {
    auto job = SimulatedJob::Single(s.cluster.random(), milliseconds(200), 2);
    job.vertices[0].failures = 100;
    job.restart_attempts = 6;
    s.client->Submit(job, 0);
    for (int round = 0; round < 3; ++round) {
      s.cluster.Advance(s.cluster.Draw(seconds(1)));
      const size_t leader = s.cluster.AwaitLeader();
      s.cluster.KillReplica(leader);
      s.cluster.AwaitLeader();
      s.cluster.StartReplica(leader);
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FAILED");
    EXPECT_LE(s.recorder().StartsOf(job.id), 8u);
  });
}

TEST(FailoverSimulation, BatonHandedOverUnderLoad) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(30), 4);
    for (int round = 0; round < 3; ++round) {
      s.cluster.AwaitReady();
      const uint64_t before = s.recorder().epoch();
      for (int i = 0; i < 20; ++i) s.SubmitSingle(s.cluster.Draw(seconds(1)));
      s.cluster.Advance(s.cluster.Draw(milliseconds(10)));
      s.client->Transfer(s.cluster.DrawIndex(3));
      ASSERT_TRUE(s.cluster.RunUntil([&] { return s.recorder().epoch() > before; }));
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 64u);
  });
}

TEST(FailoverSimulation, SameIdAHundredTimesRunsOnce) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    const auto job = SimulatedJob::Single(s.cluster.random(), s.cluster.Draw(seconds(2)), 2);
    auto other = job;
    other.name = "other";
    int conflicts = 0;
    for (int i = 0; i < 100; ++i) {
      s.client->Submit(job, s.cluster.DrawIndex(3), [](const HttpResponse& response) {
        EXPECT_EQ(response.status / 100, 2) << response.body;
      });
      if (i == 50) KillLeader(s);
      s.cluster.Advance(s.cluster.Draw(milliseconds(2)));
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    for (size_t replica = 0; replica < 3; ++replica) {
      s.client->Submit(other, replica,
                       [&](const HttpResponse& response) { conflicts += response.status == 409; });
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    EXPECT_EQ(conflicts, 3);
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().StartsOf(job.id), 2u);
    const auto late =
        s.client->Ask(s.cluster.AwaitLeader(), "PUT", "/v1/jobs/" + job.id.ToString(), job.Json());
    ASSERT_TRUE(late);
    EXPECT_EQ(late->status, 200);  // its result answers
    s.cluster.Advance(seconds(5));
    EXPECT_EQ(s.recorder().StartsOf(job.id), 2u);
  });
}

}  // namespace
}  // namespace baton
