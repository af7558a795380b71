#include "dispatcher/resource_manager/resource_manager.h"

#include <gtest/gtest.h>

#include "tests/dispatcher/held_fence.h"
#include "tests/dispatcher/worker_fixture.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Origin = ResourceManagerGateway::Origin;

class ResourceManagerTest : public WorkerFixture {
 protected:
  void Add(TestSource& source, Origin origin = Origin::kNew, int32_t priority = 0) {
    rm_->AddSource(&source, WaitingOrder::Of(priority, executor_->WallNow(), source.job_id()),
                   origin);
    rm_->OnDemandChanged(source.job_id());
    PassTime(milliseconds(200));
  }
};

TEST_F(ResourceManagerTest, ATaskManagerIsOnTheRosterBeforeItsFirstTask) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 2);
  EXPECT_FALSE(OnRoster("tm")) << "it holds nothing yet";
  TestSource source("job", 3);
  Add(source);
  EXPECT_EQ(worker.deployed.size(), 2u) << "one task a slot";
  EXPECT_TRUE(OnRoster("tm"));
}

TEST_F(ResourceManagerTest, ASlotIsGivenAgainWhenItsTaskHasEnded) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 2);
  Add(source);
  ASSERT_EQ(worker.deployed.size(), 1u);
  Report(worker, StatusOf(*FromProto(worker.deployed[0].id()), pb::AttemptStatus::ENDED));
  EXPECT_EQ(worker.deployed.size(), 2u);
  EXPECT_EQ(source.reported.size(), 1u);
  EXPECT_TRUE(worker.confirmed.empty());
  rm_->ConfirmReport(*FromProto(worker.deployed[0].id()));
  PassTime(milliseconds(100));
  EXPECT_EQ(worker.confirmed.size(), 1u);
}

// Its JobMaster would wait for the end of a stray that nobody cancels.
TEST_F(ResourceManagerTest, AnAttemptThatHasEndedDoesNotRunAgain) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 1);
  Add(source);
  ASSERT_EQ(worker.deployed.size(), 1u);
  const auto attempt = *FromProto(worker.deployed[0].id());
  Report(worker, StatusOf(attempt, pb::AttemptStatus::ENDED));
  Report(worker, StatusOf(attempt, pb::AttemptStatus::RUNNING));
  ASSERT_EQ(source.reported.size(), 1u);
  EXPECT_EQ(source.reported[0].status.phase(), pb::AttemptStatus::ENDED);
  EXPECT_EQ(rm_->Describe()[0].free_slots, 1u);
  Register(worker, "tm", 1, {StatusOf(attempt, pb::AttemptStatus::RUNNING)});
  EXPECT_EQ(source.reported.size(), 1u);
}

TEST_F(ResourceManagerTest, TheMoreUrgentJobGetsTheSlot) {
  MakeResourceManager();
  TestSource low("low", 1), high("high", 1);
  Add(low);
  Add(high, Origin::kNew, 3);
  Join("tm", 1);
  PassTime(milliseconds(200));
  EXPECT_EQ(high.offers.size(), 1u);
  EXPECT_TRUE(low.offers.empty());
}

TEST_F(ResourceManagerTest, ARecoveredJobWaitsForEveryoneOnTheRoster) {
  EnlistForEarlierLeader("absent");
  MakeResourceManager();
  Join("tm", 4);
  TestSource recovered("recovered", 1), fresh("fresh", 1);
  Add(recovered, Origin::kRecovered);
  Add(fresh);
  EXPECT_EQ(fresh.offers.size(), 1u) << "a new job has no attempts anywhere";
  EXPECT_TRUE(recovered.offers.empty());
  PassTime(seconds(20));
  EXPECT_TRUE(recovered.offers.empty()) << "its lease may still be running";
  PassTime(seconds(3));
  EXPECT_EQ(recovered.settled, 1);
  Join("another", 4);
  EXPECT_EQ(recovered.offers.size(), 1u);
  EXPECT_FALSE(OnRoster("absent"));
}

// A damaged entry of the roster is readable and says anything: the lease must not be over before it
// began.
TEST_F(ResourceManagerTest, AnAbsurdLeaseIsWaitedForAsTheLongestThereIs) {
  auto entry = DescriptionOf("absent", 1);
  entry.clear_liveness_address();
  for (const int64_t lease_ms : {int64_t{9'223'372'036'854}, INT64_MAX, INT64_MIN}) {
    entry.set_id("absent-" + std::to_string(lease_ms));
    entry.set_lease_ms(lease_ms);
    EnlistForEarlierLeader(entry);
  }
  MakeResourceManager();
  PassTime(seconds(20));
  EXPECT_EQ(rm_->Describe().size(), 3u);
  PassTime(seconds(3));
  EXPECT_EQ(rm_->Describe().size(), 2u) << "a negative one is none: the configured one counts";
  PassTime(std::chrono::minutes(59));
  EXPECT_FALSE(rm_->roster_settled());
  PassTime(std::chrono::minutes(2));
  EXPECT_TRUE(rm_->roster_settled());
}

TEST_F(ResourceManagerTest, OneLinkIsThatOfOneTaskManager) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  const absl::Status second = TryRegister(worker, DescriptionOf("another", 1));
  EXPECT_TRUE(absl::IsInvalidArgument(second)) << second;
  EXPECT_TRUE(TryRegister(worker, DescriptionOf("tm", 2)).ok());
  EXPECT_EQ(rm_->Describe().size(), 1u);
}

// It says beforehand that it runs, or has ended, what it will be given: the slot is counted once.
TEST_F(ResourceManagerTest, AnAttemptThatWasReportedBeforeItWasGivenTakesOneSlot) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 0);
  Add(source);
  Report(worker, StatusOf({source.job_id(), 0, 0, 0, Epoch{1}}, pb::AttemptStatus::RUNNING));
  EXPECT_EQ(rm_->Describe()[0].free_slots, 0u);
  Register(worker, "tm", 2,
           {StatusOf({source.job_id(), 0, 0, 0, Epoch{1}}, pb::AttemptStatus::RUNNING)});
  source.Want(1);
  rm_->OnDemandChanged(source.job_id());
  PassTime(milliseconds(200));
  ASSERT_EQ(worker.deployed.size(), 1u);
  EXPECT_EQ(rm_->Describe()[0].free_slots, 1u);
  EXPECT_EQ(rm_->Describe()[0].allocated.size(), 1u);
}

TEST_F(ResourceManagerTest, AnAnswerByWay2DelaysTheLoss) {
  EnlistForEarlierLeader("absent");
  MakeResourceManager();
  last_way2_answer_ = executor_->Now() + seconds(15);
  PassTime(seconds(23));
  EXPECT_FALSE(rm_->roster_settled());
  PassTime(seconds(15));
  EXPECT_TRUE(rm_->roster_settled());
}

TEST_F(ResourceManagerTest, AnAttemptThatANewInventoryLacksIsLost) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 2);
  TestSource source("job", 2);
  Add(source);
  ASSERT_EQ(worker.deployed.size(), 2u);
  const auto kept = *FromProto(worker.deployed[0].id()), gone = *FromProto(worker.deployed[1].id());
  Register(worker, "tm", 2, {StatusOf(kept, pb::AttemptStatus::RUNNING)});
  EXPECT_EQ(source.lost, std::vector{gone});
}

TEST_F(ResourceManagerTest, ADeadGuardianIsBelievedAfterTheGrace) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 1);
  Add(source);
  worker.link->Close();  // and nobody listens at tm:liveness
  PassTime(milliseconds(700));
  EXPECT_TRUE(source.lost.empty()) << "the kernel may still be ending its tasks";
  PassTime(seconds(2));
  EXPECT_EQ(source.lost.size(), 1u);
  EXPECT_FALSE(OnRoster("tm"));
}

TEST_F(ResourceManagerTest, ALiveGuardianKeepsItsTasksUntilTheLeaseIsOver) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  auto guardian = transports_["tm"]->Listen("tm:liveness", scheduler_.NewExecutor("guardian"),
                                            [](FrameConnectionPtr connection) {
                                              connection->Start({});
                                              connection->Send("tm-guardian");
                                              connection->Close();
                                            });
  ASSERT_TRUE(guardian.ok());
  TestSource source("job", 1);
  Add(source);
  worker.link->Close();
  PassTime(seconds(19));
  EXPECT_TRUE(source.lost.empty());
  PassTime(seconds(5));
  EXPECT_EQ(source.lost.size(), 1u);
}

TEST_F(ResourceManagerTest, NobodyIsLostWhileTheLeaderCannotConfirmItself) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 1);
  Add(source);
  fence_->Pause();
  worker.link->Close();
  PassTime(seconds(10));
  EXPECT_TRUE(source.lost.empty());
  fence_->Resume();
  PassTime(seconds(5));
  EXPECT_EQ(source.lost.size(), 1u);
}

TEST_F(ResourceManagerTest, ADeposedLeaderCountsNobodyAsLost) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 1);
  Add(source);
  fence_->Close(Aborted("a newer epoch has begun"));
  worker.link->Close();
  PassTime(seconds(30));
  EXPECT_TRUE(source.lost.empty()) << "the next leader may have answered it";
}

TEST_F(ResourceManagerTest, AttemptsOfAJobThatIsGoneAreCancelledAndConfirmed) {
  MakeResourceManager();
  const JobId job = JobId::FromKey("gone");
  gone_.insert(job);
  TestWorker& worker = Connect("tm");
  const ExecutionAttemptId running{job, 0, 0, 0, Epoch{0}}, ended{job, 0, 1, 0, Epoch{0}};
  Register(
      worker, "tm", 2,
      {StatusOf(running, pb::AttemptStatus::RUNNING), StatusOf(ended, pb::AttemptStatus::ENDED)});
  EXPECT_EQ(worker.cancelled, std::vector{running});
  EXPECT_EQ(worker.confirmed, std::vector{ended});
}

TEST_F(ResourceManagerTest, WhatWasReportedBeforeTheJobWasLoadedIsPassedOn) {
  MakeResourceManager();
  TestSource source("job", 0);
  TestWorker& worker = Connect("tm");
  const ExecutionAttemptId running{source.job_id(), 0, 0, 0, Epoch{0}};
  Register(worker, "tm", 2, {StatusOf(running, pb::AttemptStatus::RUNNING)});
  EXPECT_TRUE(worker.cancelled.empty());
  Add(source, Origin::kRecovered);
  ASSERT_EQ(source.reported.size(), 1u);
  EXPECT_EQ(source.reported[0].id, running);
}

TEST_F(ResourceManagerTest, ARefusedDeploymentGoesBackToItsJob) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  worker.refuses = true;
  TestSource source("job", 1);
  Add(source);
  EXPECT_EQ(source.lost.size(), 1u);
  EXPECT_EQ(rm_->Describe()[0].free_slots, 1u);
}

// A slot is given and, before the deployment goes out, its TaskManager registers again: the new
// inventory lacks the attempt, which is deployed elsewhere, so the old deployment must not go out.
TEST_F(ResourceManagerTest, WhatWasToBeDeployedUnderAnOldRegistrationNeverGoesOut) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& worker = Join("tm", 2);
  TestSource first("first", 1), second("second", 1);
  Add(first);  // it is on the roster now
  ASSERT_EQ(worker.deployed.size(), 1u);
  const auto running = StatusOf(*FromProto(worker.deployed[0].id()), pb::AttemptStatus::RUNNING);

  fence->holds = true;
  pb::Envelope request;
  request.mutable_register_task_manager()->mutable_description()->set_id("tm");
  request.mutable_register_task_manager()->mutable_description()->set_slots(2);
  *request.mutable_register_task_manager()->add_inventory() = running;
  worker.link->Call(std::move(request), seconds(5), [](const auto&) {});
  PassTime(milliseconds(100));
  ASSERT_EQ(fence->held.size(), 1u);
  fence->holds = false;
  executor_->Post([&] {
    rm_->AddSource(&second, WaitingOrder::Of(0, 0, second.job_id()), Origin::kNew);
    rm_->OnDemandChanged(second.job_id());  // the next turn gives the slot …
    fence->held.front()(absl::OkStatus());  // … the one after it accepts the registration …
  });                                       // … and only then the deployment would go out
  PassTime(milliseconds(500));
  ASSERT_EQ(second.offers.size(), 1u);
  ASSERT_EQ(second.lost.size(), 1u) << "the order of events is not the one that is meant";
  EXPECT_EQ(worker.deployed.size(), 1u) << "two attempts could live";
  rm_ = nullptr;
}

// Way 1 of 3.6: the answer that renews a lease is given only after a confirmation that began when
// the heartbeat had arrived; a leader deposed in between answers nothing.
TEST_F(ResourceManagerTest, AHeartbeatIsAnsweredAfterAConfirmationThatBeganAfterIt) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  fence->holds = true;
  std::optional<absl::StatusOr<pb::Envelope>> answer;
  const auto beat = [&] {
    pb::Envelope request;
    request.mutable_heartbeat()->set_registration_id(worker.registration_id);
    answer.reset();
    worker.link->Call(std::move(request), seconds(60), [&](auto reply) { answer = reply; });
    PassTime(seconds(1));
  };
  beat();
  ASSERT_EQ(fence->held.size(), 1u);
  EXPECT_FALSE(answer.has_value());
  std::exchange(fence->held, {}).front()(absl::OkStatus());
  PassTime(milliseconds(100));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ((*answer)->heartbeat_reply().registration_id(), worker.registration_id);
  beat();
  std::exchange(fence->held, {}).front()(Aborted("deposed"));
  PassTime(milliseconds(100));
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok());
  rm_ = nullptr;
}

// The same for the answer that starts a lease.
TEST_F(ResourceManagerTest, ARegistrationIsAnsweredAfterAConfirmationThatBeganAfterIt) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& worker = Connect("tm");
  fence->holds = true;
  pb::Envelope request;
  request.mutable_register_task_manager()->mutable_description()->set_id("tm");
  std::optional<absl::StatusOr<pb::Envelope>> answer;
  worker.link->Call(std::move(request), seconds(60), [&](auto reply) { answer = reply; });
  PassTime(seconds(5));
  EXPECT_FALSE(answer.has_value());
  ASSERT_EQ(fence->held.size(), 1u);
  fence->held.front()(Aborted("deposed"));
  PassTime(milliseconds(100));
  ASSERT_TRUE(answer.has_value());
  EXPECT_FALSE(answer->ok());
  rm_ = nullptr;
}

// A leader that cannot confirm itself may be paused or deposed: it orders nothing (3.5, I4).
TEST_F(ResourceManagerTest, APausedLeaderDeploysAndCancelsNothing) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 3);
  KeepGuardianAlive("tm");
  TestSource first("first", 1), second("second", 1);
  Add(first);
  ASSERT_EQ(worker.deployed.size(), 1u);
  fence_->Pause();
  PassTimeAlive(seconds(4));
  Add(second);
  rm_->CancelAttempt(*FromProto(worker.deployed[0].id()));
  PassTimeAlive(seconds(4));
  EXPECT_EQ(worker.deployed.size(), 1u);
  EXPECT_TRUE(worker.cancelled.empty());
  fence_->Resume();
  PassTimeAlive(seconds(3));
  EXPECT_EQ(worker.deployed.size(), 2u);
  EXPECT_EQ(worker.cancelled.size(), 1u);
}

// A failure in the middle of what goes in and out of the roster: what is not known to stand there
// is written again before anything is deployed.
TEST_F(ResourceManagerTest, ADelistingOfUnknownOutcomeIsFollowedByANewEntry) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource first("first", 1), second("second", 1);
  Add(first);
  const auto id = *FromProto(worker.deployed[0].id());
  fence->says = Unknown("the answer is lost");  // of the delisting, which takes effect
  Report(worker, StatusOf(id, pb::AttemptStatus::ENDED));
  rm_->ConfirmReport(id);
  PassTimeAlive(seconds(40));
  ASSERT_FALSE(OnRoster("tm"));
  fence->says.reset();
  Add(second);
  PassTimeAlive(seconds(2));
  EXPECT_EQ(worker.deployed.size(), 2u);
  EXPECT_TRUE(OnRoster("tm")) << "the next leader would not wait for it";
  rm_ = nullptr;
}

TEST_F(ResourceManagerTest, AnEnlistmentOfUnknownOutcomeDoesNotShutItOut) {
  auto fence = std::make_shared<HeldFence>(fence_);
  rm_fence_ = fence;
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 1);
  fence->says = Unknown("the answer is lost");  // and yet the entry is made
  Add(source);
  EXPECT_TRUE(worker.deployed.empty());
  fence->says.reset();
  PassTime(seconds(3));
  EXPECT_EQ(worker.deployed.size(), 1u);
  EXPECT_TRUE(OnRoster("tm"));
  rm_ = nullptr;
}

// It is watched since an answer of long ago, and answered again before the link breaks: its lease
// runs from the later one.
TEST_F(ResourceManagerTest, TheLatestAnswerDecidesWhenALeaseIsOver) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  auto guardian = transports_["tm"]->Listen("tm:liveness", scheduler_.NewExecutor("guardian"),
                                            [](FrameConnectionPtr connection) {
                                              connection->Start({});
                                              connection->Send("tm-guardian");
                                              connection->Close();
                                            });
  ASSERT_TRUE(guardian.ok());
  TestSource source("job", 1);
  Add(source);
  PassTime(seconds(15));  // silent: it is watched
  bool answered = false;
  pb::Envelope request;
  request.mutable_heartbeat()->set_registration_id(worker.registration_id);
  worker.link->Call(std::move(request), seconds(5), [&](const auto&) { answered = true; });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return answered; }, seconds(1)));
  worker.link->Close();
  PassTime(seconds(19));
  EXPECT_TRUE(source.lost.empty()) << "its lease runs for 20 s from the last answer";
  PassTime(seconds(5));
  EXPECT_EQ(source.lost.size(), 1u);
}

TEST_F(ResourceManagerTest, ALongerLeaseThanTheDispatchersIsRefused) {
  MakeResourceManager();
  TestWorker& worker = Connect("tm");
  std::optional<absl::StatusOr<pb::Envelope>> answer;
  pb::Envelope request;
  request.mutable_register_task_manager()->mutable_description()->set_id("tm");
  request.mutable_register_task_manager()->mutable_description()->set_lease_ms(60'000);
  worker.link->Call(std::move(request), seconds(5), [&](auto reply) { answer = reply; });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return answer.has_value(); }, seconds(5)));
  EXPECT_TRUE(absl::IsFailedPrecondition(answer->status())) << answer->status();
}

// One whose lease was longer when an earlier leader met it is waited for as long.
TEST_F(ResourceManagerTest, AnEntryOfTheRosterIsWaitedForAsLongAsItsLease) {
  pb::TaskManagerDescription entry;
  entry.set_id("absent");
  entry.set_lease_ms(60'000);
  EnlistForEarlierLeader(entry);
  MakeResourceManager();
  PassTime(seconds(60));
  EXPECT_FALSE(rm_->roster_settled());
  PassTime(seconds(3));
  EXPECT_TRUE(rm_->roster_settled());
}

TEST_F(ResourceManagerTest, LargeTasksTravelInMessagesOfTheirOwn) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 32);
  TestSource large("large", 31), small("small", 1);
  large.padding = 900 << 10;  // together more than a frame holds
  Add(large);
  Add(small);
  PassTime(seconds(1));
  EXPECT_EQ(worker.deployed.size(), 32u);
  EXPECT_TRUE(small.lost.empty());
  EXPECT_TRUE(large.lost.empty());
}

TEST_F(ResourceManagerTest, TheRosterNamesTheGuardianThatRunsTheTasks) {
  EnlistForEarlierLeader("tm");  // by an earlier leader, before the guardian was started anew
  MakeResourceManager();
  Join("tm", 1);
  TestSource source("job", 1);
  Add(source);
  PassTime(std::chrono::seconds(1));
  const auto entry = Run<absl::StatusOr<NodeData>>(
      [&](auto done) { other_->Get("/baton/c/roster/tm", nullptr, std::move(done)); });
  ASSERT_TRUE(entry.ok());
  pb::TaskManagerDescription description;
  ASSERT_TRUE(description.ParseFromString(entry->data));
  EXPECT_EQ(description.guardian_incarnation(), "tm-guardian");
  EXPECT_EQ(description.slots(), 1u);
}

TEST_F(ResourceManagerTest, AnEmptyTaskManagerLeavesTheRoster) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 1);
  Add(source);
  ASSERT_TRUE(OnRoster("tm"));
  const auto id = *FromProto(worker.deployed[0].id());
  Report(worker, StatusOf(id, pb::AttemptStatus::ENDED));
  rm_->ConfirmReport(id);
  PassTime(seconds(40));
  EXPECT_FALSE(OnRoster("tm"));
}

}  // namespace
}  // namespace baton
