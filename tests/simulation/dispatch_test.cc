// Clusters in which nothing goes wrong but order and time.

#include "tests/simulation/simulation_test.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(DispatchSimulation, GraphSubmittedThroughAnyReplicaRunsInOrder) {
  ForEachSeed(20, [](Scenario& s, uint64_t) {
    for (size_t replica = 0; replica < s.cluster.replicas(); ++replica) {
      const auto job = SimulatedJob::Diamond(s.cluster.random(), milliseconds(200));
      s.client->Submit(job, replica);
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    EXPECT_EQ(s.recorder().acknowledged().size(), 3u);
    s.cluster.ExpectAllEnd();
    s.cluster.Advance(milliseconds(100));  // until the leader has the answer to its commit
    for (const JobId& job : s.recorder().acknowledged()) {
      EXPECT_EQ(s.recorder().OutcomeOf(job), "FINISHED");
      EXPECT_EQ(s.recorder().StartsOf(job), 12u);
      EXPECT_EQ(s.client->StateOf(job, 1), "FINISHED");
    }
  });
}

TEST(DispatchSimulation, JobLargerThanTheClusterRunsInTurns) {
  ForEachSeed(10, [](Scenario& s, uint64_t) {
    const auto job = s.SubmitSingle(milliseconds(100), 100);
    s.cluster.RunUntil([&] { return s.recorder().total_starts() == 100; });
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FINISHED");
  });
}

TEST(DispatchSimulation, FailingJobRunsAsOftenAsItsStrategyAllows) {
  ForEachSeed(20, [](Scenario& s, uint64_t) {
    auto job = SimulatedJob::Single(s.cluster.random(), milliseconds(100));
    job.vertices[0].failures = 100;
    job.restart_attempts = 3;
    s.client->Submit(job, 0);
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().OutcomeOf(job.id), "FAILED");
    EXPECT_EQ(s.recorder().StartsOf(job.id), 4u);
  });
}

}  // namespace
}  // namespace baton
