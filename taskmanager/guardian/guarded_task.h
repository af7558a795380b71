// One attempt under the guardian's hand: its process, its logs, its deadlines, and why it ends.
//
// Lives in the guardian's loop; owned by the Guardian until its end was reported. Its process is
// dead before it is destroyed.

#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/ids.h"
#include "base/time.h"
#include "taskmanager/guardian/guardian.pb.h"
#include "taskmanager/guardian/log_pipe.h"
#include "taskmanager/guardian/poller.h"

namespace baton::guardian {

// In the environment of every process of a task: what it left behind is found by it. The value is
// "<incarnation of the guardian>/<attempt>".
inline constexpr char kTokenVariable[] = "BATON_ATTEMPT_TOKEN";

class GuardedTask {
 public:
  // How a waited-for process ended.
  struct Exit {
    int status = 0;
    rusage usage{};
    int64_t block_io_ticks = -1;
  };
  using StartedHandler = std::function<void(GuardedTask&)>;

  GuardedTask(pb::GuardianLaunch launch, const ExecutionAttemptId& id,
              const pb::GuardianConfigure& settings, Poller& poller);
  ~GuardedTask();
  GuardedTask(const GuardedTask&) = delete;
  GuardedTask& operator=(const GuardedTask&) = delete;

  // Makes its directory and its process; `on_started` is called when the command runs.
  absl::Status Start(StartedHandler on_started);

  // SIGTERM to the group now, SIGKILL at `kill_at`. Of several reasons to end, the first is told.
  void Terminate(pb::FinalReport::Outcome outcome, std::string failure, TimePoint kill_at);
  void Kill(pb::FinalReport::Outcome outcome, std::string failure);

  // What falls due by `now`: the timeout, the end of a grace.
  void OnTime(TimePoint now);
  TimePoint next_deadline() const;

  // The main process was reaped.
  void OnExited(const Exit& exit);

  // The last word: drains the logs. No process of the task is left.
  pb::FinalReport Finish();

  const pb::AttemptId& id() const { return launch_.id(); }
  const std::string& token() const { return token_; }
  pid_t pid() const { return pid_; }
  WallMillis started() const { return started_; }
  bool exited() const { return exited_; }
  // Whether nothing of it may live on: it exited, or SIGKILL was sent.
  bool doomed() const { return exited_ || killed_; }

 private:
  struct Watched {
    std::unique_ptr<LogPipe> log;
    Poller::WatchId watch = 0;
  };

  absl::Status MakeDirectory(const std::string& path);
  void OnExecResult();
  void CloseExecResult();
  void WatchLog(Watched* watched, int pipe, const char* name);
  void OnLog(Watched* watched);
  void Decide(pb::FinalReport::Outcome outcome, std::string failure);
  void SignalGroup(int signal_number);

  const pb::GuardianLaunch launch_;
  const std::string token_;
  const std::string directory_;
  const Duration kill_grace_;
  const uint64_t log_max_bytes_;
  Poller& poller_;

  StartedHandler on_started_;
  pid_t pid_ = -1;
  int exec_result_ = -1;
  Poller::WatchId exec_watch_ = 0;
  Watched stdout_, stderr_;
  WallMillis started_ = kNotYet;
  TimePoint timeout_at_ = TimePoint::max();
  TimePoint kill_at_ = TimePoint::max();
  bool terminated_ = false;  // SIGTERM was sent
  bool killed_ = false;
  bool exited_ = false;
  pb::FinalReport report_;
};

}  // namespace baton::guardian
