#include "dispatcher/resource_manager/resource_manager.h"

#include <gtest/gtest.h>

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
