#include "ha/member_list.h"

#include <gtest/gtest.h>

#include <string>

namespace baton {
namespace {

pb::Member MemberAt(const std::string& id, const std::string& address) {
  pb::Member member;
  member.set_replica_id(id);
  member.set_rpc_address(address);
  return member;
}

pb::MemberList ListOf(const std::string& ids) {
  pb::MemberList list;
  list.set_version(7);
  for (const char id : ids) *list.add_members() = MemberAt({id}, std::string{id} + ":1");
  return list;
}

TEST(MemberListTest, EveryChangeHasAVersionAndNoChangeHasNone) {
  const pb::MemberList list = ListOf("ab");
  EXPECT_EQ(WithMember(list, MemberAt("a", "a:1"))->version(), 7u);
  EXPECT_EQ(WithMember(list, MemberAt("c", "c:1"))->version(), 8u);
  EXPECT_EQ(WithoutMember(list, ReplicaId("c"))->version(), 7u);
  EXPECT_EQ(WithoutMember(list, ReplicaId("b"))->version(), 8u);
  EXPECT_EQ(WithRetired(list, ReplicaId("z"))->version(), 8u) << "remembered, though never there";
  EXPECT_EQ(WithoutRetired(list, ReplicaId("a"))->version(), 7u);
}

TEST(MemberListTest, ANewcomerDisplacesWhoHadItsIdOrItsAddress) {
  const auto moved = WithMember(ListOf("ab"), MemberAt("b", "b:2"));
  ASSERT_EQ(moved->members_size(), 2);
  EXPECT_TRUE(HasMember(*moved, MemberAt("b", "b:2")));
  const auto replaced = WithMember(ListOf("ab"), MemberAt("c", "b:1"));
  ASSERT_EQ(replaced->members_size(), 2);
  EXPECT_FALSE(HasMember(*replaced, MemberAt("b", "b:1")));
}

TEST(MemberListTest, ARetiredReplicaIsNotAddedAgain) {
  auto list = WithRetired(ListOf("ab"), ReplicaId("b"));
  EXPECT_EQ(list->members_size(), 1);
  EXPECT_TRUE(IsRetired(*list, ReplicaId("b")));
  EXPECT_TRUE(absl::IsFailedPrecondition(WithMember(*list, MemberAt("b", "b:9")).status()));
  list = WithoutRetired(*list, ReplicaId("b"));
  EXPECT_EQ(WithMember(*list, MemberAt("b", "b:9"))->members_size(), 2);
}

TEST(MemberListTest, BothListsAreBounded) {
  pb::MemberList list;
  for (int i = 0; i < kMaxMembers; ++i) {
    const std::string id = "r" + std::to_string(i);
    list = *WithMember(list, MemberAt(id, id + ":1"));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(WithMember(list, MemberAt("x", "x:1")).status()));
  EXPECT_TRUE(WithMember(list, MemberAt("r3", "elsewhere:1")).ok()) << "it displaces one";
  for (int i = 0; i <= kMaxRetired; ++i) {
    list = *WithRetired(list, ReplicaId("q" + std::to_string(i)));
  }
  EXPECT_EQ(list.retired_size(), kMaxRetired);
  EXPECT_FALSE(IsRetired(list, ReplicaId("q0"))) << "the oldest is forgotten";
}

}  // namespace
}  // namespace baton
