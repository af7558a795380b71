// What every CoordinationClient promises, on the embedded service (several interleavings) and on a
// real ZooKeeper server.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "gtest/gtest.h"
#include "ha/coordination_client.h"
#include "tests/ha/coordination_service.h"

namespace baton {
namespace {

using testing::CoordinationService;

struct Implementation {
  std::string name;
  testing::ServiceMaker make;
};
void PrintTo(const Implementation& implementation, std::ostream* out) {
  *out << implementation.name;
}

// The session events of one client.
using Events = std::shared_ptr<std::vector<SessionEvent>>;

class CoordinationContract : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    service_ = GetParam().make();
    ASSERT_FALSE(HasFailure());
    one_ = NewConnected();
    two_ = NewConnected();
    // One server serves all tests: each has a node of its own.
    static int last_root = 0;
    root_ = "/contract-" + std::to_string(++last_root);
    ASSERT_TRUE(Create(one_, root_).ok());
  }

  void TearDown() override {
    for (auto& [client, events] : events_) client->Close();
    one_ = two_ = nullptr;
    events_.clear();
    service_ = nullptr;
  }

  CoordinationClientPtr NewStarted() {
    auto client = service_->NewClient();
    auto events = std::make_shared<std::vector<SessionEvent>>();
    events_[client] = events;
    client->Start([events](SessionEvent event) { events->push_back(event); });
    return client;
  }
  CoordinationClientPtr NewConnected() {
    auto client = NewStarted();
    EXPECT_TRUE(WaitFor([&] { return IsConnected(client); }));
    return client;
  }

  bool WaitFor(const std::function<bool()>& condition) { return service_->RunUntil(condition); }
  bool IsConnected(const CoordinationClientPtr& client) {
    auto& events = *events_.at(client);
    return !events.empty() && events.back().state == SessionState::kConnected;
  }
  int64_t SessionOf(const CoordinationClientPtr& client) {
    return events_.at(client)->back().session_id;
  }

  // The synchronous forms: wait for the one answer.
  template <class T>
  T Await(const std::function<void(std::function<void(T)>)>& call) {
    auto answers = std::make_shared<std::vector<T>>();
    call([answers](T answer) { answers->push_back(std::move(answer)); });
    EXPECT_TRUE(answers->empty()) << "answered within the call";
    EXPECT_TRUE(WaitFor([&] { return !answers->empty(); })) << "not answered";
    EXPECT_EQ(answers->size(), 1u);
    return answers->empty() ? T(Internal("no answer")) : answers->front();
  }
  absl::Status Create(const CoordinationClientPtr& client, const std::string& path,
                      const std::string& data = "", NodeKind kind = NodeKind::kPersistent) {
    return Await<absl::Status>([&](auto done) { client->Create(path, data, kind, done); });
  }
  absl::StatusOr<NodeData> Get(const CoordinationClientPtr& client, const std::string& path,
                               CoordinationClient::Watcher watcher = nullptr) {
    return Await<absl::StatusOr<NodeData>>(
        [&](auto done) { client->Get(path, std::move(watcher), done); });
  }
  absl::StatusOr<std::vector<std::string>> Children(const CoordinationClientPtr& client,
                                                    const std::string& path,
                                                    CoordinationClient::Watcher watcher = nullptr) {
    return Await<absl::StatusOr<std::vector<std::string>>>(
        [&](auto done) { client->Children(path, std::move(watcher), done); });
  }
  absl::StatusOr<NodeStat> Set(const CoordinationClientPtr& client, const std::string& path,
                               const std::string& data, int32_t version = kAnyVersion) {
    return Await<absl::StatusOr<NodeStat>>(
        [&](auto done) { client->Set(path, data, version, done); });
  }
  absl::Status Delete(const CoordinationClientPtr& client, const std::string& path,
                      int32_t version = kAnyVersion) {
    return Await<absl::Status>([&](auto done) { client->Delete(path, version, done); });
  }
  absl::Status Sync(const CoordinationClientPtr& client) {
    return Await<absl::Status>([&](auto done) { client->Sync(root_, done); });
  }
  // For the time after a fault: a connection may break once more before it holds.
  bool SyncOnceConnected(const CoordinationClientPtr& client) {
    for (int attempt = 0; attempt < 5; ++attempt) {
      if (WaitFor([&] { return IsConnected(client); }) && Sync(client).ok()) return true;
    }
    return false;
  }
  MultiResult Multi(const CoordinationClientPtr& client, std::vector<CoordinationOp> ops) {
    auto answer = std::make_shared<std::optional<MultiResult>>();
    client->Multi(std::move(ops), [answer](MultiResult result) { *answer = std::move(result); });
    EXPECT_TRUE(WaitFor([&] { return answer->has_value(); }));
    return answer->value_or(MultiResult{Internal("no answer"), std::nullopt});
  }

  static CoordinationClient::Watcher Count(std::shared_ptr<int> fired) {
    return [fired = std::move(fired)] { ++*fired; };
  }

  std::unique_ptr<CoordinationService> service_;
  std::map<CoordinationClientPtr, Events> events_;
  CoordinationClientPtr one_;
  CoordinationClientPtr two_;
  std::string root_;
};

// ---- Nodes

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

// ---- Watches

TEST_P(CoordinationContract, AWatchOnANodeFiresOnce) {
  ASSERT_TRUE(Create(one_, root_ + "/n").ok());
  auto fired = std::make_shared<int>(0);
  ASSERT_TRUE(Get(one_, root_ + "/n", Count(fired)).ok());
  ASSERT_TRUE(Set(two_, root_ + "/n", "x").ok());
  ASSERT_TRUE(WaitFor([&] { return *fired == 1; }));
  ASSERT_TRUE(Set(two_, root_ + "/n", "y").ok());
  ASSERT_TRUE(Sync(one_).ok());
  EXPECT_EQ(*fired, 1);

  ASSERT_TRUE(Get(one_, root_ + "/n", Count(fired)).ok());
  ASSERT_TRUE(Delete(two_, root_ + "/n").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 2; }));
}

TEST_P(CoordinationContract, AWatchOnAMissingNodeFiresWhenItAppears) {
  auto fired = std::make_shared<int>(0);
  EXPECT_TRUE(absl::IsNotFound(Get(one_, root_ + "/n", Count(fired)).status()));
  ASSERT_TRUE(Create(two_, root_ + "/other").ok());
  ASSERT_TRUE(Sync(one_).ok());
  EXPECT_EQ(*fired, 0);
  ASSERT_TRUE(Create(two_, root_ + "/n").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 1; }));
}

TEST_P(CoordinationContract, AChildrenWatchFiresWhenOneComesOrGoes) {
  ASSERT_TRUE(Create(one_, root_ + "/old").ok());
  auto fired = std::make_shared<int>(0);
  ASSERT_TRUE(Children(one_, root_, Count(fired)).ok());
  ASSERT_TRUE(Set(two_, root_ + "/old", "changed").ok());
  ASSERT_TRUE(Sync(one_).ok());
  EXPECT_EQ(*fired, 0);
  ASSERT_TRUE(Create(two_, root_ + "/new").ok());
  ASSERT_TRUE(WaitFor([&] { return *fired == 1; }));

  ASSERT_TRUE(Children(one_, root_, Count(fired)).ok());
  ASSERT_TRUE(Delete(two_, root_ + "/old").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 2; }));
}

TEST_P(CoordinationContract, AChildrenWatchOnAMissingNodeFiresWhenItAppears) {
  auto fired = std::make_shared<int>(0);
  EXPECT_TRUE(absl::IsNotFound(Children(one_, root_ + "/n", Count(fired)).status()));
  ASSERT_TRUE(Create(two_, root_ + "/n").ok());
  EXPECT_TRUE(WaitFor([&] { return *fired == 1; }));
}

TEST_P(CoordinationContract, AWatchFiresBeforeItsSessionSeesTheChange) {
  ASSERT_TRUE(Create(one_, root_ + "/n", "old").ok());
  for (int i = 0; i < 20; ++i) {
    auto fired = std::make_shared<int>(0);
    const std::string before = Get(one_, root_ + "/n", Count(fired))->data;
    two_->Set(root_ + "/n", std::to_string(i), kAnyVersion, [](absl::StatusOr<NodeStat>) {});
    bool seen = false;
    while (!seen) {
      auto node = Get(one_, root_ + "/n");
      ASSERT_TRUE(node.ok());
      seen = node->data != before;
      EXPECT_EQ(*fired, seen ? 1 : *fired);
    }
  }
}

TEST_P(CoordinationContract, AWatchFiresForOnesOwnChangeToo) {
  auto fired = std::make_shared<int>(0);
  EXPECT_TRUE(absl::IsNotFound(Get(one_, root_ + "/n", Count(fired)).status()));
  ASSERT_TRUE(Create(one_, root_ + "/n").ok());
  EXPECT_EQ(*fired, 1);
}

// ---- Sessions

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
  std::vector<Implementation> all = {{"ZooKeeper", testing::NewZooKeeperService}};
  for (uint64_t seed : {1, 2, 3, 4, 5}) {
    all.push_back({"EmbeddedSeed" + std::to_string(seed),
                   [seed] { return testing::NewEmbeddedService(seed); }});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Coordination, CoordinationContract, ::testing::ValuesIn(Implementations()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace baton
