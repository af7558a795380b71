// Dispatchers die in every order that a bad day may bring: what was acknowledged runs once, running
// tasks do not notice, and somebody leads as long as one replica lives.

#include "base/fault_point.h"
#include "fmt/core.h"
#include "integration/cluster_test.h"
#include "integration/steady_client.h"
#include "rest/client/wait.h"

namespace baton::integration {
namespace {

class LeaderDeathTest : public ClusterTest {
 protected:
  static void WaitForEpochAfter(uint64_t epoch) {
    ASSERT_TRUE(Eventually([&] {
      const Leadership now = Leader();
      return now.epoch > epoch && !now.replica.empty() && cluster().Alive(now.replica);
    }));
  }

  // Nobody was refused anything but for a while, and everything acknowledged ran once.
  void ExpectKept(SteadyClient& client) {
    ASSERT_TRUE(Eventually([&, before = client.acknowledged_so_far()] {
      return client.acknowledged_so_far() > before + 5;
    })) << "no submissions are acknowledged any more";
    client.Stop();
    for (const std::string& error : client.errors()) ADD_FAILURE() << error;
    for (const std::string& job : client.acknowledged()) ExpectRanOnce(job);
  }
};

TEST_F(LeaderDeathTest, F1TheLeaderIsKilledUnderLoad) {
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();
  SteadyClient client(Balancer());
  ASSERT_TRUE(Eventually([&] { return client.acknowledged_so_far() > 10; }));
  Kill(before.replica);
  WaitForEpochAfter(before.epoch);
  EXPECT_EQ(Leader().epoch, before.epoch + 1);
  EXPECT_NE(Leader().replica, before.replica);
  ExpectKept(client);
  EXPECT_EQ(client.told_to_wait(), 0u);
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

TEST_F(LeaderDeathTest, F5TheLeaderIsKilledAgainAndAgain) {
  const std::string held = StartHeldJob(3);
  SteadyClient client(Balancer());
  for (int kill = 0; kill < 6; ++kill) {
    const auto next = Clock::now() + std::chrono::seconds(2);
    const Leadership before = Leader();
    Kill(before.replica);
    WaitForEpochAfter(before.epoch);
    Restart(before.replica);
    RestUntil(next);  // the fault is this pace, however far the cluster has come
  }
  ASSERT_TRUE(Eventually(Calm));
  ExpectKept(client);
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

TEST_F(LeaderDeathTest, F6TheSuccessorIsKilledDuringItsRecovery) {
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();
  const std::vector<std::string> standbys = Standbys();
  Restart(standbys[0], {{"BATON_FAULT_POINT", "recovery.jobs-listed"}});
  ASSERT_TRUE(Eventually(Calm));
  ASSERT_EQ(Leader(), before);
  // Nobody else is there to take over.
  Kill(standbys[1]);
  Kill(before.replica);
  EXPECT_EQ(WaitForExit(standbys[0]), fmt::format("exit {}", kFaultPointExitCode));
  Restart(standbys[1]);
  WaitForEpochAfter(before.epoch + 1);
  EXPECT_EQ(Leader().replica, standbys[1]);
  // The job has a copy there or comes with the next replica.
  Restart(before.replica);
  ASSERT_TRUE(Eventually([&] { return JobState(held) == "RUNNING"; })) << JobState(held);
  Restart(standbys[0]);
  ASSERT_TRUE(Eventually(Calm));
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

// A dead process refuses connections: its death is proven, and no majority has to agree.
TEST_F(LeaderDeathTest, F8AllButOneAreKilledAndAStandbyIsLeft) {
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();
  const std::vector<std::string> standbys = Standbys();
  Kill(standbys[0]);
  Kill(before.replica);
  WaitForEpochAfter(before.epoch);
  EXPECT_EQ(Leader().replica, standbys[1]);
  EXPECT_EQ(Get(Rest(standbys[1]), "/leader")->status, 200);
  ASSERT_TRUE(Eventually([&] { return JobState(held) == "RUNNING"; })) << JobState(held);
  // A job cannot be stored twice: it is not taken, and the answer says why.
  const auto refused = Put(Balancer(), NewJobId(), QuickJob());
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->status, 503) << refused->body;
  EXPECT_NE(refused->Header("Retry-After"), "");

  Restart(standbys[0]);
  Restart(before.replica);
  ASSERT_TRUE(Eventually(Calm));
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

TEST_F(LeaderDeathTest, F8AllButOneAreKilledAndTheLeaderIsLeft) {
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();
  const std::vector<std::string> standbys = Standbys();
  for (const std::string& standby : standbys) Kill(standby);
  const auto refused = Put(Balancer(), NewJobId(), QuickJob());
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->status, 503) << refused->body;
  EXPECT_EQ(JobState(held), "RUNNING");
  Restart(standbys[0]);
  ASSERT_TRUE(Eventually([&] {
    const auto reply = Put(Balancer(), NewJobId(), QuickJob());
    return reply.ok() && reply->status == 202;
  }));
  EXPECT_EQ(Leader(), before);
  Restart(standbys[1]);
  ASSERT_TRUE(Eventually(Calm));
  EXPECT_EQ(Leader(), before);
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

// Its supervisor is faster than anybody's reconnection: the link meets another incarnation.
TEST_F(LeaderDeathTest, F9TheKilledLeaderIsRestartedAtOnce) {
  const std::string held = StartHeldJob(3);
  SteadyClient client(Balancer());
  for (int kill = 0; kill < 3; ++kill) {
    const Leadership before = Leader();
    Kill(before.replica);
    Restart(before.replica);
    WaitForEpochAfter(before.epoch);
    ASSERT_TRUE(Eventually(Calm));
  }
  ExpectKept(client);
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

}  // namespace
}  // namespace baton::integration
