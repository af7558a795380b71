// The guardian with real processes, through the GuardianLauncher: what its tests share.

#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/asio_executor.h"
#include "base/status.h"
#include "rpc/asio_frame_transport.h"
#include "rpc/attempt_id.h"
#include "taskmanager/guardian_launcher.h"
#include "tests/taskmanager/process_world.h"

namespace baton {

using Outcome = pb::FinalReport;

inline constexpr Duration kLongLease = std::chrono::minutes(10);

inline ExecutionAttemptId Attempt(uint32_t subtask) {
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

  void EndLeaseSoon() {
    OnStrand([this] { launcher_->SetLeaseDeadline(executor_->Now() + std::chrono::seconds(1)); });
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

  void Release(uint32_t subtask) const { std::ofstream(FileOf(subtask) + ".released"); }

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

// A shell's words: a daemon of two forks, which names itself in $FILE; and waiting for Release.
inline constexpr char kDaemon[] =
    "(setsid sh -c 'echo $$ > $FILE; exec sleep 1000' > /dev/null 2>&1 &) ; "
    "while ! [ -s $FILE ]; do sleep 0.01; done; ";
inline constexpr char kUntilReleased[] = "while ! [ -e $FILE.released ]; do sleep 0.01; done; ";

}  // namespace baton
