// Who wins, what ends an epoch, and how the next one begins.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/ha/election_fixture.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using Server = EmbeddedCoordinationServer;
using Code = absl::StatusCode;

TEST_P(ElectionTest, TheFirstReplicaOfANewClusterLeadsEpochOneAndIsTheFirstMember) {
  TestReplica& a = cluster_.AddAndStart("a");
  ASSERT_TRUE(cluster_.RunUntil([&] { return a.leads(); }, 1s));
  cluster_.Advance(10ms);
  EXPECT_EQ(a.epoch(), 1u);
  EXPECT_EQ(cluster_.log.grants[0].cause(), "first");
  const LeadershipView view = a.view();
  EXPECT_TRUE(view.connected);
  EXPECT_TRUE(view.self_leads);
  ASSERT_TRUE(view.leader.has_value());
  EXPECT_EQ(view.leader->incarnation(), a.self.incarnation());
  ASSERT_EQ(view.members.members_size(), 1);
  EXPECT_EQ(view.members.members(0).rpc_address(), "a:6123");
  ASSERT_EQ(view.replicas.size(), 1u);
  EXPECT_TRUE(errors_.empty());
}

TEST_P(ElectionTest, ExactlyOneOfManyLeadsAndAllAgree) {
  TestReplica& leader = StartThree();
  cluster_.Advance(60s);
  EXPECT_EQ(cluster_.log.grants.size(), 1u) << "nobody else may be elected while the leader lives";
  for (auto& [id, replica] : cluster_.replicas) {
    EXPECT_EQ(replica->leads(), replica.get() == &leader);
    EXPECT_EQ(replica->view().self_leads, replica.get() == &leader);
    ASSERT_TRUE(replica->view().leader.has_value());
    EXPECT_EQ(replica->view().leader->replica_id(), leader.self.replica_id());
    EXPECT_EQ(replica->view().replicas.size(), 3u);
  }
}

TEST_P(ElectionTest, NoViewIsToldTwice) {
  TestReplica& leader = StartThree();
  cluster_.Advance(60s);
  for (auto& [id, replica] : cluster_.replicas) {
    // Nothing, connected, the first reads …: a handful, not one a tick.
    EXPECT_LT(replica->views.size(), 15u) << id;
  }
  EXPECT_TRUE(leader.views.back().self_leads);
}

TEST_P(ElectionTest, AReportedDeathIsTakenOverInMillisecondsWhileTheSessionLives) {
  TestReplica& old = StartThree();
  cluster_.Kill(old);
  const TimePoint killed = cluster_.scheduler.Now();
  cluster_.ReportDeathToAll(old.incarnation());
  cluster_.ReportDeathToAll(old.incarnation());  // a duplicate changes nothing
  TestReplica* next = cluster_.AwaitLeader(1s);
  ASSERT_NE(next, nullptr);
  EXPECT_LT(cluster_.scheduler.Now() - killed, 20ms);
  EXPECT_EQ(next->epoch(), 2u);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "process-death");
  cluster_.Advance(60s);  // the dead one's session ends meanwhile
  EXPECT_EQ(cluster_.log.grants.size(), 2u);
  EXPECT_TRUE(next->view().self_leads);
}

TEST_P(ElectionTest, ADeathReportedBeforeTheTreeNamesTheLeaderIsRemembered) {
  cluster_.MakeMembers({"a", "b"});
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.AwaitLeader(1s);
  TestReplica& b = cluster_.Add("b");
  b.Run([&] { b.election->ReportDeath(a.incarnation()); });
  cluster_.Kill(a);
  b.Start();
  EXPECT_TRUE(cluster_.RunUntil([&] { return b.leads(); }, 1s));
}

TEST_P(ElectionTest, AFalseReportOfDeathDeposesOnce) {
  StartThree();
  for (auto& [id, replica] : cluster_.replicas) {
    cluster_.ReportDeathToAll(replica->incarnation());
  }
  cluster_.Advance(60s);
  EXPECT_LE(cluster_.log.grants.size(), 7u);
  ASSERT_NE(cluster_.Leader(), nullptr);
  EXPECT_TRUE(cluster_.Leader()->view().self_leads);
}

TEST_P(ElectionTest, TheDeathOfAStandbyChangesNothing) {
  TestReplica& leader = StartThree();
  TestReplica& standby = *cluster_.replicas[leader.self.replica_id() == "a" ? "b" : "a"];
  cluster_.Kill(standby);
  cluster_.ReportDeathToAll(standby.incarnation());
  cluster_.Advance(30s);
  EXPECT_EQ(cluster_.log.grants.size(), 1u);
  EXPECT_EQ(leader.view().replicas.size(), 2u);
}

TEST_P(ElectionTest, WithoutAReportTheSessionTimeoutDecides) {
  TestReplica& old = StartThree();
  cluster_.Kill(old);
  cluster_.Advance(8s);
  EXPECT_EQ(cluster_.Leader(), nullptr);
  ASSERT_NE(cluster_.AwaitLeader(5s), nullptr);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "session-expired");
  EXPECT_EQ(cluster_.Leader()->epoch(), 2u);
}

TEST_P(ElectionTest, ARestartedLeaderTakesOverFromItsEarlierLife) {
  TestReplica& old = cluster_.AddAndStart("a");
  ASSERT_NE(cluster_.AwaitLeader(1s), nullptr);
  cluster_.Advance(1s);
  cluster_.Kill(old);
  TestReplica& reborn = cluster_.AddAndStart("a");
  EXPECT_TRUE(cluster_.RunUntil([&] { return reborn.leads(); }, 1s));
  EXPECT_EQ(reborn.epoch(), 2u);
  cluster_.Advance(30s);
  EXPECT_EQ(cluster_.log.grants.size(), 2u);
  ASSERT_EQ(reborn.view().replicas.size(), 1u);
  EXPECT_EQ(reborn.view().replicas[0].incarnation(), reborn.self.incarnation());
}

// F3: stopped, deposed, continued. Whatever it still wants to write, nothing is written.
TEST_P(ElectionTest, AZombieCommitsNothing) {
  TestReplica& old = StartThree();
  cluster_.Put("/d", "");
  ASSERT_TRUE(cluster_.Commit(old.last_fence, "/d/before").ok());
  old.executor->Pause();
  cluster_.ReportDeathToAll(old.incarnation());
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.log.grants.size() == 2; }, 1s));
  TestReplica* next = cluster_.Leader();
  ASSERT_NE(next, nullptr);
  ASSERT_NE(next, &old);
  ASSERT_TRUE(cluster_.Commit(next->last_fence, "/d/next").ok());

  std::vector<Code> zombie;
  for (int i = 0; i < 20; ++i) {
    old.last_fence->Commit({CoordinationOp::Create("/d/zombie" + std::to_string(i), "")},
                           [&](const absl::Status& status) { zombie.push_back(status.code()); });
  }
  old.executor->Resume();
  cluster_.Advance(20s);
  EXPECT_EQ(zombie, std::vector<Code>(20, Code::kAborted));
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(cluster_.Read("/d/zombie" + std::to_string(i)).status().code(), Code::kNotFound);
  }
  EXPECT_FALSE(old.leads());
  EXPECT_FALSE(old.view().self_leads);
  EXPECT_EQ(cluster_.log.grants.size(), 2u);
  EXPECT_TRUE(next->leads());
}

TEST_P(ElectionTest, AStoppedLeaderDoesNotClaimToLeadOnceItsConfirmationIsOld) {
  TestReplica& leader = StartThree();
  EXPECT_TRUE(leader.view().self_leads);
  leader.executor->Pause();
  cluster_.Advance(3500ms);
  EXPECT_FALSE(leader.view().self_leads);  // another thread asks
  leader.executor->Resume();
}

TEST_P(ElectionTest, ALeaderThatCannotConfirmStopsAnswering) {
  TestReplica& leader = StartThree();
  cluster_.server->SetDelay(leader.client, 1900ms, 1900ms);
  cluster_.Advance(3600ms);
  EXPECT_FALSE(leader.view().self_leads);
  EXPECT_FALSE(leader.views.back().self_leads);
  EXPECT_TRUE(leader.leads());
}

TEST_P(ElectionTest, ALostConnectionPausesAndResumesTheSameEpoch) {
  TestReplica& leader = StartThree();
  cluster_.server->Disconnect(leader.client);
  cluster_.Advance(10ms);
  EXPECT_FALSE(leader.view().connected);
  EXPECT_TRUE(leader.view().self_leads) << "what it confirmed a moment ago is true yet";
  cluster_.Advance(4s);
  EXPECT_FALSE(leader.view().self_leads);
  EXPECT_TRUE(leader.leads());
  cluster_.server->Reconnect(leader.client);
  cluster_.Advance(3s);
  EXPECT_TRUE(leader.leads());
  EXPECT_TRUE(leader.view().self_leads);
  EXPECT_TRUE(leader.revocations.empty());
  EXPECT_EQ(cluster_.log.grants.size(), 1u);
}

TEST_P(ElectionTest, AnExpiredSessionEndsTheEpoch) {
  TestReplica& old = StartThree();
  cluster_.server->Expire(old.client);
  cluster_.Advance(100ms);
  ASSERT_EQ(old.revocations.size(), 1u);
  TestReplica* next = cluster_.AwaitLeader(1s);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->epoch(), 2u);
  cluster_.Advance(1s);
  // It is back as a standby, in a new session.
  EXPECT_EQ(next->view().replicas.size(), 3u);
  EXPECT_TRUE(old.view().connected);
}

TEST_P(ElectionTest, ALongOutageOfTheServiceIsSurvivedWithoutAHand) {
  TestReplica& leader = StartThree();
  auto* service = &cluster_.server;
  for (auto& [id, replica] : cluster_.replicas) {
    (*service)->Disconnect(replica->client, Server::Cut::kSilent);
  }
  cluster_.Advance(60s);
  EXPECT_FALSE(leader.view().self_leads);
  for (auto& [id, replica] : cluster_.replicas) (*service)->Reconnect(replica->client);
  ASSERT_TRUE(cluster_.RunUntil([&] {
    auto* now = cluster_.Leader();
    return now != nullptr && now->view().self_leads;
  }));
  cluster_.Advance(5s);
  const auto leading = std::count_if(cluster_.replicas.begin(), cluster_.replicas.end(),
                                     [](auto& entry) { return entry.second->leads(); });
  EXPECT_EQ(leading, 1);
}

// T20: the answer to the election's multi is lost with the connection.
TEST_P(ElectionTest, LostAnswerOfAWonElectionIsReadBackAndGrantedOnce) {
  TestReplica& a = cluster_.Add("a");
  bool armed = false;
  // Before its multi arrives: the folders, its own node and `epoch` are made by then.
  a.spy->on_multi = [&](const std::vector<CoordinationOp>& ops) {
    if (ops.size() < 3 || std::exchange(armed, true)) return;
    cluster_.server->DropNextAnswer(a.client, Server::LostAnswer::kApplied);
  };
  a.Start();
  ASSERT_TRUE(cluster_.RunUntil([&] { return a.leads(); }));
  EXPECT_TRUE(armed);
  cluster_.Advance(5s);
  EXPECT_EQ(a.epoch(), 1u) << "won once, so granted once";
  EXPECT_EQ(cluster_.log.grants.size(), 1u);
  EXPECT_TRUE(a.view().self_leads);
  cluster_.Put("/d", "");
  EXPECT_TRUE(cluster_.Commit(a.fence, "/d/a").ok());
}

// Of two winners, the earlier one may hear of it last: its answer is under way while it is taken
// for dead and the next one is elected. It is granted an epoch that is over, and can do nothing
// with it.
TEST_P(ElectionTest, AWinnerThatIsToldAfterTheNextOneWritesNothingAndEnds) {
  cluster_.MakeMembers({"a", "b"});
  cluster_.Put("/d", "");
  TestReplica& a = cluster_.Add("a");
  a.spy->on_multi = [&](const std::vector<CoordinationOp>& ops) {
    if (ops.size() >= 3) cluster_.server->SetDelay(a.client, 0s, 500ms);
  };
  std::optional<absl::Status> written;
  a.on_grant = [&] {
    a.fence->Commit({CoordinationOp::Create("/d/a", "")},
                    [&](absl::Status status) { written = std::move(status); });
  };
  a.Start();
  cluster_.Advance(100ms);
  ASSERT_EQ(cluster_.EpochInTree(), 1u);
  EXPECT_FALSE(a.leads()) << "it is told already";
  TestReplica& b = cluster_.AddAndStart("b");
  b.Run([&] { b.election->ReportDeath(a.incarnation()); });
  ASSERT_TRUE(cluster_.RunUntil([&] { return b.leads(); }, 400ms));
  EXPECT_EQ(b.epoch(), 2u);
  EXPECT_TRUE(a.views.empty() || !a.views.back().self_leads);

  ASSERT_TRUE(cluster_.RunUntil([&] { return a.last_fence != nullptr; }, 1s)) << "it is not told";
  EXPECT_EQ(a.last_fence->epoch().value, 1u);
  ASSERT_TRUE(cluster_.RunUntil([&] { return !a.leads(); }, 2s)) << "it goes on";
  cluster_.Advance(2s);
  ASSERT_TRUE(written.has_value());
  EXPECT_EQ(written->code(), absl::StatusCode::kAborted) << *written;
  EXPECT_FALSE(cluster_.Read("/d/a").ok());
  EXPECT_TRUE(b.view().self_leads);
  EXPECT_EQ(cluster_.log.grants.size(), 2u);
}

TEST_P(ElectionTest, LostElectionIsHeldAgain) {
  TestReplica& a = cluster_.Add("a");
  bool armed = false;
  a.spy->on_multi = [&](const std::vector<CoordinationOp>& ops) {
    if (ops.size() < 3 || std::exchange(armed, true)) return;
    cluster_.server->DropNextAnswer(a.client, Server::LostAnswer::kNotApplied);
  };
  a.Start();
  ASSERT_TRUE(cluster_.RunUntil([&] { return a.leads(); }));
  EXPECT_EQ(a.epoch(), 1u);
}

TEST_P(ElectionTest, AWonElectionWhoseSessionExpiredIsNotGranted) {
  TestReplica& a = cluster_.Add("a");
  bool armed = false;
  a.spy->on_multi = [&](const std::vector<CoordinationOp>& ops) {
    if (ops.size() < 3 || std::exchange(armed, true)) return;
    cluster_.server->DropNextAnswer(a.client, Server::LostAnswer::kApplied);
    cluster_.server->Disconnect(a.client, Server::Cut::kReset);
  };
  a.Start();
  cluster_.RunUntil([&] { return armed; });
  cluster_.Advance(30s);
  EXPECT_EQ(cluster_.log.grants.size(), 0u);
  const uint64_t won = cluster_.EpochInTree();
  cluster_.server->Reconnect(a.client);
  ASSERT_TRUE(cluster_.RunUntil([&] { return a.leads(); }));
  EXPECT_EQ(a.epoch(), won + 1);
}

TEST_P(ElectionTest, ADeletedLeaderNodeEndsTheEpochAndAnotherFollows) {
  TestReplica& old = StartThree();
  cluster_.Remove(cluster_.paths.leader());
  cluster_.Advance(1s);
  EXPECT_EQ(old.revocations.size(), 1u);
  ASSERT_NE(cluster_.Leader(), nullptr);
  EXPECT_EQ(cluster_.Leader()->epoch(), 2u);
}

// F16.
TEST_P(ElectionTest, AZeroLengthLeaderNodeBlocksNobody) {
  cluster_.MakeMembers({"a"});
  cluster_.Put(cluster_.paths.leader(), "");
  TestReplica& a = cluster_.AddAndStart("a");
  EXPECT_TRUE(cluster_.RunUntil([&] { return a.leads(); }, 1s));
}

TEST_P(ElectionTest, LeaseAnswersAreRememberedAndFollowPauseAndResume) {
  TestReplica& leader = StartThree();
  const TaskManagerId x("x");
  auto answer = [&](TestReplica& replica) {
    std::optional<pb::LeaseQueryReply> reply;
    replica.Run([&] { reply = replica.election->AnswerLeaseQuery(x); });
    cluster_.RunUntil([&] { return reply.has_value(); });
    return *reply;
  };
  TestReplica& standby = *cluster_.replicas[leader.self.replica_id() == "a" ? "b" : "a"];
  EXPECT_TRUE(answer(leader).leads());
  EXPECT_FALSE(leader.election->LastLeaseAnswer(x).has_value());
  EXPECT_FALSE(answer(standby).leads());
  EXPECT_EQ(answer(standby).highest_epoch_seen(), 1u);
  EXPECT_EQ(standby.election->LastLeaseAnswer(x), cluster_.scheduler.Now());

  cluster_.server->Disconnect(leader.client);
  cluster_.Advance(1s);
  EXPECT_FALSE(answer(leader).leads()) << "a paused leader does not lead";
  const auto paused = leader.election->LastLeaseAnswer(x);
  EXPECT_TRUE(paused.has_value());
  cluster_.server->Reconnect(leader.client);
  cluster_.Advance(2s);
  EXPECT_TRUE(answer(leader).leads());
  EXPECT_EQ(leader.election->LastLeaseAnswer(x), paused);
}

// L4: a contender that is always refused does not spin.
TEST_P(ElectionTest, FailingElectionsBackOff) {
  TestReplica& a = cluster_.Add("a");
  a.spy->refusal = FailedPrecondition("always");
  a.Start();
  cluster_.Advance(10s);
  EXPECT_GT(a.spy->multi_sizes.size(), 10u);
  EXPECT_LT(a.spy->multi_sizes.size(), 200u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ElectionTest, ::testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace baton
