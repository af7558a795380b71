// What a TaskManager makes of the leader's orders: it takes none now, it answers late, it is asked
// for more than its link carries.

#include <gtest/gtest.h>

#include <optional>

#include "tests/dispatcher/worker_fixture.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class OrdersTest : public WorkerFixture {
 protected:
  void Add(TestSource& source) {
    rm_->AddSource(&source, WaitingOrder::Of(0, executor_->WallNow(), source.job_id()),
                   ResourceManagerGateway::Origin::kNew);
    rm_->OnDemandChanged(source.job_id());
    PassTime(milliseconds(200));
  }
};

TEST_F(OrdersTest, OneThatTakesNothingIsLeftAloneUntilItRegistersAgain) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  worker.turns_away = true;
  TestSource first("first", 1), second("second", 1);
  Add(first);
  ASSERT_EQ(first.reasons, std::vector{LossReason::kTurnedAway});
  worker.turns_away = false;
  Add(second);
  PassTimeAlive(seconds(2));
  EXPECT_TRUE(second.offers.empty());
  Register(worker, "tm", 1);
  EXPECT_EQ(worker.deployed.size(), 1u);
}

TEST_F(OrdersTest, OneThatTookNothingIsTriedAgainAfterAWhile) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  worker.turns_away = true;
  TestSource first("first", 1), second("second", 1);
  Add(first);
  worker.turns_away = false;
  Add(second);
  PassTimeAlive(seconds(7));
  EXPECT_EQ(worker.deployed.size(), 1u);
}

// Else nobody would ever hear that it refused some of them: they would be deployed for ever.
TEST_F(OrdersTest, ADeploymentThatIsAnsweredTooLateIsSettledByTheNextInventory) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  KeepGuardianAlive("tm");
  worker.answers_orders = false;
  TestSource source("job", 1);
  Add(source);
  ASSERT_EQ(worker.unanswered.size(), 1u);
  PassTimeAlive(seconds(12));
  EXPECT_TRUE(worker.link == nullptr);
  EXPECT_TRUE(source.lost.empty());
  Connect("tm").answers_orders = true;
  Register(worker, "tm", 1);
  EXPECT_EQ(source.lost.size(), 1u);
}

TEST_F(OrdersTest, ACancelThatIsAnsweredTooLateIsRepeated) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  KeepGuardianAlive("tm");
  TestSource source("job", 1);
  Add(source);
  ASSERT_EQ(worker.deployed.size(), 1u);
  const auto id = *FromProto(worker.deployed[0].id());
  worker.answers_orders = false;
  rm_->CancelAttempt(id);
  PassTimeAlive(seconds(12));
  EXPECT_TRUE(worker.link == nullptr);
  Connect("tm").answers_orders = true;
  Register(worker, "tm", 1, {StatusOf(id, pb::AttemptStatus::RUNNING)});
  EXPECT_EQ(worker.cancelled, std::vector{id});
}

// The refusal is late, and comes over the link of the registration that follows.
TEST_F(OrdersTest, ARefusalInTheNameOfAnEndedRegistrationDoesNotSilenceTheNextOne) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  worker.answers_orders = false;
  TestSource first("first", 1), second("second", 1);
  Add(first);
  ASSERT_EQ(worker.unanswered.size(), 1u);
  Register(worker, "tm", 1);
  worker.link->ReplyError(worker.unanswered[0],
                          absl::FailedPreconditionError("registration R1 has ended"));
  PassTime(milliseconds(100));
  worker.answers_orders = true;
  Add(second);
  EXPECT_EQ(worker.deployed.size(), 1u) << "it takes tasks";
}

TEST_F(OrdersTest, NobodyHasALogIsSaidOnlyWhenEverybodyHasRegistered) {
  EnlistForEarlierLeader("absent");
  MakeResourceManager();
  std::optional<absl::Status> answer;
  const auto read = [&] {
    rm_->ReadLog(TaskManagerId(), {JobId::FromKey("job"), 0, 0, 0, Epoch{1}},
                 {JobId::FromKey("job"), "a", 0, 0, "stdout", 0, 1 << 20},
                 [&](auto chunk) { answer = chunk.status(); });
  };
  read();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(absl::IsUnavailable(*answer)) << *answer;
  PassTime(seconds(25));
  ASSERT_TRUE(rm_->roster_settled());
  read();
  EXPECT_TRUE(absl::IsNotFound(*answer)) << *answer;
}

// P7: a hundred readers of the logs of one TaskManager behind a slow network, a mebibyte each. What
// has been asked is still to come when the readers have lost patience.
TEST_F(OrdersTest, ReadsOfLogsNeverFillTheLinkOfATaskManager) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  std::vector<absl::Status> answers;
  const auto read_many = [&] {
    for (int i = 0; i < 100; ++i) {
      rm_->ReadLog(TaskManagerId("tm"), {JobId::FromKey("job"), 0, 0, 0, Epoch{1}},
                   {JobId::FromKey("job"), "a", 0, 0, "stdout", 0, 1 << 20},
                   [&](auto chunk) { answers.push_back(chunk.status()); });
    }
    PassTime(milliseconds(100));
  };
  read_many();
  const size_t asked = worker.unanswered.size();
  EXPECT_GE(asked, 16u) << "as many as REST asks at once";
  EXPECT_LT(asked << 20, size_t{64} << 20) << "what may wait for a peer before it is dropped";
  ASSERT_EQ(answers.size(), 100 - asked);
  for (const auto& answer : answers) EXPECT_TRUE(absl::IsResourceExhausted(answer)) << answer;
  answers.clear();
  PassTimeAlive(seconds(10));
  EXPECT_EQ(answers.size(), asked) << "each is answered in bounded time";
  read_many();
  EXPECT_EQ(worker.unanswered.size(), asked) << "what was asked is on its way yet";
  EXPECT_TRUE(worker.link != nullptr);

  for (const auto& read : std::exchange(worker.unanswered, {})) {
    pb::Envelope reply;
    reply.mutable_read_task_log_reply()->set_content("text");
    worker.link->Reply(read, std::move(reply));
  }
  PassTimeAlive(seconds(1));
  answers.clear();
  read_many();
  EXPECT_EQ(worker.unanswered.size(), asked);
  worker.link->Close();
  PassTime(milliseconds(100));
  EXPECT_EQ(answers.size(), 100u);
}

}  // namespace
}  // namespace baton
