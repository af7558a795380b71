// When a registration is obeyed, and from when to when a lease runs.

#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/taskmanager/task_executor_fixture.h"

namespace baton {
namespace {

class RegistrationTest : public TaskExecutorTest {};

// What its tasks leave free would be given away, and refused: until the last has ended, it may be
// hundreds of times.
TEST_F(RegistrationTest, OneThatStopsHasNoSlotsAndTurnsAwayWhateverItIsGiven) {
  RegisterAtA();
  RunOne(0);
  const std::string old = a().registration_id;
  bool stopped = false;
  executor_->Post([&] { tm_->Stop([&] { stopped = true; }); });
  a().Deploy(old, {Attempt(1)});
  ASSERT_TRUE(Until([&] { return a().registrations.size() == 2; }));
  EXPECT_EQ(a().registrations[1].description().slots(), 0u);
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  EXPECT_TRUE(absl::IsFailedPrecondition(a().turned_away[0]));
  ASSERT_TRUE(Until([&] { return stopped; }));
  EXPECT_EQ(a().Phase(Attempt(0)), pb::AttemptStatus::ENDED) << "the last report has gone out";
  EXPECT_EQ(launcher_->launched().size(), 1u);
}

// The leader knows the liveness port of the dead guardian, and would take the tasks of its
// successor for dead.
TEST_F(RegistrationTest, ARegistrationThatDescribesADeadGuardianIsNotObeyed) {
  RegisterAtA();
  a().answers_registrations = false;
  network_->SetLatency(milliseconds(100), Duration::zero());
  Elect("b", 2);
  ASSERT_TRUE(Until([&] { return b().registrations.size() == 1; }));
  const std::string stale = b().registration_id;
  launcher_->LoseGuardian();  // the answer is on its way
  scheduler_.RunUntilIdle();
  b().Deploy(stale, {Attempt(0, 0, 2)});  // right behind it
  ASSERT_TRUE(Until([&] { return b().turned_away.size() == 1; }));
  EXPECT_TRUE(launcher_->launched().empty());
  ASSERT_TRUE(Until([&] { return tm_->registered() && b().registrations.size() == 2; }));
  EXPECT_EQ(b().registrations[1].description().guardian_incarnation(),
            launcher_->guardian_incarnation().value());
}

// Its successor is known to nobody yet, and the leader that is announced cannot be reached.
TEST_F(RegistrationTest, NobodyIsObeyedUnderAGuardianThatNobodyKnows) {
  RegisterAtA();
  const std::string old = a().registration_id;
  const pb::LeaderRecord next = b().Record(2);
  KillReplica("b");
  a().Announce(next);
  scheduler_.AdvanceBy(milliseconds(10));
  launcher_->LoseGuardian();
  scheduler_.RunUntilIdle();
  a().Deploy(old, {Attempt(0)});
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  EXPECT_TRUE(launcher_->launched().empty());
}

// Else a leader gives the same task to it again within a millisecond, until ten attempts are lost.
TEST_F(RegistrationTest, WithoutAGuardianItTurnsAwayWhateverItIsGiven) {
  RegisterAtA();
  launcher_->SetReady(false);
  a().Deploy(a().registration_id, {Attempt(0)});
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  EXPECT_TRUE(absl::IsFailedPrecondition(a().turned_away[0]));
  EXPECT_TRUE(launcher_->launched().empty());
}

// A leader would count its slots as free, and give it the same tasks again every five seconds.
TEST_F(RegistrationTest, WithoutAGuardianItOffersNoSlotsUntilThereIsOneAgain) {
  std::vector<std::string> said;
  log::SetSink([&](log::Level, const std::string& line) {
    if (line.find("offering no slots") != std::string::npos) said.push_back(line);
  });
  RegisterAtA();
  RunOne(0);
  EXPECT_EQ(a().registrations.back().description().slots(), 2u);
  launcher_->MissGuardian();
  ASSERT_TRUE(Until([&] { return a().registrations.size() == 2 && tm_->registered(); }));
  EXPECT_EQ(a().registrations.back().description().slots(), 0u);
  EXPECT_EQ(a().statuses[Attempt(0)].report().outcome(), pb::FinalReport::GUARDIAN_LOST);
  // Nor to the next leader; and its heartbeats go on.
  Elect("b", 2);
  ASSERT_TRUE(Until([&] { return tm_->epoch() == Epoch{2}; }));
  scheduler_.AdvanceBy(2 * kLease);
  EXPECT_TRUE(tm_->registered());
  ASSERT_EQ(b().registrations.size(), 1u);
  EXPECT_EQ(b().registrations[0].description().slots(), 0u);
  EXPECT_EQ(said.size(), 1u);

  launcher_->LoseGuardian();  // there is a successor
  ASSERT_TRUE(Until([&] { return b().registrations.size() == 2 && tm_->registered(); }));
  EXPECT_EQ(b().registrations[1].description().slots(), 2u);
  EXPECT_EQ(b().registrations[1].description().guardian_incarnation(),
            launcher_->guardian_incarnation().value());
  b().Deploy(b().registration_id, {Attempt(1, 0, 2)});
  ASSERT_TRUE(Until([&] { return b().Phase(Attempt(1, 0, 2)) == pb::AttemptStatus::RUNNING; }));
  log::SetSink(nullptr);
}

// Its link is well: nothing but the lease ends the registration.
TEST_F(RegistrationTest, ALapsedLeaseEndsTheRegistrationUnderALeaderThatTalks) {
  RegisterAtA();
  const std::string old = a().registration_id;
  a().answers_heartbeats = false;
  a().answers_registrations = false;
  ASSERT_TRUE(Until(
      [&] {
        a().Confirm(Attempt(9));
        scheduler_.AdvanceBy(milliseconds(500));
        return executor_->Now() > launcher_->lease_deadline();
      },
      seconds(30)));
  scheduler_.AdvanceBy(milliseconds(100));
  EXPECT_EQ(a().registrations.size(), 2u);
  a().Deploy(old, {Attempt(0)});
  ASSERT_TRUE(Until([&] { return a().turned_away.size() == 1; }));
  EXPECT_TRUE(launcher_->launched().empty());
}

// One that was given up may arrive after its successor, over another link.
TEST_F(RegistrationTest, EachCarriesAHigherNumberThanTheOneBefore) {
  RegisterAtA();
  a().answers_registrations = false;
  executor_->Post([&] { launcher_->LoseGuardian(); });
  ASSERT_TRUE(Until([&] { return a().registrations.size() == 3; }, seconds(30)));
  Elect("b", 2);
  ASSERT_TRUE(Until([&] { return !b().registrations.empty(); }, seconds(30)));
  uint64_t last = 0;
  for (const auto& registration : a().registrations) {
    EXPECT_GT(registration.number(), last);
    last = registration.number();
  }
  EXPECT_GT(b().registrations[0].number(), last);
}

TEST_F(RegistrationTest, ALeaseStartsWhenTheRegistrationWasSent) {
  network_->SetLatency(milliseconds(400), Duration::zero());
  RegisterAtA();
  EXPECT_LE(launcher_->lease_deadline(), executor_->Now() + kLease - milliseconds(800));
}

TEST_F(RegistrationTest, MembersRenewALeaseFromTheMomentTheyWereAsked) {
  RegisterAtA();
  network_->SetLatency(milliseconds(400), Duration::zero());
  KillReplica("a");
  TimePoint before = launcher_->lease_deadline();
  int renewals = 0;
  for (int i = 0; i < 3'000; ++i) {
    scheduler_.AdvanceBy(milliseconds(10));
    if (launcher_->lease_deadline() == before) continue;
    before = launcher_->lease_deadline();
    ++renewals;
    if (i > 200) {  // the last heartbeats that a answered have come
      EXPECT_LE(before, executor_->Now() + kLease - milliseconds(700));
    }
  }
  EXPECT_GT(renewals, 3);
}

// An earlier leader made c a member while no task was here: a and b do not know of it, or are dead,
// and c knows nothing of what they say. It counts from when it answers (P4).
TEST_F(RegistrationTest, WhatMembersSaidWhileItRegisteredDoesNotLengthenItsLease) {
  network_->SetLatency(milliseconds(10), Duration::zero());
  RegisterAtA();
  NewReplica("c");
  FakeReplica& c = *replicas_["c"];
  auto& member = *c.members.add_members();
  member.set_replica_id("c");
  member.set_rpc_address(Address("c"));
  c.answers_heartbeats = false;
  c.Announce(c.Record(2));
  a().answers_heartbeats = false;
  KillReplica("b");
  scheduler_.AdvanceBy(seconds(3));
  TimePoint sent{};
  network_->Overhear([&](const std::string&, const std::string& to, const std::string& frame) {
    pb::Envelope message;
    if (to == "c" && message.ParseFromString(frame) && message.has_register_task_manager()) {
      sent = executor_->Now();
    }
  });
  a().Announce(c.Record(2));
  ASSERT_TRUE(Until([&] { return sent != TimePoint(); }));
  network_->CutOneWay("c", "tm");  // its answer is late
  KillReplica("a");
  ASSERT_TRUE(Until([&] { return launcher_->lease_deadline() > sent + kLease; }, seconds(5)));
  network_->HealOneWay("c", "tm");
  ASSERT_TRUE(Until([&] { return tm_->registered(); }, seconds(1)));
  EXPECT_EQ(c.registrations.size(), 1u);
  EXPECT_EQ(launcher_->lease_deadline(), sent + kLease);

  // The guardian and the timers obey the earlier end, too.
  c.Deploy(c.registration_id, {Attempt(0, 0, 2)});
  ASSERT_TRUE(Until([&] { return launcher_->Running().size() == 1; }));
  network_->Cut("c", "tm");
  scheduler_.AdvanceBy(sent + kLease - milliseconds(1) - executor_->Now());
  EXPECT_EQ(launcher_->Running().size(), 1u);
  scheduler_.AdvanceBy(milliseconds(1));
  EXPECT_TRUE(launcher_->Running().empty());
}

class ShortLeaseTest : public TaskExecutorTest {
 protected:
  static constexpr Duration kShort = seconds(6);
  ShortLeaseTest() : TaskExecutorTest(kShort) {}
};

TEST_F(ShortLeaseTest, ARegistrationIsGivenUpWhileThereIsTimeForAnother) {
  RegisterAtA();
  a().answers_registrations = false;
  executor_->Post([&] { launcher_->LoseGuardian(); });
  ASSERT_TRUE(Until([&] { return a().registrations.size() == 2; }));
  scheduler_.AdvanceBy(kShort / 2 + milliseconds(500));
  EXPECT_EQ(a().registrations.size(), 3u);
}

// The members are asked, and it is stopped before it hears that nobody leads.
TEST_F(RegistrationTest, WhatMembersSaidBeforeALeaseWasOverStartsNone) {
  RegisterAtA();
  KillReplica("a");
  scheduler_.AdvanceBy(seconds(12));
  const TimePoint before = launcher_->lease_deadline();
  ASSERT_GT(before, executor_->Now() + seconds(15)) << "the members renew it";
  network_->SetLatency(milliseconds(300), Duration::zero());
  const int asked = b().lease_queries;
  ASSERT_TRUE(Until([&] { return b().lease_queries > asked; }, seconds(10)));
  const TimePoint deadline = launcher_->lease_deadline();
  executor_->Pause();
  scheduler_.AdvanceBy(kLease + seconds(5));
  executor_->Resume();
  scheduler_.AdvanceBy(milliseconds(100));
  EXPECT_EQ(launcher_->lease_deadline(), deadline);
}

}  // namespace
}  // namespace baton
