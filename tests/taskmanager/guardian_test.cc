// One task or many under a guardian: how they run, end, and are told of.

#include "tests/taskmanager/guardian_fixture.h"

namespace baton {
namespace {

TEST_F(GuardianTest, ReportsExitCodesSignalsAndWhatATaskTook) {
  Start();
  Shell(0, "exit 0");
  Shell(1, "exit 7");
  Shell(2, "kill -KILL $$");
  // About 300 ms of processor time, whatever else runs.
  Shell(3, "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done");

  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::EXITED);
  EXPECT_EQ(AwaitEnd(0).exit_code(), 0);
  EXPECT_EQ(AwaitEnd(1).outcome(), Outcome::EXITED);
  EXPECT_EQ(AwaitEnd(1).exit_code(), 7);
  EXPECT_EQ(AwaitEnd(2).outcome(), Outcome::SIGNALED);
  EXPECT_EQ(AwaitEnd(2).signal(), SIGKILL);
  const pb::FinalReport busy = AwaitEnd(3);
  EXPECT_GT(busy.cpu_user_ms() + busy.cpu_system_ms(), 0);
  EXPECT_GT(busy.max_rss_bytes(), 0);
  EXPECT_GT(busy.started_ms(), 0);
  EXPECT_GE(busy.ended_ms(), busy.started_ms());
  EXPECT_TRUE(Started(0) && Started(1) && Started(2) && Started(3));
}

TEST_F(GuardianTest, SaysWhyACommandDoesNotRun) {
  Start();
  Launch(0, {"bin/foo"});
  Launch(1, {"no-such-program-anywhere"});
  Launch(2, {});
  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::LAUNCH_FAILED);
  EXPECT_EQ(AwaitEnd(0).failure(), "exec bin/foo: No such file or directory");
  EXPECT_EQ(AwaitEnd(1).outcome(), Outcome::LAUNCH_FAILED);
  EXPECT_EQ(AwaitEnd(2).outcome(), Outcome::LAUNCH_FAILED);
  EXPECT_FALSE(Started(0));
}

TEST_F(GuardianTest, KillsATaskThatIgnoresTheTermOfItsTimeout) {
  Start();
  Shell(0, "trap '' TERM; echo $$ > $FILE; while :; do sleep 1; done", std::chrono::seconds(1));
  const pb::FinalReport report = AwaitEnd(0);
  EXPECT_EQ(report.outcome(), Outcome::TIMED_OUT);
  EXPECT_EQ(report.signal(), SIGKILL);
}

TEST_F(GuardianTest, StopSendsTermAndTellsCanceled) {
  Start();
  Shell(0, "trap 'exit 3' TERM; echo $$ > $FILE; while :; do sleep 0.01; done");
  NamedProcess task(FileOf(0));
  OnStrand([&] { launcher_->Stop(Attempt(0), std::chrono::minutes(5)); });
  const pb::FinalReport report = AwaitEnd(0);
  EXPECT_EQ(report.outcome(), Outcome::CANCELED);
  EXPECT_EQ(report.exit_code(), 3) << "the task had its grace";
}

TEST_F(GuardianTest, StopKillsAfterItsGrace) {
  Start();
  Shell(0, "trap '' TERM; echo $$ > $FILE; while :; do sleep 1; done");
  NamedProcess task(FileOf(0));
  OnStrand([&] { launcher_->Stop(Attempt(0), std::chrono::milliseconds(10)); });
  EXPECT_EQ(AwaitEnd(0).outcome(), Outcome::CANCELED);
  EXPECT_FALSE(task.alive());
}

TEST_F(GuardianTest, ReportsTheEndOnlyWhenNoDoubleForkedDaemonIsLeft) {
  Start();
  Shell(0, std::string(kDaemon) + kUntilReleased + "exit 5");
  NamedProcess daemon(FileOf(0));
  Release(0);
  EXPECT_EQ(AwaitEnd(0).exit_code(), 5);
  EXPECT_FALSE(daemon.alive());
}

TEST_F(GuardianTest, FindsADaemonThatHidItsEnvironment) {
  Start();
  Shell(0, std::string("(env -i FILE=$FILE setsid sh -c 'echo $$ > $FILE; exec sleep 1000' &) ; ") +
               kUntilReleased);
  NamedProcess daemon(FileOf(0));
  Release(0);
  AwaitEnd(0);
  EXPECT_FALSE(daemon.alive());
}

TEST_F(GuardianTest, LeavesTheDaemonOfALiveTaskAloneWhenAnotherEnds) {
  Start();
  Shell(0, std::string(kDaemon) + "sleep 1000");
  NamedProcess daemon(FileOf(0));
  Shell(1, "exit 0");
  EXPECT_EQ(AwaitEnd(1).outcome(), Outcome::EXITED);
  EXPECT_TRUE(daemon.alive());
  EXPECT_FALSE(Ended(0));
}

TEST_F(GuardianTest, GivesATaskACleanEnvironmentAndNothingOpen) {
  Start();
  Launch(0, {"env"});
  Launch(1, {"ls", "/proc/self/fd"});
  Shell(2, "pwd; cat; umask");
  AwaitEnd(0);
  AwaitEnd(1);
  AwaitEnd(2);
  const std::string work = options_.task_root() + "/" + Attempt(0).ToString() + "/work";
  const std::string token = launcher_->guardian_incarnation().value() + "/" + Attempt(0).ToString();
  EXPECT_EQ(Stdout(0), "FILE=" + FileOf(0) + "\nPATH=/usr/bin:/bin\nBATON_WORK_DIR=" + work +
                           "\nBATON_ATTEMPT_TOKEN=" + token + "\n");
  EXPECT_EQ(Stdout(1), "0\n1\n2\n3\n") << "3 is the directory that ls reads";
  EXPECT_EQ(Stdout(2), options_.task_root() + "/" + Attempt(2).ToString() + "/work\n0022\n");
}

TEST_F(GuardianTest, BoundsALogAndNeverBlocksTheTask) {
  options_.log_max_bytes = 1000;
  Start();
  Shell(0, "echo start; head -c 1000000 /dev/zero | tr '\\0' x; echo oops >&2");
  EXPECT_EQ(AwaitEnd(0).exit_code(), 0);
  const std::string out = Stdout(0);
  EXPECT_TRUE(out.starts_with("start\nxxxx"));
  EXPECT_NE(out.find("cut off"), std::string::npos);
  EXPECT_LT(out.size(), 1200u);
  EXPECT_EQ(ReadLog(0, "stderr", 0, 100)->content, "oops\n");
}

TEST_F(GuardianTest, ReadsLogsByOffset) {
  Start();
  Shell(0, "printf 0123456789");
  AwaitEnd(0);
  EXPECT_EQ(ReadLog(0, "stdout", 3, 4)->content, "3456");
  EXPECT_EQ(ReadLog(0, "stdout", 3, 4)->size, 10u);
  EXPECT_EQ(ReadLog(0, "stdout", 10, 4)->content, "");
  EXPECT_EQ(ReadLog(0, "stderr", 0, 4)->size, 0u) << "nothing was written to it";
  EXPECT_EQ(ReadLog(0, "../x", 0, 4).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadLog(9, "stdout", 0, 4).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(GuardianTest, KeepsTheDirectoriesOfTheNewestAttemptsOnly) {
  options_.kept_attempts = 2;
  Start();
  for (uint32_t subtask = 0; subtask < 4; ++subtask) {
    Shell(subtask, "echo hello");
    AwaitEnd(subtask);
  }
  EXPECT_TRUE(Eventually([&] { return absl::IsNotFound(ReadLog(1, "stdout", 0, 9).status()); }));
  EXPECT_EQ(Stdout(2), "hello\n");
  EXPECT_EQ(Stdout(3), "hello\n");
}

TEST_F(GuardianTest, OnlyOneTaskManagerWorksInADirectory) {
  Start();
  auto second = GuardianLauncher::Create(options_, executor_, files_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find("-D taskmanager.work-directory="), std::string::npos)
      << second.status();
}

TEST_F(GuardianTest, RunsManyTasksAndAccountsForEach) {
  Start();
  constexpr uint32_t kTasks = 200;
  for (uint32_t i = 0; i < kTasks; ++i) Shell(i, "exit " + std::to_string(i % 100));
  for (uint32_t i = 0; i < kTasks; ++i) {
    EXPECT_EQ(AwaitEnd(i).exit_code(), static_cast<int>(i % 100));
  }
}

}  // namespace
}  // namespace baton
