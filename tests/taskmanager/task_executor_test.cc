// The TaskExecutor in virtual time, with fake replicas over a simulated network.

#include "taskmanager/task_executor.h"

#include <gtest/gtest.h>

#include "tests/taskmanager/task_executor_fixture.h"

namespace baton {
namespace {

TEST_F(TaskExecutorTest, RegistersWithTheAnnouncedLeaderAndAdoptsItsEpoch) {
  Elect("b", 4);
  ASSERT_TRUE(Until([&] { return tm_->registered(); }));
  EXPECT_EQ(tm_->epoch(), Epoch{4});
  ASSERT_EQ(b().registrations.size(), 1u);
  EXPECT_TRUE(a().registrations.empty());
  const auto& description = b().registrations[0].description();
  EXPECT_EQ(description.id(), "tm");
  EXPECT_EQ(description.slots(), 2u);
  EXPECT_EQ(description.liveness_address(), "tm:liveness");
  EXPECT_EQ(description.guardian_incarnation(), launcher_->guardian_incarnation().value());
  EXPECT_EQ(registered_, 1);
}

// It was told of a and b only; the leader is another one, of which a tells.
TEST_F(TaskExecutorTest, FindsALeaderThatIsNotAmongItsAddresses) {
  NewReplica("c");
  auto& member = *replicas_["c"]->members.add_members();
  member.set_replica_id("c");
  member.set_rpc_address(Address("c"));
  Elect("c", 3);
  ASSERT_TRUE(Until([&] { return tm_->registered(); }));
  EXPECT_EQ(tm_->epoch(), Epoch{3});
}

TEST_F(TaskExecutorTest, RunsATaskAndReportsUntilItIsConfirmed) {
  RegisterAtA();
  RunOne(3);
  const LaunchSpec& spec = launcher_->launched().at(0);
  EXPECT_EQ(spec.command, (std::vector<std::string>{"count", "3/8"}));
  const std::map<std::string, std::string> env(spec.env.begin(), spec.env.end());
  EXPECT_EQ(env.at("BATON_JOB_ID"), JobId::FromKey("job").ToString());
  EXPECT_EQ(env.at("BATON_VERTEX_ID"), "count");
  EXPECT_EQ(env.at("BATON_SUBTASK"), "3");
  EXPECT_EQ(env.at("BATON_PARALLELISM"), "8");
  EXPECT_EQ(env.at("BATON_ATTEMPT"), "0");
  EXPECT_EQ(env.at("BATON_SHARED_DIR"), "/shared");

  launcher_->Finish(Attempt(3), 9);
  ASSERT_TRUE(Until([&] { return a().Phase(Attempt(3)) == pb::AttemptStatus::ENDED; }));
  EXPECT_EQ(a().statuses[Attempt(3)].report().exit_code(), 9);

  int before = a().reports;
  scheduler_.AdvanceBy(seconds(11));
  EXPECT_GT(a().reports, before) << "unconfirmed: said again";
  a().Confirm(Attempt(3));
  scheduler_.AdvanceBy(seconds(1));
  before = a().reports;
  scheduler_.AdvanceBy(seconds(20));
  EXPECT_EQ(a().reports, before) << "confirmed: forgotten";
}

TEST_F(TaskExecutorTest, AFailureThatIsNoTextIsReportedAllTheSame) {
  RegisterAtA();
  RunOne(0);
  launcher_->Fail(Attempt(0), "cannot enter \xff\xfe: " + std::string(5'000, 'x'));
  ASSERT_TRUE(Until([&] { return a().Phase(Attempt(0)) == pb::AttemptStatus::ENDED; }));
  const std::string failure = a().statuses[Attempt(0)].report().failure();
  EXPECT_TRUE(failure.starts_with("cannot enter ??: x")) << failure;
  EXPECT_LE(failure.size(), 2'000u);
}

TEST_F(TaskExecutorTest, RefusesMoreTasksThanSlotsAndTakesARepetitionAsOne) {
  RegisterAtA();
  RunOne(0);
  RunOne(1);
  a().Deploy(a().registration_id, {Attempt(1), Attempt(2)});
  ASSERT_TRUE(Until([&] { return a().deploy_replies == 3; }));
  ASSERT_EQ(a().refused.size(), 1u);
  EXPECT_NE(a().refused[0].find("slot"), std::string::npos);
  EXPECT_EQ(launcher_->launched().size(), 2u);
}

TEST_F(TaskExecutorTest, AConfirmedAttemptNeverRunsAgain) {
  RegisterAtA();
  RunOne(0);
  launcher_->Finish(Attempt(0), 0);
  ASSERT_TRUE(Until([&] { return a().Phase(Attempt(0)) == pb::AttemptStatus::ENDED; }));
  a().Confirm(Attempt(0));
  a().Deploy(a().registration_id, {Attempt(0)});
  ASSERT_TRUE(Until([&] { return a().refused.size() == 1; }));
  EXPECT_EQ(launcher_->launched().size(), 1u);
}

TEST_F(TaskExecutorTest, CancelStopsAKnownTaskAndNamesAnUnknownOneWhichNeverStartsThen) {
  RegisterAtA();
  RunOne(0);
  a().Cancel(a().registration_id, Attempt(0));
  a().Cancel(a().registration_id, Attempt(1));
  ASSERT_TRUE(Until([&] { return a().Phase(Attempt(0)) == pb::AttemptStatus::ENDED; }));
  EXPECT_EQ(a().statuses[Attempt(0)].report().outcome(), pb::FinalReport::CANCELED);
  ASSERT_TRUE(Until([&] { return a().unknown == 1; }));
  a().Deploy(a().registration_id, {Attempt(1)});
  ASSERT_TRUE(Until([&] { return a().refused.size() == 1; }));
  EXPECT_EQ(launcher_->launched().size(), 1u);
}

TEST_F(TaskExecutorTest, OrdersOfAnEndedRegistrationAreRefused) {
  RegisterAtA();
  a().Deploy("some-older-registration", {Attempt(0)});
  a().Cancel("some-older-registration", Attempt(0));
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1 && a().errors.size() == 1; }));
  EXPECT_TRUE(launcher_->launched().empty());
}

TEST_F(TaskExecutorTest, ADeploymentThatCrossesANewRegistrationIsRefused) {
  RegisterAtA();
  RunOne(0);
  network_->SetLatency(milliseconds(100), Duration::zero());
  const std::string old = a().registration_id;
  launcher_->LoseGuardian();  // registers again: the inventory is on its way
  scheduler_.RunUntilIdle();
  a().Deploy(old, {Attempt(1)});
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  ASSERT_EQ(a().registrations.size(), 2u);
  EXPECT_EQ(a().registrations[1].inventory_size(), 1);
  EXPECT_EQ(launcher_->launched().size(), 1u)
      << "the leader counts it as dead: not in the inventory";
}

TEST_F(TaskExecutorTest, TheOldLeaderIsNotObeyedOnceTheInventoryIsOnItsWayToTheNewOne) {
  RegisterAtA();
  network_->SetLatency(milliseconds(100), Duration::zero());
  const std::string old = a().registration_id;
  b().answers_registrations = false;
  Elect("b", 2);
  ASSERT_TRUE(Until([&] { return b().registrations.size() == 1; }));
  a().Deploy(old, {Attempt(0)});
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  EXPECT_TRUE(launcher_->launched().empty());
}

TEST_F(TaskExecutorTest, ADeposedLeaderIsNotObeyed) {
  RegisterAtA();
  const std::string old = a().registration_id;
  Elect("b", 2);
  ASSERT_TRUE(Until([&] { return tm_->epoch() == Epoch{2}; }));
  a().Deploy(old, {Attempt(0)});
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  EXPECT_TRUE(launcher_->launched().empty());
}

TEST_F(TaskExecutorTest, AnAnnouncementAloneChangesNoEpoch) {
  RegisterAtA();
  // b says that c leads epoch 9, but c is nowhere to be found.
  pb::LeaderRecord record = b().Record(9);
  record.set_replica_id("c");
  record.set_incarnation("c-1");
  record.set_rpc_address("c:1");
  b().Announce(record);
  scheduler_.AdvanceBy(seconds(3));
  EXPECT_EQ(tm_->epoch(), Epoch{1});
  RunOne(0);  // a is obeyed until a newer leader shows itself
}

TEST_F(TaskExecutorTest, RefusesALeaderOfAnOlderEpoch) {
  Elect("a", 5);
  ASSERT_TRUE(Until([&] { return tm_->registered(); }));
  b().reply_epoch = 4;
  Elect("b", 6);
  scheduler_.AdvanceBy(seconds(3));
  EXPECT_EQ(tm_->epoch(), Epoch{5});
  EXPECT_GT(b().registrations.size(), 1u) << "it tries again";
}

TEST_F(TaskExecutorTest, RefusesALeaderOutsideItsOwnMemberList) {
  a().members.mutable_members(0)->set_replica_id("z");
  Elect("a", 1);
  scheduler_.AdvanceBy(seconds(3));
  EXPECT_FALSE(tm_->registered());
  EXPECT_EQ(tm_->epoch(), Epoch{0});
}

TEST_F(TaskExecutorTest, TasksLiveOnWhenTheLeaderDiesAndTheNextOneGetsTheInventory) {
  RegisterAtA();
  RunOne(0);
  RunOne(1);
  launcher_->Finish(Attempt(1), 4);
  KillReplica("a");
  Elect("b", 2);
  ASSERT_TRUE(Until([&] { return tm_->epoch() == Epoch{2}; }));
  EXPECT_EQ(b().registrations[0].inventory_size(), 2);
  EXPECT_EQ(b().Phase(Attempt(0)), pb::AttemptStatus::RUNNING);
  EXPECT_EQ(b().Phase(Attempt(1)), pb::AttemptStatus::ENDED);
  EXPECT_EQ(b().statuses[Attempt(1)].report().exit_code(), 4);
  EXPECT_EQ(launcher_->Running().size(), 1u);
}

TEST_F(TaskExecutorTest, HeartbeatsRenewTheLeaseFromTheMomentTheyWereSent) {
  RegisterAtA();
  RunOne(0);
  network_->SetLatency(seconds(2), Duration::zero());  // answers come 4 s after the request
  scheduler_.AdvanceBy(seconds(60));
  EXPECT_EQ(launcher_->Running().size(), 1u);
  EXPECT_LE(launcher_->lease_deadline(), scheduler_.Now() + kLease - seconds(4));
}

TEST_F(TaskExecutorTest, AHeartbeatThatTheLeaderDoesNotKnowRegistersAgain) {
  RegisterAtA();
  a().knows_registrations = false;
  ASSERT_TRUE(Until([&] { return a().registrations.size() == 2; }));
  a().knows_registrations = true;
  ASSERT_TRUE(Until([&] { return tm_->registered(); }));
}

TEST_F(TaskExecutorTest, NobodyLeadsSoTheMembersKeepTheLeaseAlive) {
  RegisterAtA();
  RunOne(0);
  a().leads = false;  // ZooKeeper is down: the leader is paused
  a().answers_heartbeats = false;
  a().answers_registrations = false;
  scheduler_.AdvanceBy(std::chrono::minutes(5));
  EXPECT_EQ(launcher_->Running().size(), 1u);
  EXPECT_GT(b().lease_queries, 0);
}

TEST_F(TaskExecutorTest, EveryDispatcherIsDeadAndTheTasksLiveOn) {
  RegisterAtA();
  RunOne(0);
  KillReplica("a");
  KillReplica("b");
  scheduler_.AdvanceBy(std::chrono::minutes(5));
  EXPECT_EQ(launcher_->Running().size(), 1u) << "a refused connection proves a dead process";
}

TEST_F(TaskExecutorTest, AMemberThatDoesNotAnswerEndsTheLease) {
  RegisterAtA();
  RunOne(0);
  KillReplica("a");
  network_->Cut("tm", "b");
  scheduler_.AdvanceBy(kLease + seconds(1));
  EXPECT_TRUE(launcher_->Running().empty());
}

TEST_F(TaskExecutorTest, AMemberThatCannotBeReachedIsNotAMemberThatIsDead) {
  NewReplica("c");
  network_->Cut("tm", "c");  // there never was a link to it
  auto& member = *a().members.add_members();
  member.set_replica_id("c");
  member.set_rpc_address(Address("c"));
  RegisterAtA();
  RunOne(0);
  KillReplica("a");
  b().leads = false;
  scheduler_.AdvanceBy(kLease + seconds(1));
  EXPECT_TRUE(launcher_->Running().empty());
}

TEST_F(TaskExecutorTest, AMemberThatLeadsEndsTheLease) {
  RegisterAtA();
  RunOne(0);
  a().answers_heartbeats = false;  // and yet it says that it leads
  a().answers_registrations = false;
  scheduler_.AdvanceBy(kLease + seconds(1));
  EXPECT_TRUE(launcher_->Running().empty());
}

TEST_F(TaskExecutorTest, AMemberThatKnowsANewerEpochEndsTheLease) {
  RegisterAtA();
  RunOne(0);
  KillReplica("a");
  b().highest_epoch = 2;
  b().leads = false;
  scheduler_.AdvanceBy(kLease + seconds(1));
  EXPECT_TRUE(launcher_->Running().empty());
  EXPECT_EQ(tm_->epoch(), Epoch{1}) << "hearsay";
}

TEST_F(TaskExecutorTest, AnotherReplicaAtAMembersAddressProvesNothing) {
  a().members.mutable_members(1)->set_replica_id("b-of-old");
  RegisterAtA();
  RunOne(0);
  KillReplica("a");
  b().leads = false;
  scheduler_.AdvanceBy(kLease + seconds(1));
  EXPECT_TRUE(launcher_->Running().empty());
}

TEST_F(TaskExecutorTest, ALapsedLeaseEndsTheRegistrationAndOnlyANewOneStartsAnother) {
  RegisterAtA();
  RunOne(0);
  const std::string old = a().registration_id;
  executor_->Pause();  // SIGSTOP for longer than the lease
  scheduler_.AdvanceBy(kLease + seconds(5));
  a().Deploy(old, {Attempt(1)});
  scheduler_.AdvanceBy(milliseconds(10));
  executor_->Resume();
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  EXPECT_EQ(launcher_->launched().size(), 1u);
  ASSERT_TRUE(Until([&] { return a().registration_id != old && tm_->registered(); }));
  ASSERT_TRUE(Until([&] { return a().Phase(Attempt(0)) == pb::AttemptStatus::ENDED; }));
  EXPECT_EQ(a().statuses[Attempt(0)].report().outcome(), pb::FinalReport::LEASE_EXPIRED);
}

TEST_F(TaskExecutorTest, ADeadGuardianIsReportedAndItsSuccessorRegistered) {
  RegisterAtA();
  RunOne(0);
  launcher_->LoseGuardian();
  ASSERT_TRUE(Until([&] { return a().registrations.size() == 2; }));
  EXPECT_EQ(a().registrations[1].description().guardian_incarnation(),
            launcher_->guardian_incarnation().value());
  EXPECT_EQ(a().statuses[Attempt(0)].report().outcome(), pb::FinalReport::GUARDIAN_LOST);
}

// The leader that ordered a drain dies; the next one hears of it, and how much of it remains.
TEST_F(TaskExecutorTest, ADrainIsToldToTheNextLeader) {
  RegisterAtA();
  pb::Envelope drain;
  drain.mutable_drain_task_manager()->set_registration_id(a().registration_id);
  drain.mutable_drain_task_manager()->mutable_drain()->set_remaining_ms(60'000);
  int confirmed = 0;
  a().Ask(drain, [&](const pb::Envelope& r) { confirmed += r.has_drain_task_manager_reply(); });
  ASSERT_TRUE(Until([&] { return confirmed == 1; }));
  scheduler_.AdvanceBy(seconds(20));
  KillReplica("a");
  Elect("b", 2);
  ASSERT_TRUE(Until([&] { return tm_->epoch() == Epoch{2}; }));
  ASSERT_TRUE(b().registrations[0].description().has_drain());
  EXPECT_LE(b().registrations[0].description().drain().remaining_ms(), 40'000);
  EXPECT_GE(b().registrations[0].description().drain().remaining_ms(), 35'000);

  // Orders of an ended registration change nothing.
  drain.mutable_drain_task_manager()->clear_drain();
  b().Ask(drain, [](const pb::Envelope&) { FAIL() << "of a's registration"; });
  ASSERT_TRUE(Until([&] { return b().errors.size() == 1; }));
  drain.mutable_drain_task_manager()->set_registration_id(b().registration_id);
  b().Ask(drain, [&](const pb::Envelope& r) { confirmed += r.has_drain_task_manager_reply(); });
  ASSERT_TRUE(Until([&] { return confirmed == 2; }));
  launcher_->LoseGuardian();  // makes it register again
  ASSERT_TRUE(Until([&] { return b().registrations.size() == 2; }));
  EXPECT_FALSE(b().registrations[1].description().has_drain());
}

TEST_F(TaskExecutorTest, ReadsLogsAndSaysWhenNothingWillBeAdded) {
  RegisterAtA();
  RunOne(0);
  launcher_->SetLog(Attempt(0), "stdout", "hello world");
  pb::Envelope request;
  *request.mutable_read_task_log()->mutable_id() = ToProto(Attempt(0));
  request.mutable_read_task_log()->set_stream("stdout");
  request.mutable_read_task_log()->set_offset(6);
  request.mutable_read_task_log()->set_limit(100);
  std::vector<pb::ReadTaskLogReply> replies;
  const auto keep = [&](const pb::Envelope& r) { replies.push_back(r.read_task_log_reply()); };
  a().Ask(request, keep);
  ASSERT_TRUE(Until([&] { return replies.size() == 1; }));
  EXPECT_EQ(replies[0].content(), "world");
  EXPECT_EQ(replies[0].size(), 11u);
  EXPECT_FALSE(replies[0].ended());

  // By number only: REST does not know which leader deployed it.
  request.mutable_read_task_log()->mutable_id()->set_epoch(0);
  a().Ask(request, keep);
  ASSERT_TRUE(Until([&] { return replies.size() == 2; }));
  EXPECT_FALSE(replies[1].ended());

  launcher_->Finish(Attempt(0), 0);
  ASSERT_TRUE(Until([&] { return a().Phase(Attempt(0)) == pb::AttemptStatus::ENDED; }));
  a().Ask(request, keep);
  ASSERT_TRUE(Until([&] { return replies.size() == 3; }));
  EXPECT_TRUE(replies[2].ended());
}

TEST_F(TaskExecutorTest, StoppingEndsTheTasksAndReportsThemAsLost) {
  RegisterAtA();
  RunOne(0);
  RunOne(1);
  a().Cancel(a().registration_id, Attempt(1));
  bool stopped = false;
  scheduler_.AdvanceBy(milliseconds(3));  // it is there, and its task not yet ended
  ASSERT_EQ(launcher_->Running().size(), 2u);
  executor_->Post([&] { tm_->Stop([&] { stopped = true; }); });
  a().Deploy(a().registration_id, {Attempt(2)});
  ASSERT_TRUE(Until([&] { return stopped; }));
  EXPECT_TRUE(launcher_->Running().empty());
  EXPECT_EQ(a().statuses[Attempt(0)].report().outcome(), pb::FinalReport::GUARDIAN_LOST);
  EXPECT_EQ(a().statuses[Attempt(1)].report().outcome(), pb::FinalReport::CANCELED)
      << "the leader asked for that one";
  EXPECT_EQ(launcher_->launched().size(), 2u);
}

}  // namespace
}  // namespace baton
