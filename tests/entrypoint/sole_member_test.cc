// Who may take the place of an earlier life in a directory, and when nobody may.

#include "entrypoint/sole_member.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/manual_executor.h"
#include "base/status.h"
#include "ha/embedded_coordination.h"

namespace baton {
namespace {

class SoleMemberTest : public ::testing::Test {
 protected:
  SoleMemberTest() {
    client_->Start([](SessionEvent) {});
    scheduler_.RunUntilIdle();
  }

  void Make(const std::string& path, const std::string& data = "") {
    client_->Create(path, data, NodeKind::kPersistent,
                    [path](const absl::Status& status) { EXPECT_TRUE(status.ok()) << path; });
    scheduler_.RunUntilIdle();
  }
  void MakeCluster(const pb::MemberList& list, const std::vector<std::string>& roster) {
    Make("/baton");
    Make(paths_.base());
    Make(paths_.members(), list.SerializeAsString());
    Make(paths_.roster());
    for (const std::string& id : roster) Make(paths_.roster(TaskManagerId(id)));
  }
  static pb::Member Member(const std::string& id, const std::string& address) {
    pb::Member member;
    member.set_replica_id(id);
    member.set_rpc_address(address);
    return member;
  }
  static pb::MemberList List(const pb::Member& member) {
    pb::MemberList list;
    list.set_version(4);
    *list.add_members() = member;
    return list;
  }

  absl::Status Claim(const pb::Member& self) {
    std::optional<absl::Status> claimed;
    ClaimMembership(*client_, paths_, {self, "local"},
                    [&](absl::Status status) { claimed = std::move(status); });
    scheduler_.RunUntilIdle();
    return claimed.value_or(Unknown("no answer"));
  }
  pb::MemberList Members() {
    pb::MemberList list;
    client_->Get(paths_.members(), nullptr, [&](absl::StatusOr<NodeData> node) {
      if (node.ok()) list.ParseFromString(node->data);
    });
    scheduler_.RunUntilIdle();
    return list;
  }

  ManualScheduler scheduler_{1};
  const CoordinationPaths paths_{"/baton", "c"};
  const CoordinationClientPtr client_ = NewEmbeddedClient(
      std::make_shared<EmbeddedCoordinationServer>(scheduler_.NewExecutor("server")),
      scheduler_.NewExecutor("client"), std::chrono::seconds(6));
};

TEST_F(SoleMemberTest, ANewClusterIsLeftToTheElection) {
  EXPECT_TRUE(Claim(Member("local", "h:1")).ok());
  EXPECT_EQ(Members().members_size(), 0);
}

TEST_F(SoleMemberTest, TheSameMemberChangesNothing) {
  MakeCluster(List(Member("local", "h:1")), {"local", "elsewhere"});
  EXPECT_TRUE(Claim(Member("local", "h:1")).ok());
  EXPECT_EQ(Members().version(), 4u);
}

TEST_F(SoleMemberTest, AnotherAddressTakesThePlaceWithANewVersion) {
  MakeCluster(List(Member("local", "h:1")), {"local"});
  ASSERT_TRUE(Claim(Member("local", "h:2")).ok());
  const pb::MemberList list = Members();
  EXPECT_EQ(list.version(), 5u);
  ASSERT_EQ(list.members_size(), 1);
  EXPECT_EQ(list.members(0).rpc_address(), "h:2");
}

TEST_F(SoleMemberTest, AnotherNameTakesThePlaceToo) {
  MakeCluster(List(Member("old-host-6123", "h:1")), {});
  ASSERT_TRUE(Claim(Member("local", "h:1")).ok());
  ASSERT_EQ(Members().members_size(), 1);
  EXPECT_EQ(Members().members(0).replica_id(), "local");
}

// It would renew its lease by the refusal of the old address while its tasks are run again (P4).
TEST_F(SoleMemberTest, NotWhileAWorkerElsewhereMayHoldTasks) {
  MakeCluster(List(Member("local", "h:1")), {"local", "elsewhere"});
  const absl::Status status = Claim(Member("local", "h:2"));
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_NE(status.message().find("elsewhere"), std::string::npos) << status;
  EXPECT_NE(status.message().find("h:1"), std::string::npos) << status;
  EXPECT_EQ(Members().members(0).rpc_address(), "h:1");
}

}  // namespace
}  // namespace baton
