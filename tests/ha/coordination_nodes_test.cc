// Nodes, their versions and children, and transactions on them.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/ha/coordination_contract.h"

namespace baton::testing {
namespace {

TEST_P(CoordinationContract, NodesAreCreatedReadChangedAndDeleted) {
  const std::string path = root_ + "/a";
  ASSERT_TRUE(Create(one_, path, "first").ok());
  auto node = Get(one_, path);
  ASSERT_TRUE(node.ok()) << node.status();
  EXPECT_EQ(node->data, "first");
  EXPECT_EQ(node->stat.version, 0);
  EXPECT_EQ(node->stat.ephemeral_owner, 0);

  auto stat = Set(one_, path, "second", 0);
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_EQ(stat->version, 1);
  EXPECT_EQ(stat->created_zxid, node->stat.created_zxid);
  EXPECT_EQ(Get(one_, path)->data, "second");

  EXPECT_TRUE(Delete(one_, path, 1).ok());
  EXPECT_TRUE(absl::IsNotFound(Get(one_, path).status()));
}

TEST_P(CoordinationContract, RefusalsHaveTheirCodesAndChangeNothing) {
  const std::string path = root_ + "/a";
  EXPECT_TRUE(absl::IsNotFound(Create(one_, path + "/child")));
  EXPECT_TRUE(absl::IsNotFound(Set(one_, path, "x").status()));
  EXPECT_TRUE(absl::IsNotFound(Delete(one_, path)));
  EXPECT_TRUE(absl::IsNotFound(Children(one_, path).status()));
  ASSERT_TRUE(Create(one_, path, "x").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Create(one_, path, "y")));
  EXPECT_TRUE(absl::IsFailedPrecondition(Set(one_, path, "y", 7).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete(one_, path, 7)));
  ASSERT_TRUE(Create(one_, path + "/child").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete(one_, path)));
  auto node = Get(one_, path);
  ASSERT_TRUE(node.ok());
  EXPECT_EQ(node->data, "x");
  EXPECT_EQ(node->stat.version, 0);
}

TEST_P(CoordinationContract, BadInputIsRefusedAndTheSessionLivesOn) {
  for (const char* path : {"", "a", "/a/", "//a", "/a//b", "/a/../b", "/./a"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Get(one_, path).status())) << path;
    EXPECT_TRUE(absl::IsInvalidArgument(Create(one_, path))) << path;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(Delete(one_, "/")));
  EXPECT_TRUE(absl::IsInvalidArgument(Multi(one_, {}).status));
  EXPECT_TRUE(absl::IsInvalidArgument(Create(one_, root_ + "/big", std::string(2 << 20, 'x'))));
  EXPECT_TRUE(Get(one_, root_).ok());
  EXPECT_TRUE(IsConnected(one_));
}

TEST_P(CoordinationContract, DataIsBytesOfAnyKindAndNumber) {
  const std::string zeros("a\0b\0", 4);
  ASSERT_TRUE(Create(one_, root_ + "/zeros", zeros).ok());
  ASSERT_TRUE(Create(one_, root_ + "/empty", "").ok());
  const std::string large(900'000, 'x');
  ASSERT_TRUE(Create(one_, root_ + "/large", large).ok());
  EXPECT_EQ(Get(two_, root_ + "/zeros")->data, zeros);
  EXPECT_EQ(Get(two_, root_ + "/empty")->data, "");
  EXPECT_EQ(Get(two_, root_ + "/large")->data, large);
  ASSERT_TRUE(Set(one_, root_ + "/zeros", "").ok());
  EXPECT_EQ(Get(two_, root_ + "/zeros")->data, "");
}

TEST_P(CoordinationContract, TheVersionStartsAgainWhenANodeIsMadeAgain) {
  const std::string path = root_ + "/a";
  ASSERT_TRUE(Create(one_, path).ok());
  ASSERT_TRUE(Set(one_, path, "x").ok());
  const auto before = Get(one_, path);
  ASSERT_EQ(before->stat.version, 1);
  ASSERT_TRUE(Delete(one_, path).ok());
  ASSERT_TRUE(Create(one_, path).ok());
  const auto after = Get(one_, path);
  EXPECT_EQ(after->stat.version, 0);
  EXPECT_GT(after->stat.created_zxid, before->stat.created_zxid);
}

TEST_P(CoordinationContract, ChildrenAreSortedNames) {
  for (const char* name : {"b", "c", "a"}) ASSERT_TRUE(Create(one_, root_ + "/" + name).ok());
  auto children = Children(one_, root_);
  ASSERT_TRUE(children.ok());
  EXPECT_EQ(*children, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(Children(one_, root_ + "/a")->empty());
}

TEST_P(CoordinationContract, CallsTakeEffectAndAreAnsweredInTheirOrder) {
  ASSERT_TRUE(Create(one_, root_ + "/n").ok());
  std::vector<int> answered;
  for (int i = 0; i < 100; ++i) {
    one_->Set(root_ + "/n", std::to_string(i), i, [&answered, i](absl::StatusOr<NodeStat> stat) {
      EXPECT_TRUE(stat.ok()) << stat.status();
      answered.push_back(i);
    });
  }
  ASSERT_TRUE(WaitFor([&] { return answered.size() == 100; }));
  EXPECT_TRUE(std::is_sorted(answered.begin(), answered.end()));
  EXPECT_EQ(Get(one_, root_ + "/n")->data, "99");
}

TEST_P(CoordinationContract, AnotherSeesWhatWasCommittedAfterASync) {
  for (int i = 0; i < 10; ++i) {
    const std::string path = root_ + "/" + std::to_string(i);
    ASSERT_TRUE(Create(one_, path, "x").ok());
    ASSERT_TRUE(Sync(two_).ok());
    EXPECT_TRUE(Get(two_, path).ok());
  }
}

// ---- Transactions

TEST_P(CoordinationContract, ATransactionIsAppliedAsOne) {
  ASSERT_TRUE(Create(one_, root_ + "/old", "x").ok());
  MultiResult result = Multi(
      one_, {CoordinationOp::Check(root_ + "/old", 0), CoordinationOp::Create(root_ + "/new", "1"),
             // Each op sees what the ones before it did.
             CoordinationOp::Create(root_ + "/new/child", "2"),
             CoordinationOp::Set(root_ + "/new", "3", 0), CoordinationOp::Delete(root_ + "/old", 0),
             CoordinationOp::Create(root_ + "/old", "again")});
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_FALSE(result.failed_op.has_value());
  EXPECT_EQ(Get(two_, root_ + "/new")->data, "3");
  EXPECT_EQ(Get(two_, root_ + "/new/child")->data, "2");
  EXPECT_EQ(Get(two_, root_ + "/old")->data, "again");
}

TEST_P(CoordinationContract, ATransactionThatFailsChangesNothingAndNamesTheOp) {
  ASSERT_TRUE(Create(one_, root_ + "/a", "x").ok());
  const std::vector<CoordinationOp> good = {CoordinationOp::Create(root_ + "/new", "1"),
                                            CoordinationOp::Set(root_ + "/a", "y", 0),
                                            CoordinationOp::Delete(root_ + "/a", 1)};
  const std::vector<std::pair<CoordinationOp, absl::StatusCode>> bad = {
      {CoordinationOp::Check(root_, 99), absl::StatusCode::kFailedPrecondition},
      {CoordinationOp::Check(root_ + "/none", kAnyVersion), absl::StatusCode::kNotFound},
      {CoordinationOp::Create(root_ + "/new", ""), absl::StatusCode::kAlreadyExists},
      {CoordinationOp::Create(root_ + "/none/x", ""), absl::StatusCode::kNotFound},
      {CoordinationOp::Set(root_ + "/a", "", kAnyVersion), absl::StatusCode::kNotFound},
      {CoordinationOp::Delete(root_, kAnyVersion), absl::StatusCode::kFailedPrecondition},
  };
  for (const auto& [op, code] : bad) {
    auto ops = good;
    ops.push_back(op);
    ops.push_back(CoordinationOp::Create(root_ + "/later", ""));
    MultiResult result = Multi(one_, ops);
    EXPECT_EQ(result.status.code(), code) << op.path << ": " << result.status;
    EXPECT_EQ(result.failed_op, 3u) << op.path;
    EXPECT_EQ(Get(one_, root_ + "/a")->data, "x");
    EXPECT_EQ(Get(one_, root_ + "/a")->stat.version, 0);
    EXPECT_EQ(Children(one_, root_)->size(), 1u);
  }
}

TEST_P(CoordinationContract, OfTwoTransactionsOnOneVersionOneWins) {
  ASSERT_TRUE(Create(one_, root_ + "/epoch", "0").ok());
  for (int round = 0; round < 10; ++round) {
    std::vector<absl::Status> answers;
    for (const auto& client : {one_, two_}) {
      client->Multi({CoordinationOp::Set(root_ + "/epoch", "x", round),
                     CoordinationOp::Create(root_ + "/leader", "", NodeKind::kEphemeral)},
                    [&answers](MultiResult result) { answers.push_back(result.status); });
    }
    ASSERT_TRUE(WaitFor([&] { return answers.size() == 2; }));
    EXPECT_NE(answers[0].ok(), answers[1].ok());
    ASSERT_TRUE(Delete(one_, root_ + "/leader").ok());
  }
}

}  // namespace
}  // namespace baton::testing
