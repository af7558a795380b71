// The guardian with real processes, through the GuardianLauncher and over its bare socket.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/asio_executor.h"
#include "base/status.h"
#include "rpc/asio_frame_transport.h"
#include "rpc/attempt_id.h"
#include "taskmanager/guardian/boot_time.h"
#include "taskmanager/guardian_launcher.h"
#include "tests/taskmanager/process_world.h"

namespace baton {
namespace {

using Outcome = pb::FinalReport;

constexpr Duration kLongLease = std::chrono::minutes(10);

ExecutionAttemptId Attempt(uint32_t subtask) {
  return {.job = JobId::FromKey("guardian-test"), .vertex = 0, .subtask = subtask, .epoch = {3}};
}

class GuardianTest : public testing::Test {
 protected:
  GuardianTest() { options_ = OptionsIn(directory_.path() + "/work"); }

  ~GuardianTest() override {
    launcher_ = nullptr;
    pool_.Stop();
  }

  static GuardianOptions OptionsIn(const std::string& directory) {
    GuardianOptions options;
    options.binary = GuardianBinary();
    options.name = "test";
    options.work_directory = directory;
    options.liveness_address = "127.0.0.1:0";
    options.kill_grace = std::chrono::milliseconds(50);
    return options;
  }

  void Start(Duration lease = kLongLease) {
    auto launcher = GuardianLauncher::Create(options_, executor_, files_);
    ASSERT_TRUE(launcher.ok()) << Describe(launcher.status());
    launcher_ = *launcher;
    ProcessLauncher::Listener listener;
    listener.on_started = [this](const ExecutionAttemptId& id, int64_t, WallMillis) {
      std::lock_guard lock(mutex_);
      started_.insert(id);
    };
    listener.on_ended = [this](const ExecutionAttemptId& id, pb::FinalReport report) {
      std::lock_guard lock(mutex_);
      EXPECT_FALSE(ended_.contains(id)) << "reported twice: " << id.ToString();
      ended_[id] = std::move(report);
    };
    listener.on_guardian_lost = [this](const absl::Status&) {
      std::lock_guard lock(mutex_);
      ++guardians_lost_;
    };
    OnStrand([&] {
      launcher_->Start(std::move(listener));
      if (lease > Duration::zero()) launcher_->SetLeaseDeadline(executor_->Now() + lease);
    });
  }

  void OnStrand(const std::function<void()>& body) {
    std::mutex mutex;
    bool done = false;
    executor_->Post([&] {
      body();
      std::lock_guard lock(mutex);
      done = true;
    });
    ASSERT_TRUE(Eventually([&] {
      std::lock_guard lock(mutex);
      return done;
    }));
  }

  void Launch(uint32_t subtask, std::vector<std::string> command,
              Duration timeout = Duration::zero()) {
    LaunchSpec spec;
    spec.id = Attempt(subtask);
    spec.command = std::move(command);
    spec.env = {{"FILE", FileOf(subtask)}, {"PATH", "/usr/bin:/bin"}};
    spec.timeout = timeout;
    OnStrand([&] { launcher_->Launch(spec); });
  }
  void Shell(uint32_t subtask, const std::string& script, Duration timeout = Duration::zero()) {
    Launch(subtask, {"sh", "-c", script}, timeout);
  }

  // Where a task may write what the test waits for.
  std::string FileOf(uint32_t subtask) const {
    return directory_.path() + "/file-" + std::to_string(subtask);
  }

  bool Ended(uint32_t subtask) {
    std::lock_guard lock(mutex_);
    return ended_.contains(Attempt(subtask));
  }
  bool Started(uint32_t subtask) {
    std::lock_guard lock(mutex_);
    return started_.contains(Attempt(subtask));
  }
  pb::FinalReport AwaitEnd(uint32_t subtask) {
    EXPECT_TRUE(Eventually([&] { return Ended(subtask); })) << "attempt " << subtask;
    std::lock_guard lock(mutex_);
    return ended_[Attempt(subtask)];
  }
  int guardians_lost() {
    std::lock_guard lock(mutex_);
    return guardians_lost_;
  }

  absl::StatusOr<LogChunk> ReadLog(uint32_t subtask, const std::string& stream, uint64_t offset,
                                   uint32_t limit) {
    std::mutex mutex;
    std::optional<absl::StatusOr<LogChunk>> result;
    OnStrand([&] {
      launcher_->ReadLog(Attempt(subtask), stream, offset, limit,
                         [&](absl::StatusOr<LogChunk> chunk) {
                           std::lock_guard lock(mutex);
                           result = std::move(chunk);
                         });
    });
    EXPECT_TRUE(Eventually([&] {
      std::lock_guard lock(mutex);
      return result.has_value();
    }));
    return *result;
  }
  std::string Stdout(uint32_t subtask) {
    auto chunk = ReadLog(subtask, "stdout", 0, 1 << 20);
    return chunk.ok() ? chunk->content : Describe(chunk.status());
  }

  pid_t GuardianPid() { return std::atoi(ReadWholeFile(RecordFile()).c_str()); }
  std::string RecordFile() const { return options_.work_directory + "/guardian.pid"; }

  // The frame that the port sends, or the error of the connect.
  absl::StatusOr<std::string> AskLiveness(const std::string& address) {
    struct Answer {
      std::mutex mutex;
      std::optional<absl::StatusOr<std::string>> result;
      FrameConnectionPtr connection;
      void Set(absl::StatusOr<std::string> value) {
        std::lock_guard lock(mutex);
        if (!result) result = std::move(value);
      }
    };
    auto answer = std::make_shared<Answer>();
    auto transport = NewAsioFrameTransport(pool_);
    transport->Connect(address, kDeadline, executor_,
                       [answer](absl::StatusOr<FrameConnectionPtr> connection) {
                         if (!connection.ok()) return answer->Set(connection.status());
                         answer->connection = *connection;
                         (*connection)
                             ->Start({[answer](std::string f) { answer->Set(f); },
                                      [answer](absl::Status why) { answer->Set(why); }});
                       });
    EXPECT_TRUE(Eventually([&] {
      std::lock_guard lock(answer->mutex);
      return answer->result.has_value();
    }));
    std::lock_guard lock(answer->mutex);
    return *answer->result;
  }

  TemporaryDirectory directory_;
  ThreadPool pool_{2};
  ExecutorPtr executor_ = pool_.NewExecutor();
  ExecutorPtr files_ = pool_.NewExecutor();
  GuardianOptions options_;
  std::shared_ptr<GuardianLauncher> launcher_;

  std::mutex mutex_;
  // Guarded by mutex_:
  std::set<ExecutionAttemptId> started_;
  std::map<ExecutionAttemptId, pb::FinalReport> ended_;
  int guardians_lost_ = 0;
};

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
  Shell(0, "trap '' TERM; echo $$ > $FILE; while :; do sleep 1; done",
        std::chrono::milliseconds(300));
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

constexpr char kDaemon[] =
    "(setsid sh -c 'echo $$ > $FILE; exec sleep 1000' > /dev/null 2>&1 &) ; "
    "while ! [ -s $FILE ]; do sleep 0.01; done; ";

TEST_F(GuardianTest, ReportsTheEndOnlyWhenNoDoubleForkedDaemonIsLeft) {
  Start();
  Shell(0, std::string(kDaemon) + "sleep 0.2; exit 5");
  NamedProcess daemon(FileOf(0));
  EXPECT_EQ(AwaitEnd(0).exit_code(), 5);
  EXPECT_FALSE(daemon.alive());
}

TEST_F(GuardianTest, FindsADaemonThatHidItsEnvironment) {
  Start();
  Shell(0,
        "(env -i FILE=$FILE setsid sh -c 'echo $$ > $FILE; exec sleep 1000' &) ; "
        "while ! [ -s $FILE ]; do sleep 0.01; done; sleep 0.2");
  NamedProcess daemon(FileOf(0));
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

TEST_F(GuardianTest, KillsEverythingWhenTheLeaseEnds) {
  Start(std::chrono::seconds(2));
  Shell(0, std::string(kDaemon) + "trap '' TERM; while :; do sleep 1; done");
  NamedProcess daemon(FileOf(0));
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
  OnStrand([&] { launcher_->SetLeaseDeadline(executor_->Now() + std::chrono::seconds(1)); });
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
  Start(std::chrono::seconds(2));
  Shell(0, "echo $$ > $FILE; exec sleep 1000");
  NamedProcess task(FileOf(0));
  kill(GuardianPid(), SIGSTOP);
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
