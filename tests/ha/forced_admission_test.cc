#include "ha/forced_admission.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "ha/member_list.h"
#include "tests/ha/election_cluster.h"

namespace baton {
namespace {

using namespace std::chrono_literals;

class ForcedAdmissionTest : public testing::Test {
 protected:
  absl::StatusOr<pb::MemberList> Force(const std::string& id) {
    pb::Member member;
    member.set_replica_id(id);
    member.set_rpc_address(id + ":6123");
    auto result = std::make_shared<std::optional<absl::StatusOr<pb::MemberList>>>();
    ForceAdmission(cluster_.admin, cluster_.paths, member,
                   [result](auto list) { result->emplace(std::move(list)); });
    EXPECT_TRUE(cluster_.RunUntil([&] { return result->has_value(); }, 10s));
    return **result;
  }

  ElectionCluster cluster_{11};
};

TEST_F(ForcedAdmissionTest, AStrangerLeadsWhenEveryMemberIsLost) {
  cluster_.MakeMembers({"a"});
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.AwaitLeader(1s);
  TestReplica& b = cluster_.AddAndStart("b");
  cluster_.Kill(a);
  cluster_.Advance(60s);
  ASSERT_FALSE(b.leads());
  const auto list = Force("b");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->members_size(), 2) << "the leader removes the dead ones, or an operator does";
  EXPECT_TRUE(cluster_.RunUntil([&] { return b.leads(); }, 5s)) << "it runs, and sees it";
  EXPECT_EQ(b.epoch(), 2u);
}

TEST_F(ForcedAdmissionTest, IsRefusedWhileSomebodyLeads) {
  cluster_.MakeMembers({"a"});
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.AwaitLeader(1s);
  const auto refused = Force("b");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_NE(refused.status().message().find("leads epoch 1"), std::string::npos);
  EXPECT_EQ(a.view().members.members_size(), 1);
}

TEST_F(ForcedAdmissionTest, IsRefusedWhileAMemberLives) {
  cluster_.MakeMembers({"a", "b"});
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.AwaitLeader(1s);
  TestReplica& b = cluster_.AddAndStart("b");
  cluster_.Advance(1s);
  cluster_.Kill(a);
  cluster_.Kill(b);  // both sessions linger
  cluster_.Remove(cluster_.paths.leader());
  const auto refused = Force("c");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_NE(refused.status().message().find("is a member and alive"), std::string::npos);
  cluster_.Advance(60s);
  EXPECT_TRUE(Force("c").ok()) << "nobody is there any more";
}

TEST_F(ForcedAdmissionTest, ANewClusterNeedsNoForce) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Force("a").status()));
  TestReplica& a = cluster_.AddAndStart("a");
  EXPECT_TRUE(cluster_.RunUntil([&] { return a.leads(); }, 5s));
}

TEST_F(ForcedAdmissionTest, MendsADamagedListAndARetirement) {
  cluster_.MakeMembers({"a"});
  TestReplica& a = cluster_.AddAndStart("a");
  cluster_.AwaitLeader(1s);
  cluster_.Kill(a);
  cluster_.Advance(60s);
  pb::MemberList retired = *WithRetired(*WithRetired({}, ReplicaId("a")), ReplicaId("b"));
  cluster_.Remove(cluster_.paths.members());
  cluster_.Put(cluster_.paths.members(), retired.SerializeAsString());
  TestReplica& b = cluster_.AddAndStart("b");
  cluster_.Advance(5s);
  ASSERT_FALSE(b.leads());
  auto list = Force("b");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_FALSE(IsRetired(*list, ReplicaId("b")));
  EXPECT_TRUE(IsRetired(*list, ReplicaId("a")));
  EXPECT_TRUE(cluster_.RunUntil([&] { return b.leads(); }, 5s));
  cluster_.Kill(b);
  cluster_.Advance(60s);
  cluster_.Remove(cluster_.paths.members());
  cluster_.Put(cluster_.paths.members(), "\xff no list");
  list = Force("b");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_EQ(list->members_size(), 1);
}

}  // namespace
}  // namespace baton
