// What operators ask of TaskManagers: drain, forget.

#include <gtest/gtest.h>

#include <optional>

#include "tests/dispatcher/worker_fixture.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Origin = ResourceManagerGateway::Origin;
using Action = DrainRequest::Action;
using Link = TaskManagerInfo::Link;

class OperatorsTest : public WorkerFixture {
 protected:
  void Add(TestSource& source) {
    rm_->AddSource(&source, WaitingOrder::Of(0, executor_->WallNow(), source.job_id()),
                   Origin::kNew);
    rm_->OnDemandChanged(source.job_id());
    PassTime(milliseconds(200));
  }

  absl::Status Drain(const std::string& id, Action action, std::optional<Duration> deadline = {}) {
    return Run<absl::Status>([&](auto done) {
      rm_->Drain({id, action, deadline}, std::move(done));
    });
  }
  absl::Status Forget(const std::string& id) {
    return Run<absl::Status>(
        [&](auto done) { rm_->ForgetTaskManager(TaskManagerId(id), std::move(done)); });
  }

  static pb::AttemptStatus Cancelled(const ExecutionAttemptId& id) {
    pb::AttemptStatus status = StatusOf(id, pb::AttemptStatus::ENDED);
    status.mutable_report()->set_outcome(pb::FinalReport::CANCELED);
    return status;
  }
};

TEST_F(OperatorsTest, ADrainingTaskManagerGetsNoTasks) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 2);
  EXPECT_TRUE(Drain("tm", Action::kBegin).ok());
  ASSERT_EQ(worker.drains.size(), 1u);
  EXPECT_EQ(worker.drains[0].drain().remaining_ms(), -1);
  TestSource source("job", 1);
  Add(source);
  PassTimeAlive(seconds(10));
  EXPECT_TRUE(worker.deployed.empty());
  EXPECT_TRUE(rm_->Describe()[0].drain.has_value());
  EXPECT_TRUE(Drain("tm", Action::kCancel).ok());
  EXPECT_FALSE(worker.drains[1].has_drain());
  PassTimeAlive(seconds(1));
  EXPECT_EQ(worker.deployed.size(), 1u);
  EXPECT_FALSE(rm_->Describe()[0].drain.has_value());
}

TEST_F(OperatorsTest, AtTheDeadlineOfADrainItsTasksAreMoved) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 2);
  TestSource source("job", 2);
  Add(source);
  ASSERT_EQ(worker.deployed.size(), 2u);
  EXPECT_TRUE(Drain("tm", Action::kBegin, minutes(10)).ok());
  EXPECT_EQ(worker.drains[0].drain().remaining_ms(), 600'000);
  PassTimeAlive(minutes(9));
  EXPECT_TRUE(worker.cancelled.empty());
  PassTimeAlive(minutes(1) + seconds(2));
  ASSERT_EQ(worker.cancelled.size(), 2u);
  EXPECT_TRUE(source.lost.empty()) << "they live until they are reported";
  Report(worker, Cancelled(worker.cancelled[0]));
  EXPECT_EQ(source.reasons, std::vector{LossReason::kMoved});
  EXPECT_EQ(worker.confirmed.size(), 1u);
  // The other one finished before it heard of it.
  pb::AttemptStatus finished = StatusOf(worker.cancelled[1], pb::AttemptStatus::ENDED);
  finished.mutable_report()->set_outcome(pb::FinalReport::EXITED);
  Report(worker, finished);
  EXPECT_EQ(source.lost.size(), 1u);
  EXPECT_EQ(source.reported.back().id, worker.cancelled[1]);
}

// The TaskManager remembers it; the next leader hears it with the registration.
TEST_F(OperatorsTest, ADrainIsToldToEveryLeader) {
  MakeResourceManager();
  TestSource source("job", 1);
  TestWorker& worker = Connect("tm");
  const ExecutionAttemptId running{source.job_id(), 0, 7, 0, Epoch{0}};
  pb::Drain drain;
  drain.set_remaining_ms(5'000);
  Add(source);
  Register(worker, "tm", 2, {StatusOf(running, pb::AttemptStatus::RUNNING)}, drain);
  PassTimeAlive(seconds(4));
  EXPECT_TRUE(worker.deployed.empty());
  EXPECT_TRUE(worker.cancelled.empty());
  PassTimeAlive(seconds(3));
  EXPECT_EQ(worker.cancelled, std::vector{running});
  Report(worker, Cancelled(running));
  EXPECT_EQ(source.reasons, std::vector{LossReason::kMoved});
  Register(worker, "tm", 2);  // another process: it takes tasks
  PassTimeAlive(seconds(1));
  EXPECT_EQ(worker.deployed.size(), 1u);
}

TEST_F(OperatorsTest, AnAbsurdDeadlineOfADrainIsNotOverBeforeItBegan) {
  MakeResourceManager();
  TestSource source("job", 0);
  TestWorker& worker = Connect("tm");
  const ExecutionAttemptId running{source.job_id(), 0, 7, 0, Epoch{0}};
  pb::Drain drain;
  drain.set_remaining_ms(INT64_MAX);
  Add(source);
  Register(worker, "tm", 2, {StatusOf(running, pb::AttemptStatus::RUNNING)}, drain);
  PassTimeAlive(seconds(5));
  EXPECT_TRUE(worker.cancelled.empty());
}

TEST_F(OperatorsTest, OnlyWhoIsThereCanBeDrained) {
  EnlistForEarlierLeader("absent");
  MakeResourceManager();
  EXPECT_TRUE(absl::IsNotFound(Drain("nobody", Action::kBegin)));
  EXPECT_TRUE(absl::IsUnavailable(Drain("absent", Action::kBegin)));
  EXPECT_EQ(rm_->Describe()[0].link, Link::kAwaited);
}

TEST_F(OperatorsTest, AForgottenTaskManagersTasksRunElsewhereAtOnce) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  KeepGuardianAlive("tm");
  TestSource source("job", 1);
  Add(source);
  worker.link->Close();
  PassTimeAlive(seconds(2));
  ASSERT_TRUE(source.lost.empty());
  EXPECT_EQ(rm_->Describe()[0].link, Link::kDisconnected);
  EXPECT_TRUE(Forget("tm").ok());
  EXPECT_EQ(source.lost.size(), 1u);
  Settle();
  EXPECT_FALSE(OnRoster("tm"));
  EXPECT_TRUE(rm_->Describe().empty());
  EXPECT_TRUE(absl::IsNotFound(Forget("tm")));
}

TEST_F(OperatorsTest, OneThatIsAwaitedCanBeForgotten) {
  EnlistForEarlierLeader("absent");
  MakeResourceManager();
  EXPECT_FALSE(rm_->roster_settled());
  EXPECT_TRUE(Forget("absent").ok());
  EXPECT_TRUE(rm_->roster_settled());
  Settle();
  EXPECT_FALSE(OnRoster("absent"));
}

TEST_F(OperatorsTest, OneThatIsAliveIsNotForgotten) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  TestSource source("job", 1);
  Add(source);
  EXPECT_TRUE(absl::IsFailedPrecondition(Forget("tm")));
  EXPECT_TRUE(absl::IsNotFound(Forget("nobody")));
  EXPECT_TRUE(source.lost.empty());
  EXPECT_NE(worker.link, nullptr);
}

TEST_F(OperatorsTest, ADeposedLeaderForgetsNobody) {
  EnlistForEarlierLeader("absent");
  MakeResourceManager();
  fence_->Close(Aborted("a newer epoch has begun"));
  EXPECT_TRUE(absl::IsAborted(Forget("absent")));
  EXPECT_FALSE(rm_->roster_settled());
}

// It lives after all: it registers anew, and what it still runs is cancelled by its job (here: the
// job is gone).
TEST_F(OperatorsTest, AForgottenTaskManagerThatReturnsIsRefusedItsOldRegistration) {
  MakeResourceManager();
  TestWorker& worker = Join("tm", 1);
  KeepGuardianAlive("tm");
  TestSource source("job", 1);
  Add(source);
  ASSERT_EQ(worker.deployed.size(), 1u);
  const auto attempt = *FromProto(worker.deployed[0].id());
  const std::string old_registration = worker.registration_id;
  worker.link->Close();
  PassTimeAlive(seconds(1));
  ASSERT_TRUE(Forget("tm").ok());
  rm_->RemoveSource(source.job_id());
  gone_.insert(source.job_id());

  TestWorker& again = Connect("tm");
  std::optional<pb::HeartbeatReply> answer;
  pb::Envelope heartbeat;
  heartbeat.mutable_heartbeat()->set_registration_id(old_registration);
  again.link->Call(std::move(heartbeat), seconds(5), [&](absl::StatusOr<pb::Envelope> reply) {
    if (reply.ok()) answer = reply->heartbeat_reply();
  });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return answer.has_value(); }, seconds(10)));
  EXPECT_EQ(answer->registration_id(), "") << "it must register again";
  Register(again, "tm", 1, {StatusOf(attempt, pb::AttemptStatus::RUNNING)});
  EXPECT_EQ(again.cancelled, std::vector{attempt});
  EXPECT_EQ(rm_->Describe()[0].free_slots, 0u);
  Report(again, Cancelled(attempt));
  EXPECT_EQ(rm_->Describe()[0].free_slots, 1u);
}

}  // namespace
}  // namespace baton
