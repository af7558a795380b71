// What ZooKeeper does to a cluster: sessions that end, servers that are slow, away, or have no
// quorum. Running tasks go on (P5), and who leads is decided again without a hand (L3).

#include <csignal>
#include <future>
#include <thread>

#include "cli/cluster/readiness.h"
#include "cli/cluster/zookeeper_session.h"
#include "integration/cluster_test.h"

namespace baton::integration {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr size_t kTasks = 2;

// The fault lasts so long, whatever the cluster does.
void ExpectRunningFor(seconds span, const std::string& job) {
  const auto end = steady_clock::now() + span;
  while (steady_clock::now() < end) {
    ASSERT_GE(ProcessesOf(job).size(), kTasks) << "a task was interrupted";
    std::this_thread::sleep_for(milliseconds(500));
  }
}

class ZooKeeperFaultsTest : public ClusterTest {};

TEST_F(ZooKeeperFaultsTest, F11TheSessionOfTheLeaderIsEndedFromOutside) {
  const std::string held = StartHeldJob(kTasks);
  const Leadership before = Leader();
  const int64_t session = LastSessionIn(cluster().state().LogFile(before.replica));
  ASSERT_NE(session, 0);
  const std::string server = cluster().state().Find("zookeeper-1")->Address();
  // Its owner may be the faster one, and keep it.
  ASSERT_TRUE(Eventually([&] {
    (void)EndZooKeeperSession(server, session);
    return Leader().epoch > before.epoch;
  }));
  ExpectAccepted();
  ASSERT_TRUE(Eventually(Calm)) << "it is back, in a new session";
  EXPECT_NE(LastSessionIn(cluster().state().LogFile(before.replica)), session);
  ExpectUndisturbed(held, kTasks);
}

// It stands for two seconds again and again, for as long as a session, and each time a commit
// waits for it.
TEST_F(ZooKeeperFaultsTest, F14ASlowZooKeeperCostsNoLeaderItsEpoch) {
  const std::string held = StartHeldJob(kTasks);
  const Leadership before = Leader();
  std::vector<std::string> jobs;
  const auto end = steady_clock::now() + seconds(10);
  while (steady_clock::now() < end) {
    jobs.push_back(NewJobId());
    Signal("zookeeper-1", SIGSTOP);
    auto reply = std::async(std::launch::async,
                            [job = jobs.back()] { return Put(Balancer(), job, QuickJob()); });
    EXPECT_EQ(reply.wait_for(seconds(2)), std::future_status::timeout) << "nothing can commit";
    Signal("zookeeper-1", SIGCONT);
    const auto answer = reply.get();
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->status, 202) << answer->body;
  }
  EXPECT_EQ(Leader(), before);
  for (const std::string& job : jobs) ExpectRanOnce(job);
  ExpectUndisturbed(held, kTasks);
}

// Three sessions, and longer than a lease.
TEST_F(ZooKeeperFaultsTest, AwayForHalfAMinuteWhileOneStandbyIsDead) {
  const std::string held = StartHeldJob(kTasks);
  const std::string standby = Standbys().front();
  Kill("zookeeper-1");
  Kill(standby);
  ExpectRunningFor(seconds(10), held);
  // Nothing is promised meanwhile but an answer, after at most 20 s.
  const auto refused = Put(Balancer(), NewJobId(), QuickJob());
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->status, 503) << refused->body;
  EXPECT_NE(refused->Header("Retry-After"), "");
  EXPECT_NE(refused->Header("X-Baton-Replica"), "") << "the balancer answered, not a replica";
  ExpectRunningFor(seconds(2), held);
  Restart("zookeeper-1");
  ExpectAccepted();
  ExpectUndisturbed(held, kTasks);
}

class EnsembleTest : public HostsTest {
 protected:
  static std::vector<std::string> Servers() {
    std::vector<std::string> names;
    for (const ClusterNode* node : cluster().state().OfKind(NodeKind::kZooKeeper)) {
      names.push_back(node->name);
    }
    return names;
  }
  static bool Serves(const std::string& server) {
    return ZooKeeperMode(*cluster().state().Find(server)).ok();
  }
  // "leader" or "follower": the first server that is one.
  static std::string ServerThatIs(const std::string& mode) {
    for (const std::string& server : Servers()) {
      if (ZooKeeperMode(*cluster().state().Find(server)).value_or("") == mode) return server;
    }
    return "";
  }
};

// None of it costs anybody the session: the dispatchers go on where they were.
TEST_F(EnsembleTest, F12MemberAndLeaderKilledThenARollingRestart) {
  const std::string held = StartHeldJob(kTasks);
  const Leadership before = Leader();
  for (const char* mode : {"follower", "leader"}) {
    std::string server;
    ASSERT_TRUE(Eventually([&] { return !(server = ServerThatIs(mode)).empty(); })) << mode;
    Kill(server);
    ExpectAccepted();
    Restart(server);
    ASSERT_TRUE(Eventually([&] { return Serves(server); }));
  }
  for (const std::string& server : Servers()) {
    Restart(server);
    ASSERT_TRUE(Eventually([&] { return Serves(server); }));
    ExpectAccepted();
  }
  EXPECT_EQ(Leader(), before);
  ExpectUndisturbed(held, kTasks);
}

TEST_F(EnsembleTest, F13QuorumLostForLongerThanTheSessionThenHealed) {
  const std::string held = StartHeldJob(kTasks);
  Kill("zookeeper-1");
  Kill("zookeeper-2");
  ExpectRunningFor(seconds(15), held);
  Restart("zookeeper-1");
  Restart("zookeeper-2");
  ExpectAccepted();
  ASSERT_TRUE(Eventually(Calm));
  ExpectUndisturbed(held, kTasks);
}

}  // namespace
}  // namespace baton::integration
