// What the election makes of a majority's word that the leader is silent.

#include <gtest/gtest.h>

#include "tests/ha/election_cluster.h"

namespace baton {
namespace {

using namespace std::chrono_literals;

class SilentLeaderTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  SilentLeaderTest() : cluster_(GetParam()) {}

  // Three members, one of whom leads.
  TestReplica& StartThree() {
    cluster_.MakeMembers({"a", "b", "c"});
    for (const char* id : {"a", "b", "c"}) cluster_.AddAndStart(id);
    TestReplica* leader = cluster_.AwaitLeader(1s);
    cluster_.Advance(100ms);
    return *leader;
  }

  ElectionCluster cluster_;
};

// The peers say so as long as it lasts (SilenceWatch).
TEST_P(SilentLeaderTest, ASilentLeaderIsReplacedWhileItsSessionLives) {
  TestReplica& old = StartThree();
  old.executor->Pause();
  cluster_.ReportSilence(old);
  cluster_.ReportSilence(old);
  TestReplica* next = cluster_.AwaitNext(old, 1s);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->epoch(), 2u);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "silence");
  EXPECT_EQ(cluster_.log.grants.back().last_silence_epoch(), 2u);
  old.executor->Resume();
  cluster_.Advance(60s);
  EXPECT_FALSE(old.leads());
  EXPECT_EQ(cluster_.log.grants.size(), 2u);
}

TEST_P(SilentLeaderTest, OneSilentLeaderAMinuteIsReplacedWhoeverFollowsWhom) {
  TestReplica* leader = &StartThree();
  const TimePoint begin = cluster_.scheduler.Now();
  // The link of whoever leads flaps: everybody is called silent all the time.
  while (cluster_.scheduler.Now() < begin + 300s) {
    if (TestReplica* now = cluster_.Leader()) leader = now;
    cluster_.ReportSilence(*leader);
    cluster_.Advance(200ms);
  }
  EXPECT_GE(cluster_.log.grants.size(), 5u);
  EXPECT_LE(cluster_.log.grants.size(), 6u);
  for (size_t i = 1; i < cluster_.log.grants.size(); ++i) {
    EXPECT_EQ(cluster_.log.grants[i].cause(), "silence");
  }
}

// The name of the last take-over passes from record to record.
TEST_P(SilentLeaderTest, AFailoverInBetweenDoesNotShortenTheMinute) {
  TestReplica& first = StartThree();
  cluster_.ReportSilence(first);
  TestReplica* second = cluster_.AwaitNext(first, 1s);
  ASSERT_NE(second, nullptr);
  cluster_.Kill(*second);
  cluster_.ReportDeathToAll(second->incarnation());
  TestReplica* third = cluster_.AwaitNext(*second, 1s);
  ASSERT_NE(third, nullptr);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "process-death");
  EXPECT_EQ(cluster_.log.grants.back().last_silence_epoch(), 2u);
  for (int i = 0; i < 50; ++i) {
    cluster_.ReportSilence(*third);
    cluster_.Advance(1s);
  }
  EXPECT_EQ(cluster_.log.grants.size(), 3u);
  EXPECT_TRUE(third->leads());
}

TEST_P(SilentLeaderTest, WhoHasJustStartedWaitsAMinuteToo) {
  TestReplica& first = StartThree();
  cluster_.ReportSilence(first);
  TestReplica* second = cluster_.AwaitNext(first, 1s);
  ASSERT_NE(second, nullptr);
  cluster_.Advance(70s);
  TestReplica& standby = *cluster_.replicas[second->self.replica_id() == "a" ? "b" : "a"];
  const std::string id = standby.self.replica_id();
  cluster_.Kill(standby);
  cluster_.AddAndStart(id);
  cluster_.Advance(1s);
  TestReplica& reborn = *cluster_.replicas[id];
  const LeaderIdentity silent{Epoch{2}, second->incarnation()};
  for (int i = 0; i < 50; ++i) {
    reborn.Run([&] { reborn.election->ReportSilence(silent); });
    cluster_.Advance(1s);
  }
  EXPECT_FALSE(reborn.leads());
  for (int i = 0; i < 15; ++i) {
    reborn.Run([&] { reborn.election->ReportSilence(silent); });
    cluster_.Advance(1s);
  }
  EXPECT_TRUE(reborn.leads());
}

TEST_P(SilentLeaderTest, AReportOfSilenceDoesNotOutliveItsSecond) {
  TestReplica& leader = StartThree();
  for (auto& [id, replica] : cluster_.replicas) {
    if (replica.get() != &leader) {
      cluster_.server->Disconnect(replica->client);
    }
  }
  cluster_.Advance(100ms);
  cluster_.ReportSilence(leader);
  cluster_.Advance(2s);
  for (auto& [id, replica] : cluster_.replicas) cluster_.server->Reconnect(replica->client);
  cluster_.Advance(60s);
  EXPECT_EQ(cluster_.log.grants.size(), 1u);
}

TEST_P(SilentLeaderTest, AReportOfSilenceDoesNotCountAgainstASuccessor) {
  TestReplica& old = StartThree();
  const LeaderIdentity silent{Epoch{1}, old.incarnation()};
  cluster_.Kill(old);
  cluster_.ReportDeathToAll(old.incarnation());
  TestReplica* next = cluster_.AwaitNext(old, 1s);
  ASSERT_NE(next, nullptr);
  for (auto& [id, replica] : cluster_.replicas) {
    replica->Run([&, election = replica->election] { election->ReportSilence(silent); });
    // Neither the epoch nor the incarnation alone is enough.
    replica->Run([&, election = replica->election] {
      election->ReportSilence({Epoch{1}, next->incarnation()});
      election->ReportSilence({Epoch{2}, old.incarnation()});
    });
  }
  cluster_.Advance(60s);
  EXPECT_EQ(cluster_.log.grants.size(), 2u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SilentLeaderTest, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace baton
