#include "ha/leader_election.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "ha/member_list.h"
#include "tests/ha/election_cluster.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using Server = EmbeddedCoordinationServer;
using Code = absl::StatusCode;

class ElectionTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  ElectionTest() : cluster_(GetParam()) {
    log::SetSink([this](log::Level level, const std::string& line) {
      if (level == log::Level::kError) errors_.push_back(line);
    });
  }
  ~ElectionTest() override { log::SetSink(nullptr); }

  // Three members, one of whom leads.
  TestReplica& StartThree() {
    cluster_.MakeMembers({"a", "b", "c"});
    for (const char* id : {"a", "b", "c"}) cluster_.AddAndStart(id);
    TestReplica* leader = cluster_.AwaitLeader(1s);
    cluster_.Advance(100ms);
    return *leader;
  }

  std::optional<absl::Status> HandOver(TestReplica& replica) {
    std::optional<absl::Status> result;
    replica.Run([&] {
      replica.election->HandOver([&](absl::Status status) { result = std::move(status); });
    });
    cluster_.RunUntil([&] { return result.has_value(); });
    return result;
  }

  ElectionCluster cluster_;
  std::vector<std::string> errors_;
};

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

TEST_P(ElectionTest, HandOverDrainsAndAnotherLeadsWithinMilliseconds) {
  TestReplica& old = StartThree();
  cluster_.Put("/d", "");
  std::optional<absl::Status> accepted;
  old.last_fence->Commit({CoordinationOp::Create("/d/a", "")},
                         [&](absl::Status status) { accepted = std::move(status); });
  const TimePoint before = cluster_.scheduler.Now();
  EXPECT_EQ(HandOver(old), absl::OkStatus());
  EXPECT_EQ(accepted, absl::OkStatus()) << "not drained";
  ASSERT_EQ(old.revocations.size(), 1u);
  EXPECT_TRUE(old.revocations[0].ok());
  TestReplica* next = cluster_.AwaitLeader(1s);
  ASSERT_NE(next, nullptr);
  EXPECT_NE(next, &old);
  EXPECT_LT(cluster_.scheduler.Now() - before, 200ms);
  EXPECT_EQ(next->epoch(), 2u);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "hand-over");
  EXPECT_EQ(cluster_.Commit(old.last_fence, "/d/late").code(), Code::kAborted);
}

TEST_P(ElectionTest, HandOverIsRefusedWithoutASuccessorOrLeadership) {
  cluster_.MakeMembers({"a", "b"});
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.AwaitLeader(1s);
  TestReplica& stranger = cluster_.AddAndStart("stranger");
  cluster_.Advance(100ms);
  EXPECT_EQ(HandOver(a)->code(), Code::kFailedPrecondition);
  EXPECT_EQ(HandOver(stranger)->code(), Code::kFailedPrecondition);
  EXPECT_TRUE(a.leads());
}

TEST_P(ElectionTest, HandOverWhoseAnswerIsLostStillEndsInOneLeader) {
  for (auto lost : {Server::LostAnswer::kApplied, Server::LostAnswer::kNotApplied}) {
    ElectionCluster cluster(GetParam());
    cluster.MakeMembers({"a", "b"});
    cluster.AddAndStart("a");
    cluster.AddAndStart("b");
    TestReplica& old = *cluster.AwaitLeader(1s);
    cluster.Advance(100ms);
    std::optional<absl::Status> result;
    cluster.server->DropNextAnswer(old.client, lost);
    old.Run(
        [&] { old.election->HandOver([&](absl::Status status) { result = std::move(status); }); });
    ASSERT_TRUE(cluster.RunUntil([&] { return result.has_value(); }));
    EXPECT_TRUE(result->ok());
    ASSERT_TRUE(cluster.RunUntil([&] { return cluster.log.grants.size() == 2; }));
    cluster.Advance(5s);
    EXPECT_EQ(cluster.log.grants.size(), 2u);
    EXPECT_NE(cluster.Leader(), &old);
  }
}

TEST_P(ElectionTest, StopHandsOverAndLeaves) {
  TestReplica& old = StartThree();
  bool stopped = false;
  old.Run([&] { old.election->Stop([&] { stopped = true; }); });
  ASSERT_TRUE(cluster_.RunUntil([&] { return stopped; }, 1s));
  EXPECT_FALSE(old.leads());
  TestReplica* next = cluster_.AwaitLeader(1s);
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(cluster_.log.grants.back().cause(), "hand-over");
  cluster_.Advance(1s);
  EXPECT_EQ(next->view().replicas.size(), 2u);
}

TEST_P(ElectionTest, StopEndsEvenWithoutTheService) {
  TestReplica& old = StartThree();
  cluster_.server->Disconnect(old.client, Server::Cut::kSilent);
  cluster_.Advance(100ms);
  bool stopped = false;
  old.Run([&] { old.election->Stop([&] { stopped = true; }); });
  EXPECT_TRUE(cluster_.RunUntil([&] { return stopped; }, 6s));
  EXPECT_FALSE(old.leads());
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

TEST_P(ElectionTest, AStrangerNeverContendsUntilTheLeaderAddsIt) {
  cluster_.MakeMembers({"a"});
  TestReplica& a = cluster_.AddAndStart("a");
  TestReplica& b = cluster_.AddAndStart("b");
  cluster_.AwaitLeader(1s);
  cluster_.Kill(a);
  cluster_.ReportDeathToAll(a.incarnation());
  cluster_.Advance(60s);
  EXPECT_FALSE(b.leads());
  EXPECT_EQ(cluster_.EpochInTree(), 1u);

  TestReplica& again = cluster_.AddAndStart("a");
  ASSERT_TRUE(cluster_.RunUntil([&] { return again.leads(); }, 1s));
  pb::Member member;
  member.set_replica_id("b");
  member.set_rpc_address("b:6123");
  for (int i = 0; i < 2; ++i) {  // adding it twice adds it once
    std::optional<absl::Status> added;
    again.Run([&] {
      const auto list = WithMember(again.view().members, member);
      if (!list.ok() || list->version() == again.view().members.version()) {
        added = list.status();
        return;
      }
      again.fence->Commit(
          {CoordinationOp::Set(cluster_.paths.members(), list->SerializeAsString(), kAnyVersion)},
          [&](absl::Status status) { added = std::move(status); });
    });
    ASSERT_TRUE(cluster_.RunUntil([&] { return added.has_value(); }));
    EXPECT_TRUE(added->ok());
    cluster_.Advance(100ms);
  }
  cluster_.Advance(100ms);
  EXPECT_EQ(b.view().members.members_size(), 2);
  EXPECT_EQ(b.view().members.version(), 2u);
  EXPECT_TRUE(HandOver(again)->ok());
  EXPECT_TRUE(cluster_.RunUntil([&] { return b.leads(); }, 1s));
}

// The list of members that a candidate read must still hold when it wins: it may have been removed.
TEST_P(ElectionTest, AnElectionByAnOlderMemberListIsLost) {
  cluster_.MakeMembers({"a"});
  TestReplica& a = cluster_.Add("a");
  bool contended = false;
  a.spy->on_multi = [&](const std::vector<CoordinationOp>& ops) {
    if (ops.size() < 3 || std::exchange(contended, true)) return;
    cluster_.server->SetDelay(a.client, 50ms, 0ms);
    cluster_.admin->Set(cluster_.paths.members(), "", 0,
                        [](const auto& set) { EXPECT_TRUE(set.ok()); });
  };
  a.Start();
  cluster_.Advance(30s);
  EXPECT_TRUE(contended);
  EXPECT_FALSE(a.leads());
  EXPECT_TRUE(cluster_.log.grants.empty());
}

TEST_P(ElectionTest, AMemberUnderAnotherAddressIsAStranger) {
  cluster_.MakeMembers({"a", "b"});
  pb::MemberList list;
  ASSERT_TRUE(list.ParseFromString(cluster_.Read(cluster_.paths.members())->data));
  list.mutable_members(0)->set_rpc_address("elsewhere:6123");
  cluster_.Remove(cluster_.paths.members());
  cluster_.Put(cluster_.paths.members(), list.SerializeAsString());
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.Advance(30s);
  EXPECT_FALSE(a.leads());
}

TEST_P(ElectionTest, AMissingEpochWithJobsOnRecordIsNotStartedAnew) {
  for (const char* path : {"/baton", "/baton/test", "/baton/test/jobs", "/baton/test/jobs/ab",
                           "/baton/test/jobs/ab/abcd"}) {
    cluster_.Put(path, "");
  }
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.Advance(30s);
  EXPECT_FALSE(a.leads());
  EXPECT_EQ(cluster_.Read(cluster_.paths.epoch()).status().code(), Code::kNotFound);
  ASSERT_EQ(errors_.size(), 1u) << "once is enough";
  EXPECT_NE(errors_[0].find("/baton/test/jobs/ab/abcd"), std::string::npos) << errors_[0];
  cluster_.Remove("/baton/test/jobs/ab/abcd");
  EXPECT_TRUE(cluster_.RunUntil([&] { return a.leads(); }));
}

TEST_P(ElectionTest, AZeroLengthEpochWithARosterIsNotStartedAnew) {
  for (const char* path : {"/baton", "/baton/test", "/baton/test/epoch", "/baton/test/roster",
                           "/baton/test/roster/x"}) {
    cluster_.Put(path, "");
  }
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.Advance(30s);
  EXPECT_FALSE(a.leads());
}

TEST_P(ElectionTest, EmptyFoldersAreANewCluster) {
  for (const char* path :
       {"/baton", "/baton/test", "/baton/test/jobs", "/baton/test/jobs/ab", "/baton/test/roster"}) {
    cluster_.Put(path, "");
  }
  TestReplica& a = cluster_.AddAndStart("a");
  EXPECT_TRUE(cluster_.RunUntil([&] { return a.leads(); }, 1s));
}

TEST_P(ElectionTest, WhoKnowsAHigherEpochThanTheTreeDoesNotContend) {
  TestReplica& a = cluster_.Add("a");
  a.Run([&] { a.election->ObserveEpoch(Epoch{7}); });
  a.Start();
  cluster_.Advance(30s);
  EXPECT_FALSE(a.leads());
  EXPECT_EQ(errors_.size(), 1u);
}

// The whole tree was lost under running replicas: epoch 1 must not come again.
TEST_P(ElectionTest, AWipedTreeIsNotStartedAnewByThoseWhoRemember) {
  TestReplica& leader = StartThree();
  cluster_.admin->Multi({CoordinationOp::Delete(cluster_.paths.leader(), kAnyVersion),
                         CoordinationOp::Delete(cluster_.paths.members(), kAnyVersion),
                         CoordinationOp::Delete(cluster_.paths.epoch(), kAnyVersion)},
                        [](const MultiResult& result) { EXPECT_TRUE(result.status.ok()); });
  cluster_.Advance(60s);
  EXPECT_FALSE(leader.leads());
  EXPECT_EQ(cluster_.log.grants.size(), 1u);
  EXPECT_FALSE(errors_.empty());
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

// Every fault in any order, many seeds: the log of grants checks that no epoch comes twice, the
// fences that none but the newest can write.
class ElectionChaosTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  ElectionChaosTest() : cluster_(GetParam()), random_(GetParam()) {}

  TestReplica& Any() {
    auto it = cluster_.replicas.begin();
    std::advance(it, random_() % cluster_.replicas.size());
    return *it->second;
  }

  void Fault() {
    TestReplica& victim = Any();
    switch (random_() % 9) {
      case 0:
        cluster_.Kill(victim);
        if (random_() % 2 == 0) cluster_.ReportDeathToAll(victim.incarnation());
        cluster_.AddAndStart(victim.self.replica_id());
        break;
      case 1:
        cluster_.server->Disconnect(victim.client, Server::Cut::kReset);
        break;
      case 2:
        cluster_.server->Disconnect(victim.client, Server::Cut::kSilent);
        break;
      case 3:
        cluster_.server->Reconnect(victim.client);
        break;
      case 4:
        cluster_.server->Expire(victim.client);
        break;
      case 5:
        cluster_.server->DropNextAnswer(victim.client, random_() % 2 == 0
                                                           ? Server::LostAnswer::kApplied
                                                           : Server::LostAnswer::kNotApplied);
        break;
      case 6:
        victim.executor->Pause();
        // Wrongly: it is a zombie then, and its session lives.
        if (random_() % 2 == 0) cluster_.ReportDeathToAll(victim.incarnation());
        break;
      case 7:
        victim.executor->Resume();
        break;
      case 8:
        victim.Run([election = victim.election] { election->HandOver([](const auto&) {}); });
        break;
    }
  }

  // Each writes with the newest fence it ever had, zombie or not.
  void WriteByAll() {
    for (auto& [id, replica] : cluster_.replicas) {
      if (!replica->last_fence) continue;
      const uint64_t epoch = replica->last_fence->epoch().value;
      const std::string path = "/d/" + std::to_string(writes_++);
      replica->last_fence->Commit({CoordinationOp::Create(path, std::to_string(epoch))},
                                  [](const absl::Status&) {});
    }
  }

  ElectionCluster cluster_;
  std::mt19937_64 random_;
  int writes_ = 0;
};

TEST_P(ElectionChaosTest, EpochsGrowOneByOneAndOnlyTheNewestWrites) {
  cluster_.MakeMembers({"a", "b", "c"});
  cluster_.Put("/d", "");
  for (const char* id : {"a", "b", "c"}) cluster_.AddAndStart(id);
  for (int i = 0; i < 60; ++i) {
    Fault();
    WriteByAll();
    cluster_.Advance(Duration(random_() % 3'000) * 1'000'000);
  }
  for (auto& [id, replica] : cluster_.replicas) {
    replica->executor->Resume();
    cluster_.server->Reconnect(replica->client);
  }
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() != nullptr; })) << "L1, L3";
  cluster_.Advance(15s);
  ASSERT_NE(cluster_.Leader(), nullptr);
  EXPECT_TRUE(cluster_.Leader()->view().self_leads);
  EXPECT_EQ(cluster_.Leader()->epoch(), cluster_.EpochInTree());
  const auto leading = std::count_if(cluster_.replicas.begin(), cluster_.replicas.end(),
                                     [](auto& entry) { return entry.second->leads(); });
  EXPECT_EQ(leading, 1);

  // I3: in the order in which they were committed, the epochs of the writes never go back.
  std::vector<std::pair<int64_t, uint64_t>> written;
  for (int i = 0; i < writes_; ++i) {
    auto node = cluster_.Read("/d/" + std::to_string(i));
    if (node.ok()) written.emplace_back(node->stat.created_zxid, std::stoull(node->data));
  }
  EXPECT_FALSE(written.empty());
  std::sort(written.begin(), written.end());
  for (size_t i = 1; i < written.size(); ++i) {
    EXPECT_LE(written[i - 1].second, written[i].second) << "an older leader wrote after a newer";
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ElectionChaosTest, ::testing::Range<uint64_t>(1, 151));

}  // namespace
}  // namespace baton
