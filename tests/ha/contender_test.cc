// Who may contend, and when nobody does: members, strangers, a tree that lost its epoch.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ha/member_list.h"
#include "tests/ha/election_fixture.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using Code = absl::StatusCode;

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
  for (const char* path : {"/baton", "/baton/test", "/baton/test/jobs", "/baton/test/jobs/a",
                           "/baton/test/jobs/a/abcd"}) {
    cluster_.Put(path, "");
  }
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.Advance(30s);
  EXPECT_FALSE(a.leads());
  EXPECT_EQ(cluster_.Read(cluster_.paths.epoch()).status().code(), Code::kNotFound);
  ASSERT_EQ(errors_.size(), 1u) << "once is enough";
  EXPECT_NE(errors_[0].find("/baton/test/jobs/a/abcd"), std::string::npos) << errors_[0];
  cluster_.Remove("/baton/test/jobs/a/abcd");
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
       {"/baton", "/baton/test", "/baton/test/jobs", "/baton/test/jobs/a", "/baton/test/roster"}) {
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

}  // namespace
}  // namespace baton
