// Dispatchers die, stop and hand over, ZooKeeper goes away: running tasks go on (P5), in the same
// processes, and an old leader that wakes up changes nothing (P3).

#include <csignal>
#include <set>
#include <thread>

#include "integration/cluster_test.h"

namespace baton::integration {
namespace {

class UninterruptedTest : public ClusterTest {
 protected:
  // Lets the job's tasks end and looks at all they wrote: the processes that started are those
  // that ended.
  void ExpectUndisturbed(const std::string& job, size_t tasks) {
    EXPECT_EQ(traces().Starts(job).size(), tasks);
    traces().Release(job);
    ExpectRanOnce(job, tasks);
    for (const TraceLine& start : traces().Starts(job)) {
      EXPECT_EQ(start.attempt, 0u);
      bool same_process_ended = false;
      for (const TraceLine& end : traces().Ends(job)) same_process_ended |= end.pid == start.pid;
      EXPECT_TRUE(same_process_ended) << "subtask " << start.subtask;
    }
  }
};

TEST_F(UninterruptedTest, F7EveryReplicaIsKilledAndRestarted) {
  const std::string job = StartHeldJob(3);
  const uint64_t before = Leader().epoch;
  for (const std::string& replica : Replicas()) Kill(replica);
  for (const std::string& replica : Replicas()) Restart(replica);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before; }));
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "RUNNING"; }));
  ExpectUndisturbed(job, 3);
}

TEST_F(UninterruptedTest, ALeaderThatIsToldToStopHandsOver) {
  const std::string job = StartHeldJob(2);
  const Leadership before = Leader();
  Signal(before.replica, SIGTERM);
  ASSERT_TRUE(Eventually([&] {
    const Leadership now = Leader();
    return now.epoch == before.epoch + 1 && now.replica != before.replica;
  }));
  EXPECT_EQ(WaitForExit(before.replica), "exit 0");
  ExpectUndisturbed(job, 2);
}

TEST_F(UninterruptedTest, TheLeadershipIsTransferredOnRequest) {
  const std::string job = StartHeldJob(2);
  const Leadership before = Leader();
  const auto reply =
      Exchange(Rest(Standbys().front()), RequestBytes("POST", "/v1/leader/transfer", ""));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status / 100, 2) << reply->body;
  ASSERT_TRUE(Eventually([&] {
    const Leadership now = Leader();
    return now.epoch == before.epoch + 1 && now.replica != before.replica;
  }));
  ExpectUndisturbed(job, 2);
}

TEST_F(UninterruptedTest, ALeaderThatSleepsThroughItsSessionWakesUpAsNobody) {
  const std::string held = StartHeldJob(2);
  const Leadership before = Leader();
  const std::vector<std::string> others = Standbys();
  Signal(before.replica, SIGSTOP);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  const std::string job = NewJobId();
  const auto reply = Put(Rest(others.front()), job, QuickJob());
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 202) << reply->body;
  ExpectRanOnce(job);

  Signal(before.replica, SIGCONT);
  ASSERT_TRUE(Eventually(Calm));
  EXPECT_NE(Leader().replica, before.replica);
  EXPECT_EQ(traces().Starts(job).size(), 1u);
  ExpectUndisturbed(held, 2);
}

TEST_F(UninterruptedTest, ZooKeeperIsAwayForLongerThanSessionAndLease) {
  const std::string job = StartHeldJob(3);
  const std::vector<TraceLine> started = traces().Starts(job);
  Kill("zookeeper-1");
  // The fault lasts this long, whatever the cluster does: two sessions and a half, more than a
  // lease.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(25);
  while (std::chrono::steady_clock::now() < end) {
    const std::set<int64_t> alive = ProcessesOf(job);
    for (const TraceLine& start : started) ASSERT_TRUE(alive.contains(start.pid));
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
  // Nothing is promised meanwhile but an answer.
  const auto refused = Put(Balancer(), NewJobId(), QuickJob());
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->status, 503) << refused->body;
  EXPECT_NE(refused->Header("Retry-After"), "");

  Restart("zookeeper-1");
  ASSERT_TRUE(Eventually(Calm));
  ExpectUndisturbed(job, 3);
}

}  // namespace
}  // namespace baton::integration
