#include "dispatcher/job_master/job_master.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "base/manual_executor.h"
#include "tests/dispatcher/fake_resource_manager.h"
#include "tests/dispatcher/graphs.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class JobMasterTest : public testing::Test {
 protected:
  // A job whose pointer commits are answered when the test says so.
  void Make(JobGraphPtr graph, pb::JobPointer pointer = {}) {
    JobMaster::Dependencies deps;
    deps.executor = executor_;
    deps.resource_manager = &rm_;
    deps.epoch = Epoch{7};
    deps.commit_pointer = [this](pb::JobPointer written, auto callback) {
      written_ = std::move(written);
      commits_.push_back(std::move(callback));
    };
    deps.on_ended = [this](JobOutcome outcome) { outcome_ = std::move(outcome); };
    master_ = std::make_shared<JobMaster>(std::move(deps), JobId::FromKey("job"), std::move(graph),
                                          std::move(pointer));
  }
  void StartNew(JobGraphPtr graph) {
    Make(std::move(graph));
    ASSERT_TRUE(master_->Start(JobMaster::Origin::kNew));
  }

  // Virtual time passes until a commit is asked for; then it is answered.
  void EndCommit(absl::Status status) {
    ASSERT_TRUE(scheduler_.RunUntil([&] { return !commits_.empty(); }, seconds(10)));
    auto callback = std::move(commits_.front());
    commits_.pop_front();
    callback(std::move(status));
    scheduler_.RunUntilIdle();
  }
  void MakeDurable() { EndCommit(absl::OkStatus()); }

  JobStatus status() const { return master_->Overview().status; }

  static ExecutionAttemptId Attempt(uint32_t subtask, uint32_t attempt, uint64_t epoch = 6) {
    return {JobId::FromKey("job"), 0, subtask, attempt, Epoch{epoch}};
  }

  ManualScheduler scheduler_{1};
  std::shared_ptr<ManualExecutor> executor_ = scheduler_.NewExecutor("leader");
  FakeResourceManager rm_;
  pb::JobPointer written_;
  std::deque<absl::AnyInvocable<void(absl::Status)>> commits_;
  std::optional<JobOutcome> outcome_;
  std::shared_ptr<JobMaster> master_;
};

TEST_F(JobMasterTest, RunsADagToItsEndAndConfirmsWhenTheResultIsDurable) {
  StartNew(Graph({Vertex("a"), Vertex("b")}, {{0, 1}}));
  const auto a = rm_.DeployAll();
  ASSERT_EQ(a.size(), 1u);
  rm_.Succeed(a[0]);
  const auto b = rm_.DeployAll();
  ASSERT_EQ(b.size(), 1u);
  rm_.Succeed(b[0]);
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kFinished);
  EXPECT_FALSE(rm_.confirmed.contains(b[0])) << "the result is not durable yet";
  EXPECT_EQ(status(), JobStatus::kRunning);
  master_->Conclude(*outcome_);
  EXPECT_EQ(status(), JobStatus::kFinished);
  EXPECT_TRUE(rm_.confirmed.contains(b[0]));
}

TEST_F(JobMasterTest, AFinishedSubtaskIsConfirmedOnlyOnceItsProgressIsDurable) {
  StartNew(Graph({Vertex("a", 2)}));
  const auto attempts = rm_.DeployAll();
  rm_.Succeed(attempts[0]);
  EXPECT_TRUE(rm_.confirmed.empty());
  rm_.Succeed(attempts[0]);  // repeated: still not durable
  EXPECT_TRUE(rm_.confirmed.empty());
  MakeDurable();
  EXPECT_TRUE(rm_.confirmed.contains(attempts[0]));
  EXPECT_EQ(written_.progress_size(), 1);
}

TEST_F(JobMasterTest, ManyFinishedSubtasksShareACommit) {
  StartNew(Graph({Vertex("a", 50)}));
  auto attempts = rm_.DeployAll();
  rm_.Succeed(attempts[0]);
  scheduler_.RunUntilIdle();
  for (size_t i = 1; i + 1 < attempts.size(); ++i) rm_.Succeed(attempts[i]);
  MakeDurable();
  MakeDurable();
  EXPECT_EQ(rm_.confirmed.size(), 49u);
  EXPECT_TRUE(commits_.empty());
}

TEST_F(JobMasterTest, WithoutRestartsTheFirstFailureFailsTheJobAndCancelsTheRest) {
  StartNew(Graph({Vertex("a", 2)}));
  const auto attempts = rm_.DeployAll();
  rm_.Fail(attempts[0]);
  EXPECT_EQ(status(), JobStatus::kFailing);
  EXPECT_TRUE(rm_.cancelled.contains(attempts[1]));
  EXPECT_FALSE(outcome_);
  rm_.source->OnAttemptStatus(rm_.Ended(attempts[1], pb::FinalReport::CANCELED));
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kFailed);
  EXPECT_NE(outcome_->failure_cause.find("exited with code 1"), std::string::npos);
}

TEST_F(JobMasterTest, AFailedSubtaskIsTriedAgainAfterTheDelayAndCounted) {
  StartNew(Graph({Vertex("a")}, {}, FixedDelay(1, seconds(5))));
  const auto first = rm_.DeployAll();
  rm_.Fail(first[0]);
  EXPECT_EQ(status(), JobStatus::kRestarting);
  EXPECT_EQ(rm_.source->ready_count(), 0u);
  MakeDurable();
  EXPECT_EQ(written_.restarts(), 1u);
  EXPECT_TRUE(rm_.confirmed.contains(first[0]));
  scheduler_.AdvanceBy(seconds(6));
  EXPECT_EQ(status(), JobStatus::kRunning);
  const auto second = rm_.DeployAll();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].attempt, 1u);
  rm_.Fail(second[0]);
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kFailed);
}

TEST_F(JobMasterTest, LosingAWorkerCostsNoAttemptButTenLossesFail) {
  StartNew(Graph({Vertex("a")}));
  for (int i = 0; i < 9; ++i) {
    const auto attempts = rm_.DeployAll();
    ASSERT_EQ(attempts.size(), 1u) << i;
    EXPECT_EQ(attempts[0].attempt, static_cast<uint32_t>(i));
    rm_.source->OnAttemptLost(attempts[0], LossReason::kTaskManagerLost, "gone");
    EXPECT_EQ(status(), JobStatus::kRunning);
  }
  rm_.source->OnAttemptLost(rm_.DeployAll()[0], LossReason::kTaskManagerLost, "gone");
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kFailed);
}

TEST_F(JobMasterTest, NothingIsCancelledBeforeTheIntentIsDurable) {
  StartNew(Graph({Vertex("a"), Vertex("b")}, {{0, 1}}));
  const auto attempts = rm_.DeployAll();
  bool answered = false;
  master_->Cancel([&](absl::Status status) { answered = status.ok(); });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return !commits_.empty(); }, seconds(10)));
  EXPECT_TRUE(written_.cancelling());
  EXPECT_FALSE(answered);
  EXPECT_TRUE(rm_.cancelled.empty());
  MakeDurable();
  EXPECT_TRUE(answered);
  EXPECT_EQ(status(), JobStatus::kCancelling);
  EXPECT_TRUE(rm_.cancelled.contains(attempts[0]));
  rm_.source->OnAttemptLost(attempts[0], LossReason::kTaskManagerLost, "never started");
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kCanceled);
}

TEST_F(JobMasterTest, ACommitThatFailsIsTriedAgainWithItsWaiters) {
  StartNew(Graph({Vertex("a")}));
  bool answered = false;
  master_->Cancel([&](absl::Status status) { answered = status.ok(); });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return !commits_.empty(); }, seconds(10)));
  auto callback = std::move(commits_.front());
  commits_.pop_front();
  callback(absl::UnknownError("connection lost"));
  scheduler_.RunUntilIdle();
  EXPECT_FALSE(answered);
  MakeDurable();
  EXPECT_TRUE(answered);
}

// Workers that are restarted one after the other turn a waiting subtask away again and again.
TEST_F(JobMasterTest, TurnedAwayItWaitsForAsLongAsItTakes) {
  StartNew(Graph({Vertex("a")}));
  for (int i = 0; i < 300; ++i) {
    const auto attempts = rm_.DeployAll();
    ASSERT_EQ(attempts.size(), 1u) << i;
    rm_.source->OnAttemptLost(attempts[0], LossReason::kTurnedAway, "it is stopping");
    scheduler_.AdvanceBy(seconds(2));
  }
  EXPECT_FALSE(outcome_);
  const auto refused = rm_.DeployAll();
  rm_.source->OnAttemptStatus(
      FakeResourceManager::Ended(refused[0], pb::FinalReport::REFUSED));  // by its guardian
  scheduler_.AdvanceBy(seconds(2));
  EXPECT_EQ(rm_.DeployAll().size(), 1u);
}

TEST_F(JobMasterTest, ARefusedSubtaskFailsAfterAHundredTimesInARow) {
  StartNew(Graph({Vertex("a")}));
  const auto refuse = [&](int times) {
    for (int i = 0; i < times; ++i) {
      const auto attempts = rm_.DeployAll();
      if (attempts.empty()) return;  // it has failed
      rm_.source->OnAttemptLost(attempts[0], LossReason::kRefused, "no free slot");
      scheduler_.AdvanceBy(seconds(2));
    }
  };
  refuse(99);
  const auto taken = rm_.DeployAll();
  rm_.source->OnAttemptStatus(FakeResourceManager::Running(taken[0]));
  rm_.source->OnAttemptLost(taken[0], LossReason::kTaskManagerLost, "gone");
  refuse(99);
  EXPECT_FALSE(outcome_) << "it ran in between";
  refuse(1);
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kFailed);
}

// The pointer can never be written (the tree is damaged): whoever cancels is told, and the store is
// not asked five times a second for ever.
TEST_F(JobMasterTest, ACancellationThatTheStoreRefusesIsAnsweredAndForgotten) {
  StartNew(Graph({Vertex("a", 2)}));
  const auto attempts = rm_.DeployAll();
  std::vector<absl::Status> answers;
  const auto answer = [&](absl::Status status) { answers.push_back(std::move(status)); };
  master_->Cancel(answer);
  ASSERT_TRUE(scheduler_.RunUntil([&] { return !commits_.empty(); }, seconds(10)));
  master_->Cancel(answer);  // while the first is being written
  int refusals = 0;
  const auto refuse = [&] {
    ++refusals;
    auto callback = std::move(commits_.front());
    commits_.pop_front();
    callback(absl::InvalidArgumentError("1,000,000 bytes"));
    scheduler_.RunUntilIdle();
  };
  refuse();
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(absl::IsInvalidArgument(answers[0])) << answers[0];
  EXPECT_TRUE(absl::IsInvalidArgument(answers[1])) << answers[1];
  EXPECT_TRUE(rm_.cancelled.empty());

  rm_.Succeed(attempts[0]);  // this one waits for as long as it takes
  const TimePoint end = executor_->Now() + std::chrono::minutes(1);
  while (executor_->Now() < end) {
    if (!commits_.empty()) refuse();
    scheduler_.AdvanceBy(milliseconds(100));
  }
  EXPECT_LT(refusals, 20);
  MakeDurable();
  EXPECT_FALSE(written_.cancelling()) << "they were told that it is not cancelled";
  EXPECT_TRUE(rm_.confirmed.contains(attempts[0]));
  EXPECT_EQ(status(), JobStatus::kRunning);

  master_->Cancel(answer);
  MakeDurable();
  EXPECT_TRUE(written_.cancelling());
  EXPECT_EQ(status(), JobStatus::kCancelling);
  EXPECT_TRUE(answers.back().ok());
}

// A TaskManager that says of an attempt, before it is made, that it runs must not hold up the job
// for ever.
TEST_F(JobMasterTest, AnAttemptThatWasReportedBeforeItWasMadeIsNoStrayOfItself) {
  StartNew(Graph({Vertex("a")}));
  rm_.source->OnAttemptStatus(FakeResourceManager::Running(Attempt(0, 0, 7)));
  const auto attempts = rm_.DeployAll();
  ASSERT_EQ(attempts, std::vector{Attempt(0, 0, 7)});
  rm_.source->OnAttemptLost(attempts[0], LossReason::kTaskManagerLost, "gone");
  EXPECT_EQ(rm_.DeployAll().size(), 1u);
}

// Kept for each subtask, for as long as the job is known.
TEST_F(JobMasterTest, WhatATaskManagerSaysOfAFailureIsCutShort) {
  StartNew(Graph({Vertex("a")}, {}, FixedDelay(10, seconds(1))));
  const auto attempts = rm_.DeployAll();
  auto ended = FakeResourceManager::Ended(attempts[0], pb::FinalReport::LAUNCH_FAILED);
  ended.status.mutable_report()->set_failure(std::string(1 << 20, 'x'));
  rm_.source->OnAttemptStatus(ended);
  scheduler_.AdvanceBy(seconds(2));
  const auto again = rm_.DeployAll();
  ASSERT_EQ(again.size(), 1u);
  rm_.source->OnAttemptLost(again[0], LossReason::kRefused, std::string(1 << 20, 'y'));
  for (const auto& exception : master_->Details().exceptions) {
    EXPECT_LT(exception.message.size(), 4'000u);
  }
}

// Everybody commits at once, in an election storm say: the queue before the store is full, and has
// room a moment later.
TEST_F(JobMasterTest, ACancellationOutlastsACrowdBeforeTheStore) {
  StartNew(Graph({Vertex("a", 2)}));
  const auto attempts = rm_.DeployAll();
  rm_.Succeed(attempts[0]);
  std::vector<absl::Status> answers;
  master_->Cancel([&](absl::Status status) { answers.push_back(std::move(status)); });
  const TimePoint begin = executor_->Now();
  while (executor_->Now() - begin < seconds(4)) EndCommit(absl::ResourceExhaustedError("20,000"));
  EXPECT_TRUE(answers.empty()) << answers[0];
  const TimePoint room = executor_->Now();
  MakeDurable();
  EXPECT_LE(executor_->Now() - room, milliseconds(500)) << "it was tried ever more slowly";
  EXPECT_TRUE(written_.cancelling());
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers[0].ok()) << answers[0];
  EXPECT_TRUE(rm_.confirmed.contains(attempts[0])) << "its progress is written too";
  EXPECT_TRUE(rm_.cancelled.contains(attempts[1]));
}

TEST_F(JobMasterTest, AStoreThatStaysWithoutRoomIsSaidToWhoeverCancels) {
  StartNew(Graph({Vertex("a")}));
  std::vector<absl::Status> answers;
  master_->Cancel([&](absl::Status status) { answers.push_back(std::move(status)); });
  const TimePoint begin = executor_->Now();
  while (answers.empty() && executor_->Now() - begin < seconds(10)) {
    EndCommit(absl::ResourceExhaustedError("the disk is full"));
  }
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(absl::IsResourceExhausted(answers[0])) << answers[0];
  EXPECT_GE(executor_->Now() - begin, seconds(5));
  MakeDurable();
  EXPECT_FALSE(written_.cancelling()) << "they were told that it is not cancelled";
  // The next crowd has its own time.
  master_->Cancel([&](absl::Status status) { answers.push_back(std::move(status)); });
  EndCommit(absl::ResourceExhaustedError("the disk is full"));
  EXPECT_EQ(answers.size(), 1u);
  MakeDurable();
  EXPECT_TRUE(written_.cancelling());
}

// What was written first may be what the next leader reads: nobody is told that it is not.
TEST_F(JobMasterTest, ACancellationThatMayBeDurableIsNeverRefused) {
  StartNew(Graph({Vertex("a")}));
  std::vector<absl::Status> answers;
  const auto answer = [&](absl::Status status) { answers.push_back(std::move(status)); };
  master_->Cancel(answer);
  EndCommit(absl::UnknownError("the answer is lost"));
  master_->Cancel(answer);
  EndCommit(absl::InvalidArgumentError("the tree is damaged"));
  EndCommit(absl::InvalidArgumentError("the tree is damaged"));
  EXPECT_TRUE(answers.empty()) << answers[0];
  MakeDurable();
  EXPECT_TRUE(written_.cancelling());
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_TRUE(answers[0].ok() && answers[1].ok());
}

TEST_F(JobMasterTest, TheLogOfAnAttemptThatOnlyATaskManagerKnowsIsLookedForEverywhere) {
  StartNew(Graph({Vertex("a")}));
  const auto attempts = rm_.DeployAll();
  const TaskLogRequest current{JobId::FromKey("job"), "a", 0, 0, "stdout", 0, 100};
  EXPECT_EQ(master_->FindAttempt(current)->id, attempts[0]);
  EXPECT_EQ(master_->FindAttempt(current)->task_manager.value(), "tm");
  TaskLogRequest earlier = current;
  earlier.attempt = 5;
  EXPECT_TRUE(master_->FindAttempt(earlier)->task_manager.empty());
  EXPECT_EQ(master_->FindAttempt(earlier)->id.epoch, Epoch{});
  TaskLogRequest other = current;
  other.vertex_id = "b";
  EXPECT_TRUE(absl::IsNotFound(master_->FindAttempt(other).status()));
}

// --- what a recovered job adopts

TEST_F(JobMasterTest, ARecoveredJobDeploysNothingBeforeTheRosterHasSettled) {
  rm_.settled = false;
  rm_.early = {rm_.Running(Attempt(0, 0))};
  Make(Graph({Vertex("a", 2)}));
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  EXPECT_EQ(status(), JobStatus::kReconciling);
  EXPECT_EQ(master_->ready_count(), 0u);
  rm_.source->OnRosterSettled();
  EXPECT_EQ(status(), JobStatus::kRunning);
  const auto deployed = rm_.DeployAll();
  ASSERT_EQ(deployed.size(), 1u) << "the other subtask runs already";
  EXPECT_EQ(deployed[0].subtask, 1u);
  EXPECT_TRUE(rm_.cancelled.empty());
  rm_.Succeed(Attempt(0, 0));
  rm_.Succeed(deployed[0]);
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kFinished);
}

TEST_F(JobMasterTest, AnAdoptedAttemptShowsTheHostOfItsTaskManager) {
  rm_.early = {rm_.Running(Attempt(0, 0))};
  Make(Graph({Vertex("a")}));
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  const auto vertex = master_->DescribeVertex("a");
  ASSERT_TRUE(vertex.ok()) << vertex.status();
  ASSERT_EQ(vertex->subtasks.size(), 1u);
  EXPECT_EQ(vertex->subtasks[0].task_manager_id, "tm");
  EXPECT_EQ(vertex->subtasks[0].endpoint, "host of tm");
}

TEST_F(JobMasterTest, AnEndThatNobodyRecordedIsRecordedByTheNextLeader) {
  rm_.early = {rm_.Ended(Attempt(0, 0), pb::FinalReport::EXITED, 0)};
  Make(Graph({Vertex("a"), Vertex("b")}, {{0, 1}}));
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  const auto deployed = rm_.DeployAll();
  ASSERT_EQ(deployed.size(), 1u);
  EXPECT_EQ(deployed[0].vertex, 1u);
  EXPECT_FALSE(rm_.confirmed.contains(Attempt(0, 0)));
  MakeDurable();
  EXPECT_TRUE(rm_.confirmed.contains(Attempt(0, 0)));
}

TEST_F(JobMasterTest, OnlyTheNewestAttemptIsAdoptedAndTheJobWaitsForTheStrayToEnd) {
  rm_.early = {rm_.Running(Attempt(0, 0)), rm_.Running(Attempt(0, 1))};
  Make(Graph({Vertex("a")}));
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  EXPECT_TRUE(rm_.cancelled.contains(Attempt(0, 0)));
  EXPECT_FALSE(rm_.cancelled.contains(Attempt(0, 1)));
  rm_.Succeed(Attempt(0, 1));
  scheduler_.RunUntilIdle();
  EXPECT_FALSE(outcome_) << "a stray attempt is alive";
  rm_.source->OnAttemptStatus(rm_.Ended(Attempt(0, 0), pb::FinalReport::CANCELED));
  scheduler_.RunUntilIdle();
  EXPECT_TRUE(outcome_);
}

TEST_F(JobMasterTest, AFailureThatThePointerHasCountedIsNotCountedAgain) {
  pb::JobPointer pointer;
  pointer.set_restarts(1);
  auto* progress = pointer.add_progress();
  progress->add_retried_subtask(0);
  progress->add_next_attempt(1);
  rm_.early = {rm_.Ended(Attempt(0, 0), pb::FinalReport::EXITED, 1)};
  Make(Graph({Vertex("a")}, {}, FixedDelay(1, milliseconds(1))), pointer);
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  EXPECT_TRUE(rm_.confirmed.contains(Attempt(0, 0)));
  const auto deployed = rm_.DeployAll();
  ASSERT_EQ(deployed.size(), 1u);
  EXPECT_EQ(deployed[0].attempt, 1u);
}

TEST_F(JobMasterTest, ACancelledJobStaysCancelledUnderTheNextLeader) {
  pb::JobPointer pointer;
  pointer.set_cancelling(true);
  rm_.early = {rm_.Running(Attempt(0, 0))};
  Make(Graph({Vertex("a", 2)}), pointer);
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  EXPECT_EQ(status(), JobStatus::kCancelling);
  EXPECT_TRUE(rm_.DeployAll().empty());
  EXPECT_TRUE(rm_.cancelled.contains(Attempt(0, 0)));
  rm_.source->OnAttemptStatus(rm_.Ended(Attempt(0, 0), pb::FinalReport::CANCELED));
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kCanceled);
}

TEST_F(JobMasterTest, AFailureFoundInRecoveryCancelsWhatWasAdopted) {
  rm_.early = {rm_.Ended(Attempt(0, 0), pb::FinalReport::EXITED, 1), rm_.Running(Attempt(1, 0)),
               rm_.Ended(Attempt(2, 0), pb::FinalReport::SIGNALED)};
  Make(Graph({Vertex("a", 3)}));
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  EXPECT_EQ(status(), JobStatus::kFailing);
  EXPECT_TRUE(rm_.cancelled.contains(Attempt(1, 0)));
  rm_.source->OnAttemptStatus(rm_.Ended(Attempt(1, 0), pb::FinalReport::CANCELED));
  scheduler_.RunUntilIdle();
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->status, JobStatus::kFailed);
}

TEST_F(JobMasterTest, AClaimThatWasWithdrawnBeforeTheRosterSettledIsDeployedAgain) {
  rm_.settled = false;
  rm_.early = {rm_.Running(Attempt(0, 0))};
  Make(Graph({Vertex("a")}));
  ASSERT_TRUE(master_->Start(JobMaster::Origin::kRecovered));
  rm_.source->OnAttemptLost(Attempt(0, 0), LossReason::kTaskManagerLost, "gone");
  rm_.source->OnRosterSettled();
  EXPECT_EQ(rm_.DeployAll().size(), 1u);
}

}  // namespace
}  // namespace baton
