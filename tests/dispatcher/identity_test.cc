// Who a TaskManager is: two that say they are the same one, and what the roster says of it.

#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/dispatcher/held_fence.h"
#include "tests/dispatcher/worker_fixture.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Origin = ResourceManagerGateway::Origin;

class IdentityTest : public WorkerFixture {
 protected:
  void Add(TestSource& source, Origin origin = Origin::kNew) {
    rm_->AddSource(&source, WaitingOrder::Of(0, executor_->WallNow(), source.job_id()), origin);
    rm_->OnDemandChanged(source.job_id());
    PassTime(milliseconds(200));
  }
  TestWorker& JoinAs(const std::string& id, uint32_t slots, const std::string& incarnation) {
    TestWorker& worker = Connect(id);
    worker.incarnation = incarnation;
    Register(worker, id, slots);
    return worker;
  }
  pb::TaskManagerDescription OnRosterOf(const std::string& id) {
    const auto entry = Run<absl::StatusOr<NodeData>>(
        [&](auto done) { other_->Get("/baton/c/roster/" + id, nullptr, std::move(done)); });
    pb::TaskManagerDescription description;
    EXPECT_TRUE(entry.ok() && description.ParseFromString(entry->data)) << entry.status();
    return description;
  }
  // As "tm" on another machine says it.
  static pb::TaskManagerDescription Newcomer() {
    auto description = DescriptionOf("tm", 1, "second");
    description.set_liveness_address("elsewhere:liveness");
    description.set_guardian_incarnation("another-guardian");
    return description;
  }
  // The `number`th of one incarnation of "tm".
  static pb::RegisterTaskManager Numbered(uint64_t number,
                                          const std::vector<ExecutionAttemptId>& inventory = {}) {
    pb::RegisterTaskManager registration;
    *registration.mutable_description() = DescriptionOf("tm", 1, "first");
    registration.set_number(number);
    for (const auto& id : inventory) {
      *registration.add_inventory() = StatusOf(id, pb::AttemptStatus::RUNNING);
    }
    return registration;
  }
};

// By two addresses of the leader: what is stuck on one of the links is given up, and comes after a
// later one that went over the other.
TEST_F(IdentityTest, ARegistrationThatWasOvertakenOnAnotherLinkIsRefused) {
  MakeResourceManager();
  TestWorker& slow = Connect("stuck link");
  TestWorker& worker = Connect("tm");
  KeepGuardianAlive("tm");
  ASSERT_TRUE(TryRegister(worker, Numbered(2)).ok());
  TestSource source("job", 1);
  Add(source);
  ASSERT_EQ(worker.deployed.size(), 1u);
  const absl::Status answer = TryRegister(slow, Numbered(1));
  EXPECT_TRUE(absl::IsAborted(answer)) << answer;
  PassTimeAlive(seconds(2));
  EXPECT_TRUE(source.lost.empty()) << "it runs";
  EXPECT_TRUE(worker.link != nullptr);
  const auto id = *FromProto(worker.deployed[0].id());
  EXPECT_TRUE(TryRegister(slow, Numbered(3, {id})).ok());
  EXPECT_TRUE(source.lost.empty());
}

// Nor does it end the one that overtook it, while that waits for the leader to be confirmed.
TEST_F(IdentityTest, AnOvertakenRegistrationLeavesTheNewerOneAlone) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& slow = Connect("stuck link");
  TestWorker& worker = Connect("tm");
  fence->holds = true;
  EXPECT_TRUE(absl::IsDeadlineExceeded(TryRegister(worker, Numbered(2))));
  EXPECT_TRUE(absl::IsAborted(TryRegister(slow, Numbered(1))));
  for (auto& confirmed : std::exchange(fence->held, {})) confirmed(absl::OkStatus());
  PassTime(milliseconds(100));
  EXPECT_FALSE(worker.registration_id.empty());
  rm_ = nullptr;
}

TEST_F(IdentityTest, OneThatWaitedForTheRosterAndWasOvertakenMeanwhileIsRefused) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  PrepareResourceManager();
  TestWorker& slow = Connect("stuck link");
  TestWorker& worker = Connect("tm");
  EXPECT_TRUE(absl::IsDeadlineExceeded(TryRegister(slow, Numbered(1))));
  fence->holds = true;
  EXPECT_TRUE(absl::IsDeadlineExceeded(TryRegister(worker, Numbered(2))));
  rm_->Start();
  PassTime(seconds(1));
  EXPECT_TRUE(slow.registration_id.empty());
  for (auto& confirmed : std::exchange(fence->held, {})) confirmed(absl::OkStatus());
  PassTime(milliseconds(100));
  EXPECT_FALSE(worker.registration_id.empty());
  rm_ = nullptr;
}

// That it was lost is no word about what is on its way.
TEST_F(IdentityTest, AnOvertakenRegistrationIsRefusedAlsoAfterALoss) {
  MakeResourceManager();
  TestWorker& slow = Connect("stuck link");
  TestWorker& worker = Connect("tm");
  ASSERT_TRUE(TryRegister(worker, Numbered(2)).ok());
  TestSource source("job", 1);
  Add(source);
  worker.link->Close();  // and nobody listens at its liveness port
  PassTime(seconds(2));
  ASSERT_EQ(source.lost.size(), 1u);
  EXPECT_TRUE(absl::IsAborted(TryRegister(slow, Numbered(1))));
  EXPECT_TRUE(TryRegister(slow, Numbered(3)).ok());
}

// An older version counts none: the last that comes is the newest.
TEST_F(IdentityTest, RegistrationsWithoutANumberAreNotCompared) {
  MakeResourceManager();
  TestWorker& worker = Connect("tm");
  EXPECT_TRUE(TryRegister(worker, Numbered(2)).ok());
  EXPECT_TRUE(TryRegister(worker, Numbered(0)).ok());
  EXPECT_TRUE(TryRegister(worker, Numbered(3)).ok());
}

// Incarnations turn up and are gone before they are answered, thousands of them: of those only so
// many are remembered, but of one that has a session always.
TEST_F(IdentityTest, NumbersOfIncarnationsWithoutASessionAreForgottenWhenTheyAreMany) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& slow = Connect("stuck link");
  TestWorker& worker = Connect("tm");
  TestWorker& crowd = Connect("crowd");
  ASSERT_TRUE(TryRegister(worker, Numbered(2)).ok());
  fence->holds = true;  // the others are not answered
  const auto ghost = [](int i, uint64_t number) {
    pb::RegisterTaskManager registration;
    *registration.mutable_description() = DescriptionOf("ghost", 1, std::to_string(i));
    registration.set_number(number);
    return registration;
  };
  const auto appear = [&](int i, uint64_t number) {
    EXPECT_FALSE(TryRegister(crowd, ghost(i, number), milliseconds(1)).ok());
  };
  appear(0, 5);
  EXPECT_TRUE(absl::IsAborted(TryRegister(crowd, ghost(0, 4)))) << "it is remembered";
  for (int i = 1; i < 990; ++i) appear(i, 1);
  EXPECT_TRUE(absl::IsAborted(TryRegister(crowd, ghost(0, 4)))) << "there is room";
  for (int i = 990; i < 1'100; ++i) appear(i, 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(TryRegister(crowd, ghost(0, 4)))) << "still remembered";
  EXPECT_TRUE(absl::IsAborted(TryRegister(slow, Numbered(1)))) << "it has a session";
  rm_ = nullptr;
}

// It asks five times a second; the log has one line for each that is turned away, not for each
// time.
TEST_F(IdentityTest, OneThatIsTurnedAwayIsLoggedOnce) {
  int lines = 0;
  log::SetSink([&](log::Level, const std::string& line) {
    lines += line.find("TaskManager is turned away") != std::string::npos;
  });
  MakeResourceManager();
  JoinAs("tm", 1, "first");
  KeepGuardianAlive("tm");
  TestWorker& second = Connect("elsewhere");
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(TryRegister(second, Newcomer()).ok());
  EXPECT_EQ(lines, 1);
  auto third = Newcomer();
  third.set_incarnation("third");
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(TryRegister(second, third).ok());
  EXPECT_EQ(lines, 2);
  log::SetSink(nullptr);
}

TEST_F(IdentityTest, ASecondTaskManagerWithTheIdOfALivingOneIsTurnedAway) {
  MakeResourceManager();
  TestWorker& first = JoinAs("tm", 1, "first");
  KeepGuardianAlive("tm");
  TestSource source("job", 1);
  Add(source);
  ASSERT_EQ(first.deployed.size(), 1u);
  TestWorker& second = Connect("elsewhere");
  for (int i = 0; i < 40; ++i) {
    const absl::Status answer = TryRegister(second, Newcomer());
    EXPECT_TRUE(absl::IsFailedPrecondition(answer)) << answer;
    EXPECT_NE(answer.message().find("another TaskManager runs as tm at"), std::string::npos);
    PassTimeAlive(seconds(1));
  }
  EXPECT_TRUE(source.lost.empty());
  EXPECT_TRUE(first.link != nullptr);
  EXPECT_EQ(first.deployed.size() + second.deployed.size(), 1u);
}

TEST_F(IdentityTest, TheSecondIsTakenOnceTheGuardianOfTheFirstIsDead) {
  MakeResourceManager();
  TestWorker& first = JoinAs("tm", 1, "first");
  TestSource source("job", 1);
  Add(source);
  first.link->Close();  // and nobody listens at its liveness port
  PassTime(milliseconds(100));
  TestWorker& second = Connect("elsewhere");
  const absl::Status answer = TryRegister(second, Newcomer());
  EXPECT_TRUE(absl::IsFailedPrecondition(answer)) << answer;
  EXPECT_TRUE(source.lost.empty()) << "the kernel may still be ending its tasks";
  PassTime(milliseconds(1'500));
  EXPECT_EQ(source.lost.size(), 1u);
  EXPECT_TRUE(TryRegister(second, Newcomer()).ok());
}

TEST_F(IdentityTest, ASilentFirstIsWaitedForUntilItsLeaseIsOver) {
  MakeResourceManager();
  TestWorker& first = JoinAs("tm", 1, "first");
  KeepGuardianAlive("tm");
  TestSource source("job", 1);
  Add(source);
  first.link->Close();
  TestWorker& second = Connect("elsewhere");
  PassTime(seconds(19));
  EXPECT_FALSE(TryRegister(second, Newcomer()).ok());
  EXPECT_TRUE(source.lost.empty());
  PassTime(seconds(3));
  EXPECT_TRUE(TryRegister(second, Newcomer()).ok());
  EXPECT_EQ(source.lost.size(), 1u);
}

TEST_F(IdentityTest, OneThatHeldNothingIsFollowedAtOnce) {
  MakeResourceManager();
  JoinAs("tm", 1, "first").link->Close();
  PassTime(milliseconds(10));
  EXPECT_TRUE(TryRegister(Connect("elsewhere"), Newcomer()).ok());
}

// The new leader has not heard the first one: what it may hold, only the roster tells.
TEST_F(IdentityTest, OneThatIsOnTheRosterIsNotReplacedByAnotherOfItsName) {
  EnlistForEarlierLeader(DescriptionOf("tm", 1, "first"));
  transports_["tm"] = network_->NewProcess("tm");
  KeepGuardianAlive("tm");
  PrepareResourceManager();
  TestWorker& second = Connect("elsewhere");
  EXPECT_TRUE(absl::IsDeadlineExceeded(TryRegister(second, Newcomer())))
      << "the roster is not read yet, so nobody knows who else there is";
  rm_->Start();
  PassTime(seconds(1));
  EXPECT_TRUE(second.registration_id.empty());
  EXPECT_FALSE(rm_->roster_settled());
  const absl::Status answer = TryRegister(second, Newcomer());
  EXPECT_TRUE(absl::IsFailedPrecondition(answer)) << answer;
  TestSource recovered("recovered", 0);
  Add(recovered, Origin::kRecovered);
  TestWorker& first = JoinAs("tm", 1, "first");
  EXPECT_TRUE(rm_->roster_settled());
  EXPECT_FALSE(first.registration_id.empty());
  EXPECT_FALSE(TryRegister(second, Newcomer()).ok());
}

TEST_F(IdentityTest, RegistrationsThatCameBeforeTheRosterAreAnsweredWhenItIsRead) {
  EnlistForEarlierLeader(DescriptionOf("tm", 1, "first"));
  PrepareResourceManager();
  TestWorker& worker = Connect("tm");
  EXPECT_TRUE(absl::IsDeadlineExceeded(TryRegister(worker, DescriptionOf("tm", 1, "first"))));
  rm_->Start();
  PassTime(milliseconds(100));
  EXPECT_FALSE(worker.registration_id.empty());
  EXPECT_TRUE(rm_->roster_settled());
}

// Its predecessor may have renewed its lease a moment before.
TEST_F(IdentityTest, OneThatIsOnTheRosterIsWaitedForFromTheBeginningOfTheEpoch) {
  EnlistForEarlierLeader("absent");
  PassTime(std::chrono::hours(1));
  MakeResourceManager();
  PassTime(seconds(20));
  EXPECT_FALSE(rm_->roster_settled());
  PassTime(seconds(3));
  EXPECT_TRUE(rm_->roster_settled());
}

// While its entry is being written, its guardian dies and another one registers: the entry names
// the dead one.
TEST_F(IdentityTest, AnEntryThatWasOvertakenByAnotherGuardianIsWrittenAgain) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  fence->holds_commits = true;
  TestSource source("job", 1);
  Add(source);
  ASSERT_EQ(fence->held_commits.size(), 1u);
  auto description = DescriptionOf("tm", 1);
  description.set_guardian_incarnation("next-guardian");
  ASSERT_TRUE(TryRegister(worker, description).ok());
  fence->held_commits[0]();
  PassTime(milliseconds(500));
  EXPECT_TRUE(worker.deployed.empty()) << "the next leader would ask a dead guardian";
  ASSERT_EQ(fence->held_commits.size(), 2u);
  fence->held_commits[1]();
  PassTime(milliseconds(500));
  EXPECT_EQ(worker.deployed.size(), 1u);
  EXPECT_EQ(OnRosterOf("tm").guardian_incarnation(), "next-guardian");
  rm_ = nullptr;
}

// A delisting that certainly did not happen leaves an entry that names the guardian of then.
TEST_F(IdentityTest, AnEntryThatOutlivedItsDelistingNamesTheGuardianOfThen) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  EnlistForEarlierLeader(DescriptionOf("tm", 1));
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  PassTimeAlive(seconds(25));
  fence->holds_commits = true;
  PassTimeAlive(seconds(10));  // it is being delisted
  ASSERT_EQ(fence->held_commits.size(), 1u);
  auto description = DescriptionOf("tm", 1);
  description.set_guardian_incarnation("next-guardian");
  ASSERT_TRUE(TryRegister(worker, description).ok());
  fence->says = absl::UnavailableError("paused");
  fence->holds_commits = false;
  fence->held_commits[0]();
  fence->says.reset();
  TestSource source("job", 1);
  Add(source);
  PassTimeAlive(seconds(2));
  EXPECT_EQ(worker.deployed.size(), 1u);
  EXPECT_EQ(OnRosterOf("tm").guardian_incarnation(), "next-guardian");
  rm_ = nullptr;
}

TEST_F(IdentityTest, AnIdleOneThatAnEarlierLeaderEnlistedLeavesTheRoster) {
  EnlistForEarlierLeader(DescriptionOf("tm", 1, "first"));
  auto other_guardian = DescriptionOf("other", 1, "first");
  other_guardian.set_guardian_incarnation("an-earlier-one");
  EnlistForEarlierLeader(other_guardian);
  MakeResourceManager();
  JoinAs("tm", 1, "first");
  JoinAs("other", 1, "first");
  PassTimeAlive(seconds(35));
  EXPECT_FALSE(OnRoster("tm"));
  EXPECT_FALSE(OnRoster("other"));
}

// It is tried each second, not at every report: a transaction that fails takes its group along.
TEST_F(IdentityTest, AnEntryThatCannotBeWrittenIsNotTriedAtEveryTurn) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  fence->says = absl::UnknownError("the answer is lost");
  fence->commits = 0;
  TestSource source("job", 1);
  Add(source);
  for (int i = 0; i < 100; ++i) {
    rm_->OnDemandChanged(source.job_id());
    PassTime(milliseconds(20));
  }
  EXPECT_LE(fence->commits, 4);
  EXPECT_TRUE(worker.deployed.empty());
  rm_ = nullptr;
}

}  // namespace
}  // namespace baton
