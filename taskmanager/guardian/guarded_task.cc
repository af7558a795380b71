#include "taskmanager/guardian/guarded_task.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/status.h"
#include "taskmanager/guardian/boot_time.h"
#include "taskmanager/guardian/spawn.h"

namespace baton::guardian {
namespace {

constexpr char kWorkDirectory[] = "work";
constexpr int kMakeDirectoryTries = 5;
constexpr char kDefaultPath[] = "PATH=/usr/local/bin:/usr/bin:/bin";

int64_t Millis(const timeval& time) { return time.tv_sec * 1000 + time.tv_usec / 1000; }

std::vector<std::string> Environment(const pb::GuardianLaunch& launch, const std::string& token,
                                     const std::string& directory) {
  std::vector<std::string> environment;
  bool has_path = false;
  for (const auto& entry : launch.env()) {
    environment.push_back(entry.name() + "=" + entry.value());
    has_path = has_path || entry.name() == "PATH";
  }
  if (!has_path) environment.push_back(kDefaultPath);
  environment.push_back("BATON_WORK_DIR=" + directory);
  environment.push_back(std::string(kTokenVariable) + "=" + token);
  return environment;
}

}  // namespace

GuardedTask::GuardedTask(pb::GuardianLaunch launch, const ExecutionAttemptId& id,
                         const pb::GuardianConfigure& settings, Poller& poller)
    : launch_(std::move(launch)),
      token_(settings.incarnation() + "/" + id.ToString()),
      directory_(settings.task_root() + "/" + id.ToString()),
      kill_grace_(std::chrono::milliseconds(settings.kill_grace_ms())),
      log_max_bytes_(settings.log_max_bytes()),
      poller_(poller) {}

GuardedTask::~GuardedTask() {
  CloseExecResult();
  poller_.Unwatch(stdout_.watch);
  poller_.Unwatch(stderr_.watch);
}

absl::Status GuardedTask::Start(StartedHandler on_started) {
  if (launch_.command().empty()) return InvalidArgument("the command is empty");
  const std::string work = directory_ + "/" + kWorkDirectory;
  if (auto status = MakeDirectory(work); !status.ok()) return status;
  auto spawned = Spawn({.command = {launch_.command().begin(), launch_.command().end()},
                        .environment = Environment(launch_, token_, work),
                        .directory = work});
  if (!spawned.ok()) return spawned.status();
  on_started_ = std::move(on_started);
  pid_ = spawned->pid;
  // The watches call into this object, which unwatches them before it goes.
  exec_result_ = spawned->exec_result;
  exec_watch_ = poller_.Watch(exec_result_, [this] { OnExecResult(); });
  WatchLog(&stdout_, spawned->stdout_pipe, "stdout");
  WatchLog(&stderr_, spawned->stderr_pipe, "stderr");
  if (launch_.timeout_ms() > 0) {
    const auto timeout = std::chrono::milliseconds(launch_.timeout_ms());
    timeout_at_ = BootNow() + timeout;
  }
  return absl::OkStatus();
}

void GuardedTask::Terminate(pb::FinalReport::Outcome outcome, std::string failure,
                            TimePoint kill_at) {
  if (exited_) return;
  Decide(outcome, std::move(failure));
  kill_at_ = std::min(kill_at_, kill_at);
  if (terminated_) return;
  terminated_ = true;
  SignalGroup(SIGTERM);
}

void GuardedTask::Kill(pb::FinalReport::Outcome outcome, std::string failure) {
  if (exited_) return;
  Decide(outcome, std::move(failure));
  killed_ = true;
  SignalGroup(SIGKILL);
}

void GuardedTask::OnTime(TimePoint now) {
  if (exited_) return;
  if (now >= timeout_at_) {
    timeout_at_ = TimePoint::max();
    Terminate(pb::FinalReport::TIMED_OUT,
              fmt::format("ran longer than {} ms", launch_.timeout_ms()), now + kill_grace_);
  }
  if (now >= kill_at_) {
    kill_at_ = TimePoint::max();
    Kill(report_.outcome(), "");
  }
}

TimePoint GuardedTask::next_deadline() const {
  return exited_ ? TimePoint::max() : std::min(timeout_at_, kill_at_);
}

void GuardedTask::OnExited(const Exit& exit) {
  // A short task may be gone before its exec was seen; what the pipe says counts either way.
  if (exec_result_ >= 0) OnExecResult();
  exited_ = true;
  report_.set_started_ms(started_);
  report_.set_ended_ms(WallNow());
  report_.set_cpu_user_ms(Millis(exit.usage.ru_utime));
  report_.set_cpu_system_ms(Millis(exit.usage.ru_stime));
  report_.set_max_rss_bytes(int64_t{exit.usage.ru_maxrss} * 1024);
  report_.set_block_io_wait_ms(
      exit.block_io_ticks < 0 ? -1 : exit.block_io_ticks * 1000 / sysconf(_SC_CLK_TCK));
  if (WIFSIGNALED(exit.status)) {
    report_.set_signal(WTERMSIG(exit.status));
    Decide(pb::FinalReport::SIGNALED, strsignal(WTERMSIG(exit.status)));
  } else {
    report_.set_exit_code(WEXITSTATUS(exit.status));
    Decide(pb::FinalReport::EXITED, "");
  }
}

pb::FinalReport GuardedTask::Finish() {
  if (stdout_.log) stdout_.log->Drain();
  if (stderr_.log) stderr_.log->Drain();
  return report_;
}

absl::Status GuardedTask::MakeDirectory(const std::string& path) {
  std::error_code error;
  // Emptied parents are removed at the same time by the TaskManager: between two steps one may go.
  for (int i = 0; i < kMakeDirectoryTries; ++i) {
    error.clear();
    std::filesystem::create_directories(path, error);
    if (!error) break;
  }
  if (error) return Unavailable("make {}: {}", path, error.message());
  return absl::OkStatus();
}

void GuardedTask::OnExecResult() {
  std::string failure;
  const ExecState state = ReadExecState(exec_result_, launch_.command(0), &failure);
  if (state == ExecState::kPending) return;
  CloseExecResult();
  if (state == ExecState::kFailed) {
    Decide(pb::FinalReport::LAUNCH_FAILED, std::move(failure));
    return;
  }
  started_ = WallNow();
  on_started_(*this);
}

void GuardedTask::CloseExecResult() {
  if (exec_result_ < 0) return;
  poller_.Unwatch(exec_watch_);
  close(exec_result_);
  exec_result_ = -1;
}

void GuardedTask::WatchLog(Watched* watched, int pipe, const char* name) {
  watched->log = std::make_unique<LogPipe>(pipe, directory_ + "/" + name, log_max_bytes_);
  watched->watch = poller_.Watch(pipe, [this, watched] { OnLog(watched); });
}

void GuardedTask::OnLog(Watched* watched) {
  if (watched->log->Pump() != LogPipe::Result::kEnded) return;
  poller_.Unwatch(watched->watch);
  watched->watch = 0;
}

void GuardedTask::Decide(pb::FinalReport::Outcome outcome, std::string failure) {
  if (report_.outcome() != pb::FinalReport::UNSET) return;
  report_.set_outcome(outcome);
  report_.set_failure(std::move(failure));
}

void GuardedTask::SignalGroup(int signal_number) {
  // Until the child has called setsid there is no group of its own.
  if (pid_ > 0 && kill(-pid_, signal_number) != 0) kill(pid_, signal_number);
}

}  // namespace baton::guardian
