// What ends every task at once: the end of the lease, of the guardian, of the TaskManager.

#include <sys/wait.h>

#include "taskmanager/guardian/boot_time.h"
#include "tests/taskmanager/guardian_fixture.h"

namespace baton {
namespace {

TEST_F(GuardianTest, KillsEverythingWhenTheLeaseEnds) {
  Start();
  Shell(0, std::string(kDaemon) + "trap '' TERM; while :; do sleep 1; done");
  NamedProcess daemon(FileOf(0));
  EndLeaseSoon();
  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::LEASE_EXPIRED);
  EXPECT_FALSE(daemon.alive());

  Shell(1, "exit 0");
  EXPECT_EQ(AwaitEnd(1).outcome(), Outcome::REFUSED) << "no task without a running lease";

  OnStrand([&] { launcher_->SetLeaseDeadline(executor_->Now() + kLongLease); });
  Shell(2, "exit 0");
  EXPECT_EQ(AwaitEnd(2).outcome(), Outcome::EXITED);
  EXPECT_EQ(guardians_lost(), 0);
}

TEST_F(GuardianTest, ALeaseMayEndEarlierThanWasSaid) {
  Start();
  Shell(0, "exec sleep 1000");
  EndLeaseSoon();
  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::LEASE_EXPIRED);
  EXPECT_EQ(guardians_lost(), 0) << "the guardian has ended them, not its death";
}

TEST_F(GuardianTest, RunsNothingBeforeTheFirstLease) {
  Start(Duration::zero());
  Shell(0, "exit 0");
  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::REFUSED);
  EXPECT_FALSE(Started(0));
}

TEST_F(GuardianTest, AHangingGuardianDoesNotLetTasksOutliveTheLease) {
  Start();
  Shell(0, "echo $$ > $FILE; exec sleep 1000");
  NamedProcess task(FileOf(0));
  kill(GuardianPid(), SIGSTOP);
  EndLeaseSoon();
  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::GUARDIAN_LOST);
  EXPECT_FALSE(task.alive());
}

TEST_F(GuardianTest, ADeadGuardianTakesItsTasksWithItAndIsReplaced) {
  Start();
  Shell(0, std::string(kDaemon) + "sleep 1000");
  NamedProcess daemon(FileOf(0));
  const std::string old_address = launcher_->liveness_address();
  const Incarnation old_incarnation = launcher_->guardian_incarnation();
  const auto answer = AskLiveness(old_address);
  ASSERT_TRUE(answer.ok()) << Describe(answer.status());
  EXPECT_EQ(*answer, old_incarnation.value());

  kill(GuardianPid(), SIGKILL);
  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::GUARDIAN_LOST);
  EXPECT_FALSE(daemon.alive());
  ASSERT_TRUE(Eventually([&] { return guardians_lost() == 1; }));

  std::string new_address;
  OnStrand([&] {
    new_address = launcher_->liveness_address();
    EXPECT_NE(launcher_->guardian_incarnation(), old_incarnation);
  });
  if (new_address != old_address) {
    EXPECT_TRUE(IsRefused(AskLiveness(old_address).status()));
  }
  Shell(1, "exit 0");
  EXPECT_EQ(AwaitEnd(1).outcome(), Outcome::EXITED) << "the lease goes on under the new guardian";
}

// A guardian whose TaskManager is this test, spoken to over its socket.
class BareGuardian {
 public:
  explicit BareGuardian(const GuardianOptions& options) {
    std::filesystem::create_directories(options.work_directory);
    auto process = StartGuardian(options);
    EXPECT_TRUE(process.ok()) << Describe(process.status());
    if (process.ok()) process_ = *std::move(process);
    pb::GuardianRequest lease;
    lease.mutable_set_lease()->set_deadline_ns(
        (guardian::BootNow() + kLongLease).time_since_epoch().count());
    Send(lease);
  }
  ~BareGuardian() {
    if (process_.pid > 0 && waitpid(process_.pid, nullptr, WNOHANG) == 0) {
      kill(process_.pid, SIGKILL);
      waitpid(process_.pid, nullptr, 0);
    }
  }

  void Launch(const ExecutionAttemptId& id, const std::string& file, const std::string& script) {
    pb::GuardianRequest request;
    auto& launch = *request.mutable_launch();
    *launch.mutable_id() = ToProto(id);
    for (const std::string& word : {std::string("sh"), std::string("-c"), script}) {
      launch.add_command(word);
    }
    auto& entry = *launch.add_env();
    entry.set_name("FILE");
    entry.set_value(file);
    Send(request);
  }

  void CloseSocket() { process_.socket.reset(); }
  bool AwaitExit() {
    return Eventually([&] {
      if (process_.pid > 0 && waitpid(process_.pid, nullptr, WNOHANG) == process_.pid) {
        process_.pid = -1;
      }
      return process_.pid < 0;
    });
  }
  pid_t pid() const { return process_.pid; }
  const std::string& liveness_address() const { return process_.liveness_address; }

 private:
  void Send(const pb::GuardianRequest& request) {
    EXPECT_TRUE(process_.socket->Queue(request.SerializeAsString()).ok());
    EXPECT_TRUE(process_.socket->Flush().ok());
  }
  GuardianProcess process_;
};

TEST_F(GuardianTest, LeavesNoDescendantWhenItsTaskManagerIsGone) {
  BareGuardian bare(options_);
  bare.Launch(Attempt(0), FileOf(0), std::string(kDaemon) + "exec sleep 1000");
  bare.Launch(Attempt(1), FileOf(1), "trap '' TERM; echo $$ > $FILE; while :; do sleep 1; done");
  NamedProcess daemon(FileOf(0)), stubborn(FileOf(1));

  bare.CloseSocket();
  EXPECT_TRUE(bare.AwaitExit());
  EXPECT_FALSE(daemon.alive());
  EXPECT_FALSE(stubborn.alive());
  EXPECT_TRUE(IsRefused(AskLiveness(bare.liveness_address()).status()));
}

TEST_F(GuardianTest, ATaskDiesWithItsGuardianThoughNobodyElseActs) {
  BareGuardian bare(options_);
  bare.Launch(Attempt(0), FileOf(0), "echo $$ > $FILE; exec sleep 1000");
  NamedProcess task(FileOf(0));
  kill(bare.pid(), SIGKILL);
  EXPECT_TRUE(bare.AwaitExit());
  EXPECT_TRUE(Eventually([&] { return !task.alive(); }));
}

TEST_F(GuardianTest, AStartingTaskManagerEndsWhatAnEarlierOneLeft) {
  BareGuardian bare(options_);
  bare.Launch(Attempt(0), FileOf(0), std::string(kDaemon) + "exec sleep 1000");
  bare.Launch(Attempt(1), FileOf(1), "echo $$ > $FILE; exec sleep 1000");
  NamedProcess daemon(FileOf(0)), task(FileOf(1));
  kill(bare.pid(), SIGSTOP);  // it does not notice that its TaskManager is gone

  Start();
  EXPECT_FALSE(daemon.alive());
  EXPECT_TRUE(bare.AwaitExit());
  EXPECT_TRUE(Eventually([&] { return !task.alive(); }));
  Shell(2, "exit 0");
  EXPECT_EQ(AwaitEnd(2).outcome(), Outcome::EXITED);
}

}  // namespace
}  // namespace baton
