// The network between dispatchers and ZooKeeper is cut: nothing is refused, everything is silent.

#include <thread>

#include "integration/cluster_test.h"
#include "integration/late_writes.h"

namespace baton::integration {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

class PartitionTest : public HostsTest {
 protected:
  static int LeaderStatus(const std::string& replica) {
    const auto reply = Get(Rest(replica), "/leader");
    return reply.ok() ? reply->status : 0;
  }

  // Asked directly: what goes through a replica that is cut off from the leader takes its time.
  static std::string SubmitToLeader() {
    const std::string job = NewJobId();
    EXPECT_TRUE(Eventually([&] {
      const auto reply = Put(Rest(Leader().replica), job, QuickJob());
      return reply.ok() && reply->status / 100 == 2;
    }));
    return job;
  }
};

// It believes for a while that it leads, the workers hear it all the time, and clients ask it to
// write before and after it is deposed (P3).
TEST_F(PartitionTest, F18TheLeaderIsCutOffFromZooKeeperOnly) {
  const std::string held = StartHeldJob(2);
  const std::string first_victim = StartHeldJob(1);
  const std::string second_victim = StartHeldJob(1);
  const Leadership before = Leader();
  const auto state = cluster().state();  // every cut reads it anew
  for (const ClusterNode* server : state.OfKind(NodeKind::kZooKeeper)) {
    Cut(before.replica, server->name);
  }
  LateWrites early(Rest(before.replica), first_victim);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  LateWrites late(Rest(before.replica), second_victim);
  EXPECT_NE(LeaderStatus(before.replica), 200);
  const std::string job = SubmitToLeader();
  EXPECT_GE(ProcessesOf(held).size(), 2u) << "a task was interrupted";
  HealAll();
  ASSERT_TRUE(Eventually(Calm));
  ExpectFenced(early, before);
  ExpectFenced(late, before);
  ExpectRanOnce(job);
  ExpectUndisturbed(held, 2);
}

// ZooKeeper and the workers hear it all the time: no session ends.
TEST_F(PartitionTest, F21TheLeaderIsCutOffFromItsPeersOnly) {
  const std::string held = StartHeldJob(2);
  const std::string victim = StartHeldJob(1);
  const Leadership before = Leader();
  for (const std::string& standby : Standbys()) Cut(before.replica, standby);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }, seconds(100)));
  LateWrites late(Rest(before.replica), victim);
  ASSERT_TRUE(Eventually([&] { return LeaderStatus(before.replica) == 503; }));
  const std::string job = SubmitToLeader();
  HealAll();
  ASSERT_TRUE(Eventually(Calm));
  ExpectFenced(late, before);
  ExpectRanOnce(job);
  EXPECT_EQ(Leader().epoch, before.epoch + 1);
  ExpectUndisturbed(held, 2);
}

TEST_F(PartitionTest, F22ABridgeKeepsTheLeaderItHears) {
  const std::string held = StartHeldJob(2);
  const Leadership before = Leader();
  Cut(before.replica, Standbys().front());
  const auto end = steady_clock::now() + seconds(6);
  while (steady_clock::now() < end) {
    ASSERT_EQ(Leader(), before);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  const std::string job = SubmitToLeader();
  HealAll();
  ExpectRanOnce(job);
  ExpectUndisturbed(held, 2);
}

}  // namespace
}  // namespace baton::integration
