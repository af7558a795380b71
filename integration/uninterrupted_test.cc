// Dispatchers die, stop and hand over: running tasks go on (P5), in the same processes.

#include <csignal>

#include "integration/cluster_test.h"

namespace baton::integration {
namespace {

class UninterruptedTest : public ClusterTest {};

TEST_F(UninterruptedTest, F7EveryReplicaIsKilledAndRestarted) {
  const std::string job = StartHeldJob(3);
  const uint64_t before = Leader().epoch;
  for (const std::string& replica : Replicas()) Kill(replica);
  for (const std::string& replica : Replicas()) Restart(replica);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before; }));
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "RUNNING"; }));
  ExpectUndisturbed(job, 3);
}

TEST_F(UninterruptedTest, F4ALeaderThatIsToldToStopHandsOver) {
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

}  // namespace
}  // namespace baton::integration
