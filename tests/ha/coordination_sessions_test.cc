// Sessions: their states, their end, and what becomes of calls and ephemeral nodes.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/ha/coordination_contract.h"

namespace baton::testing {
namespace {

TEST_P(CoordinationContract, TheListenerHearsThePresentStateFirst) {
  auto client = NewConnected();
  const auto& events = *events_.at(client);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].state, SessionState::kConnecting);
  EXPECT_EQ(events[1].state, SessionState::kConnected);
  EXPECT_NE(events[1].session_id, 0);
  EXPECT_NE(events[1].session_id, SessionOf(one_));
}

TEST_P(CoordinationContract, ACallBeforeTheConnectionIsUnavailable) {
  auto client = service_->NewClient();
  EXPECT_TRUE(absl::IsUnavailable(Create(client, root_ + "/n")));
  EXPECT_TRUE(absl::IsNotFound(Get(one_, root_ + "/n").status()));
  client->Close();
}

TEST_P(CoordinationContract, AnEphemeralNodeNamesItsSessionAndHasNoChildren) {
  ASSERT_TRUE(Create(one_, root_ + "/e", "x", NodeKind::kEphemeral).ok());
  EXPECT_EQ(Get(two_, root_ + "/e")->stat.ephemeral_owner, SessionOf(one_));
  EXPECT_TRUE(absl::IsFailedPrecondition(Create(one_, root_ + "/e/child")));
}

TEST_P(CoordinationContract, CloseEndsTheSessionAndItsEphemeralsAtOnce) {
  auto third = NewConnected();
  ASSERT_TRUE(Create(third, root_ + "/e", "", NodeKind::kEphemeral).ok());
  ASSERT_TRUE(Create(third, root_ + "/p", "").ok());
  auto fired = std::make_shared<int>(0);
  auto of_third = std::make_shared<int>(0);
  ASSERT_TRUE(Get(one_, root_ + "/e", Count(fired)).ok());
  ASSERT_TRUE(Get(third, root_ + "/e", Count(of_third)).ok());
  third->Close();
  third->Close();
  ASSERT_TRUE(WaitFor([&] { return *fired == 1; }));
  EXPECT_TRUE(absl::IsNotFound(Get(one_, root_ + "/e").status()));
  EXPECT_TRUE(Get(one_, root_ + "/p").ok());
  EXPECT_TRUE(absl::IsAborted(Get(third, root_ + "/p").status()));
  EXPECT_EQ(events_.at(third)->size(), 2u) << "nothing is told after Close";
  EXPECT_EQ(*of_third, 0);
}

TEST_P(CoordinationContract, CloseEndsPendingCallsWithAborted) {
  auto third = NewConnected();
  std::vector<absl::Status> answers;
  for (int i = 0; i < 10; ++i) {
    third->Get(root_, nullptr,
               [&](absl::StatusOr<NodeData> node) { answers.push_back(node.status()); });
  }
  third->Close();
  ASSERT_TRUE(WaitFor([&] { return answers.size() == 10; }));
  EXPECT_TRUE(absl::IsAborted(answers.back())) << answers.back();
}

TEST_P(CoordinationContract, ASessionSurvivesAShortCutAndHearsWhatItMissed) {
  ASSERT_TRUE(Create(one_, root_ + "/e", "", NodeKind::kEphemeral).ok());
  auto of_node = std::make_shared<int>(0);
  auto of_absence = std::make_shared<int>(0);
  auto of_children = std::make_shared<int>(0);
  ASSERT_TRUE(Get(one_, root_, Count(of_node)).ok());
  ASSERT_FALSE(Get(one_, root_ + "/n", Count(of_absence)).ok());
  ASSERT_TRUE(Children(one_, root_, Count(of_children)).ok());
  const int64_t session = SessionOf(one_);

  service_->CutOff(one_);
  ASSERT_TRUE(WaitFor([&] { return !IsConnected(one_); }));
  EXPECT_EQ(events_.at(one_)->back().state, SessionState::kConnecting);
  EXPECT_TRUE(absl::IsUnavailable(Create(one_, root_ + "/x")));
  ASSERT_TRUE(Multi(two_, {CoordinationOp::Set(root_, "x", kAnyVersion),
                           CoordinationOp::Create(root_ + "/n", "")})
                  .status.ok());
  EXPECT_EQ(*of_node + *of_absence + *of_children, 0);

  service_->Heal(one_);
  ASSERT_TRUE(WaitFor([&] { return IsConnected(one_); }));
  EXPECT_EQ(SessionOf(one_), session);
  EXPECT_TRUE(WaitFor([&] { return *of_node == 1 && *of_absence == 1 && *of_children == 1; }));
  EXPECT_EQ(Get(one_, root_ + "/e")->stat.ephemeral_owner, session);
}

TEST_P(CoordinationContract, ALostAnswerIsUnknownAndCanBeReadBack) {
  ASSERT_TRUE(Create(one_, root_ + "/n", "old").ok());
  auto seen = std::make_shared<int>(0);
  ASSERT_TRUE(Get(two_, root_ + "/n", Count(seen)).ok());
  std::optional<absl::StatusOr<NodeStat>> answer;
  service_->LoseAnswers(one_);
  one_->Set(root_ + "/n", "new", 0,
            [&](absl::StatusOr<NodeStat> stat) { answer = std::move(stat); });
  ASSERT_TRUE(WaitFor([&] { return *seen == 1; }));
  service_->CutOff(one_);
  ASSERT_TRUE(WaitFor([&] { return answer.has_value(); }));
  EXPECT_TRUE(absl::IsUnknown(answer->status())) << answer->status();

  service_->Heal(one_);
  ASSERT_TRUE(SyncOnceConnected(one_));
  EXPECT_EQ(Get(one_, root_ + "/n")->data, "new");
}

TEST_P(CoordinationContract, AnExpiredSessionLosesItsEphemeralsAndAnotherIsBegun) {
  ASSERT_TRUE(Create(one_, root_ + "/e", "", NodeKind::kEphemeral).ok());
  auto gone = std::make_shared<int>(0);
  auto own_watch = std::make_shared<int>(0);
  auto own_children = std::make_shared<int>(0);
  ASSERT_TRUE(Get(two_, root_ + "/e", Count(gone)).ok());
  ASSERT_FALSE(Get(one_, root_ + "/n", Count(own_watch)).ok());
  ASSERT_TRUE(Children(one_, root_, Count(own_children)).ok());
  const int64_t session = SessionOf(one_);

  service_->CutOff(one_);
  ASSERT_TRUE(WaitFor([&] { return *gone == 1; }));
  EXPECT_TRUE(absl::IsNotFound(Get(two_, root_ + "/e").status()));
  EXPECT_EQ(events_.at(one_)->back().state, SessionState::kConnecting);

  service_->Heal(one_);
  ASSERT_TRUE(WaitFor([&] { return IsConnected(one_); }));
  const auto& events = *events_.at(one_);
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events[events.size() - 2].state, SessionState::kExpired);
  EXPECT_EQ(events[events.size() - 2].session_id, session);
  EXPECT_NE(SessionOf(one_), session);
  EXPECT_EQ(*own_watch, 1);
  EXPECT_EQ(*own_children, 1);
  ASSERT_TRUE(Create(one_, root_ + "/e", "", NodeKind::kEphemeral).ok());
  EXPECT_EQ(Get(two_, root_ + "/e")->stat.ephemeral_owner, SessionOf(one_));
}

TEST_P(CoordinationContract, WhileTheServiceIsDownCallsAreAnsweredAndAfterwardsTheyWork) {
  ASSERT_TRUE(Create(one_, root_ + "/e", "", NodeKind::kEphemeral).ok());
  const int64_t session = SessionOf(one_);
  service_->GoDown();
  for (int i = 0; i < 3; ++i) {
    absl::Status status = Create(one_, root_ + "/n" + std::to_string(i));
    EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsUnknown(status)) << status;
  }
  EXPECT_TRUE(WaitFor([&] { return !IsConnected(one_) && !IsConnected(two_); }));
  EXPECT_TRUE(absl::IsUnavailable(Create(one_, root_ + "/late")));

  service_->ComeBack();
  ASSERT_TRUE(SyncOnceConnected(one_) && SyncOnceConnected(two_));
  EXPECT_TRUE(absl::IsNotFound(Get(one_, root_ + "/late").status()));
  EXPECT_TRUE(Create(one_, root_ + "/late").ok());
  // However long that took: the ephemeral node went if and only if its session did.
  EXPECT_EQ(Get(one_, root_ + "/e").ok(), SessionOf(one_) == session);
}

TEST_P(CoordinationContract, ACallbackMayCallAndClose) {
  auto third = NewConnected();
  bool closed = false;
  third->Get(root_, nullptr, [&, third](absl::StatusOr<NodeData>) {
    third->Children(root_, nullptr, [&, third](absl::StatusOr<std::vector<std::string>>) {
      third->Close();
      closed = true;
    });
  });
  EXPECT_TRUE(WaitFor([&] { return closed; }));
  EXPECT_TRUE(absl::IsAborted(Get(third, root_).status()));
}

std::vector<Implementation> Implementations() {
  std::vector<Implementation> all = {{"ZooKeeper", NewZooKeeperService}};
  for (uint64_t seed : {1, 2, 3, 4, 5}) {
    all.push_back(
        {"EmbeddedSeed" + std::to_string(seed), [seed] { return NewEmbeddedService(seed); }});
    all.push_back(
        {"JournaledSeed" + std::to_string(seed), [seed] { return NewJournaledService(seed); }});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Coordination, CoordinationContract, ::testing::ValuesIn(Implementations()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace baton::testing
