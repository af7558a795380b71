// Leaders that are silent but not dead: stopped, hanging, cut off. A majority replaces them in
// seconds, calmly, and what wakes up later is nobody.

#include "tests/simulation/simulation_test.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

bool AwaitNewEpoch(Scenario& s, uint64_t before, Duration limit) {
  return s.cluster.RunUntil([&] { return s.recorder().epoch() > before; }, limit);
}

TEST(SilenceSimulation, StoppedLeaderIsReplacedWithinThreeSeconds) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 6);
    for (int i = 0; i < 10; ++i) s.SubmitSingle(s.cluster.Draw(seconds(3)));
    s.cluster.Advance(s.cluster.Draw(seconds(2)));
    const uint64_t before = s.recorder().epoch();
    s.cluster.PauseReplica(s.cluster.AwaitLeader());
    EXPECT_TRUE(AwaitNewEpoch(s, before, seconds(3)));
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 16u);
    EXPECT_EQ(s.recorder().epoch(), before + 1);
  });
}

// F3, in virtual time and at every age.
TEST(SilenceSimulation, ZombieOfAnyAgeChangesNothing) {
  ForEachSeed(60, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 6);
    for (int i = 0; i < 10; ++i) s.SubmitSingle(s.cluster.Draw(seconds(8)));
    s.cluster.Advance(s.cluster.Draw(milliseconds(50)));
    const uint64_t before = s.recorder().epoch();
    const size_t zombie = s.cluster.AwaitLeader();
    s.cluster.PauseReplica(zombie);
    s.cluster.Advance(seconds(1) + s.cluster.Draw(2 * SimulatedCluster::kSession));
    for (int i = 0; i < 10; ++i) s.SubmitSingle(s.cluster.Draw(seconds(3)));
    s.cluster.Advance(s.cluster.Draw(milliseconds(50)));
    s.cluster.ResumeReplica(zombie);
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 26u);
    EXPECT_LE(s.recorder().epoch(), before + 1) << "it sleeps once";
  });
}

TEST(SilenceSimulation, LeaderWhoseLoopHangsIsReplacedAlthoughItsElectionAnswers) {
  ForEachSeed(30, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 6);
    s.cluster.Advance(s.cluster.Draw(seconds(2)));
    const uint64_t before = s.recorder().epoch();
    const size_t hanging = s.cluster.AwaitLeader();
    s.cluster.HangLeader(hanging);
    EXPECT_TRUE(AwaitNewEpoch(s, before, seconds(9)));
    const auto job = s.SubmitSingle(milliseconds(100));
    ASSERT_TRUE(s.client->AwaitAnswers());
    EXPECT_TRUE(s.cluster.RunUntil([&] { return !s.recorder().OutcomeOf(job.id).empty(); }));
    s.cluster.ResumeReplica(hanging);
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 7u);
  });
}

// F21: its peers do not hear it, ZooKeeper and the workers do.
TEST(SilenceSimulation, LeaderCutOffFromItsPeersOnlyIsReplacedOnce) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    s.SubmitRunning(seconds(60), 6);
    const uint64_t before = s.recorder().epoch();
    const size_t leader = s.cluster.AwaitLeader();
    const bool one_way = s.cluster.DrawIndex(2) == 0;
    for (size_t i = 0; i < s.cluster.replicas(); ++i) {
      if (i == leader) continue;
      s.cluster.network().CutOneWay(s.cluster.ReplicaName(leader), s.cluster.ReplicaName(i));
      if (one_way) continue;
      s.cluster.network().CutOneWay(s.cluster.ReplicaName(i), s.cluster.ReplicaName(leader));
    }
    EXPECT_TRUE(AwaitNewEpoch(s, before, seconds(4)));
    s.cluster.Advance(minutes(3));
    EXPECT_EQ(s.recorder().epoch(), before + 1);
    s.SubmitSingle(milliseconds(100));
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 7u);
  });
}

// F22, L4: links that are cut one way, at random, all the time.
TEST(SilenceSimulation, FlappingLinksDoNotMakeTheLeadershipFlap) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    s.SubmitRunning(minutes(6), 4);
    const uint64_t before = s.recorder().epoch();
    const TimePoint begin = s.cluster.client_executor()->Now();
    while (s.cluster.client_executor()->Now() < begin + minutes(4)) {
      const size_t from = s.cluster.DrawIndex(3);
      for (size_t to = 0; to < 3; ++to) {
        if (s.cluster.DrawIndex(3) == 0) continue;
        s.cluster.network().CutOneWay(s.cluster.ReplicaName(from), s.cluster.ReplicaName(to));
      }
      s.cluster.Advance(s.cluster.Draw(seconds(6)));
      s.cluster.network().HealAll();
      s.cluster.Advance(s.cluster.Draw(seconds(2)));
    }
    EXPECT_LE(s.recorder().epoch(), before + 5);
    s.SubmitSingle(milliseconds(100));
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 5u);
  });
}

// Any of them, also several at once, also the successor in its first instants.
TEST(SilenceSimulation, ReplicasThatStopAndGoOnAtRandomLoseNothing) {
  ForEachSeed(40, [](Scenario& s, uint64_t) {
    s.SubmitRunning(minutes(2), 4);
    for (int round = 0; round < 8; ++round) {
      for (int i = 0; i < 5; ++i) s.SubmitSingle(s.cluster.Draw(seconds(3)));
      for (size_t i = 0; i < s.cluster.replicas(); ++i) {
        if (s.cluster.DrawIndex(2) == 0) s.cluster.PauseReplica(i);
        s.cluster.Advance(s.cluster.Draw(seconds(4)));
      }
      for (size_t i = 0; i < s.cluster.replicas(); ++i) s.cluster.ResumeReplica(i);
      s.cluster.Advance(s.cluster.Draw(seconds(5)));
    }
    ASSERT_TRUE(s.client->AwaitAnswers());
    s.cluster.ExpectAllEnd();
    EXPECT_EQ(s.recorder().total_starts(), 44u);
  });
}

}  // namespace
}  // namespace baton
