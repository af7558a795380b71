// F32: an election during a submission storm, while thousands of TaskManagers register again.

#include <chrono>

#include "tests/simulation/simulation_test.h"
#include "tests/simulation/worker_fleet.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kLargeFleet = 1'500;
constexpr size_t kSmallFleet = 300;
constexpr size_t kJobs = 400;

void SubmitSome(Scenario& s, size_t jobs) {
  for (size_t i = 0; i < jobs; ++i) {
    s.SubmitSingle(milliseconds(200) + s.cluster.Draw(seconds(3)));
    s.cluster.Advance(s.cluster.Draw(milliseconds(2)));
  }
}

TEST(StormSimulation, F32ElectionDuringASubmissionStormWithAFleetThatRegistersAgain) {
  ForEachSeed(
      1,
      [](Scenario& s, uint64_t) {
        WorkerFleet fleet(&s.cluster, kLargeFleet);
        ASSERT_TRUE(
            s.cluster.RunUntil([&] { return fleet.CountServing() == kLargeFleet; }, seconds(30)))
            << fleet.CountServing();
        SubmitSome(s, kJobs / 2);
        const size_t killed = s.cluster.AwaitLeader();
        s.cluster.KillReplica(killed);
        SubmitSome(s, kJobs / 2);
        const size_t next = s.cluster.AwaitLeader();
        EXPECT_NE(next, killed);
        EXPECT_TRUE(
            s.cluster.RunUntil([&] { return fleet.CountServing() == kLargeFleet; }, seconds(5)))
            << fleet.CountServing() << " of " << kLargeFleet << " have registered again";
        ASSERT_TRUE(s.client->AwaitAnswers());
        EXPECT_EQ(s.recorder().acknowledged().size(), kJobs);
        s.cluster.ExpectAllEnd();
        EXPECT_EQ(s.recorder().total_starts(), kJobs) << "nothing ran twice";
      },
      SimulatedCluster::Shape{.replicas = 3, .workers = 0, .slots = 1});
}

// ZooKeeper is away: the leader is paused and can answer no heartbeat. When it is back nobody has
// had to register again.
TEST(StormSimulation, APausedLeaderIsNotStormed) {
  ForEachSeed(
      1,
      [](Scenario& s, uint64_t) {
        WorkerFleet fleet(&s.cluster, kSmallFleet);
        ASSERT_TRUE(
            s.cluster.RunUntil([&] { return fleet.CountServing() == kSmallFleet; }, seconds(30)));
        SubmitSome(s, 50);
        s.cluster.PauseCoordination();
        s.cluster.Advance(seconds(8));
        s.cluster.ResumeCoordination();
        ASSERT_TRUE(
            s.cluster.RunUntil([&] { return fleet.CountServing() == kSmallFleet; }, seconds(15)))
            << fleet.CountServing();
        ASSERT_TRUE(s.client->AwaitAnswers());
        s.cluster.ExpectAllEnd();
      },
      SimulatedCluster::Shape{.replicas = 3, .workers = 0, .slots = 1});
}

}  // namespace
}  // namespace baton
