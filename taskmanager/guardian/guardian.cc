#include "taskmanager/guardian/guardian.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/utf8.h"
#include "rpc/attempt_id.h"
#include "taskmanager/guardian/boot_time.h"
#include "taskmanager/guardian/process_tree.h"
#include "taskmanager/guardian/spawn.h"

namespace baton::guardian {
namespace {

// A look at all children costs more on a host with many processes: it gets a fifth of the time.
constexpr int kSweepPause = 4;
constexpr size_t kMaxFailureBytes = 2'000;
constexpr Duration kLeastSweepPause = std::chrono::milliseconds(1);
constexpr Duration kEndPatience = std::chrono::seconds(1);

bool KernelCountsBlockIo() {
  int enabled = 0;
  std::ifstream("/proc/sys/kernel/task_delayacct") >> enabled;
  return enabled == 1;
}

}  // namespace

Guardian::Guardian(int socket) : socket_(socket) {}

Guardian::~Guardian() {
  tasks_.clear();
  if (signals_ >= 0) close(signals_);
}

int Guardian::Run() {
  if (auto status = Open(); !status.ok()) {
    log::Error("guardian cannot start: {}", Message(status));
    return 1;
  }
  while (!ended_) {
    poller_.RunOnce(NextDeadline());
    if (ended_) break;
    const TimePoint now = BootNow();
    CheckLease(now);
    for (auto& [id, task] : tasks_) task->OnTime(now);
    if (SweepWanted() && now >= next_sweep_) Sweep();
    FlushSocket();
  }
  EndEverything();
  return 0;
}

absl::Status Guardian::Open() {
  // Signals of the terminal are for the TaskManager; this process ends after it, with the socket.
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  signals_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) return Internal("signalfd: {}", std::strerror(errno));
  BecomeSubreaper();
  PrepareToSpawn();
  counts_block_io_ = KernelCountsBlockIo();
  if (auto status = poller_.Open(); !status.ok()) return status;
  poller_.Watch(signals_, [this] { OnSignal(); });
  socket_watch_ = poller_.Watch(socket_.fd(), [this] { OnSocket(); });
  return absl::OkStatus();
}

TimePoint Guardian::NextDeadline() const {
  TimePoint next = lease_running_ ? lease_deadline_ : TimePoint::max();
  for (const auto& [id, task] : tasks_) next = std::min(next, task->next_deadline());
  if (SweepWanted()) next = std::min(next, next_sweep_);
  return next;
}

void Guardian::OnSocket() {
  const absl::Status status =
      socket_.Receive([this](std::string_view message) { OnRequest(message); });
  if (status.ok()) return;
  log::Info("guardian ends with its TaskManager: {}", Message(status));
  ended_ = true;
}

void Guardian::OnRequest(std::string_view message) {
  pb::GuardianRequest request;
  if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    log::Error("guardian got an unreadable request bytes={}", message.size());
    ended_ = true;
    return;
  }
  // A lease that is over ends every task before a late renewal is looked at.
  CheckLease(BootNow());
  switch (request.request_case()) {
    case pb::GuardianRequest::kConfigure:
      return Configure(request.configure());
    case pb::GuardianRequest::kLaunch:
      return Launch(std::move(*request.mutable_launch()));
    case pb::GuardianRequest::kStop:
      return Stop(request.stop());
    case pb::GuardianRequest::kSetLease:
      return SetLease(request.set_lease());
    case pb::GuardianRequest::REQUEST_NOT_SET:
      return;
  }
}

void Guardian::Configure(const pb::GuardianConfigure& settings) {
  settings_ = settings;
  pb::GuardianEvent event;
  const absl::Status status = liveness_.Open(settings.liveness_address(), settings.incarnation());
  if (status.ok()) {
    poller_.Watch(liveness_.fd(), [this] { liveness_.Answer(); });
    event.mutable_hello()->set_liveness_address(liveness_.address());
    configured_ = true;
  } else {
    event.mutable_hello()->set_failure(Message(status));
    ended_ = true;
  }
  Send(event);
  FlushSocket();
}

void Guardian::Launch(pb::GuardianLaunch launch) {
  const pb::AttemptId wire_id = launch.id();
  const auto id = FromProto(wire_id);
  if (!id.ok() || !configured_) {
    return Refuse(wire_id, pb::FinalReport::LAUNCH_FAILED, "the launch is malformed");
  }
  if (tasks_.contains(*id)) return;
  if (!lease_running_) return Refuse(wire_id, pb::FinalReport::REFUSED, "no lease is running");
  auto task = std::make_unique<GuardedTask>(std::move(launch), *id, settings_, poller_);
  if (auto status = task->Start([this](GuardedTask& t) { OnStarted(t); }); !status.ok()) {
    return Refuse(wire_id, pb::FinalReport::LAUNCH_FAILED, Message(status));
  }
  by_session_[task->pid()] = task.get();
  by_token_[task->token()] = task.get();
  tasks_.emplace(*id, std::move(task));
}

void Guardian::Stop(const pb::GuardianStop& stop) {
  const auto id = FromProto(stop.id());
  auto it = id.ok() ? tasks_.find(*id) : tasks_.end();
  if (it == tasks_.end()) return;  // ended meanwhile: its report is on the way
  it->second->Terminate(pb::FinalReport::CANCELED, "",
                        BootNow() + std::chrono::milliseconds(stop.grace_ms()));
}

void Guardian::SetLease(const pb::GuardianSetLease& lease) {
  lease_deadline_ = TimePoint(Duration(lease.deadline_ns()));
  // One that runs may end earlier now, even at once; one that is over starts only if there is time.
  lease_running_ = lease_running_ || BootNow() < lease_deadline_;
  CheckLease(BootNow());
}

void Guardian::OnSignal() {
  signalfd_siginfo info;
  while (read(signals_, &info, sizeof info) > 0) {
  }
  Reap();
}

void Guardian::Reap() {
  while (true) {
    siginfo_t info{};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return;
    const pid_t pid = info.si_pid;
    auto it = by_session_.find(pid);
    if (it == by_session_.end() || it->second->exited()) {
      waitpid(pid, nullptr, WNOHANG);
      continue;
    }
    // While the leader is not reaped, its number still names its group; and a signal to a group
    // reaches also what is being forked right now.
    kill(-pid, SIGKILL);
    GuardedTask::Exit exit;
    if (counts_block_io_) {
      if (const auto stat = ReadProcessStat(pid)) exit.block_io_ticks = stat->block_io_ticks;
    }
    wait4(pid, &exit.status, 0, &exit.usage);
    it->second->OnExited(exit);
  }
}

void Guardian::OnStarted(GuardedTask& task) {
  pb::GuardianEvent event;
  *event.mutable_started()->mutable_id() = task.id();
  event.mutable_started()->set_pid(task.pid());
  event.mutable_started()->set_started_ms(task.started());
  Send(event);
}

void Guardian::CheckLease(TimePoint now) {
  if (!lease_running_ || now < lease_deadline_) return;
  lease_running_ = false;
  if (tasks_.empty()) return;
  log::Warning("lease over, ending every task tasks={}", tasks_.size());
  for (auto& [id, task] : tasks_) {
    task->Kill(pb::FinalReport::LEASE_EXPIRED, "the lease of its TaskManager ended");
  }
}

bool Guardian::SweepWanted() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [](const auto& entry) { return entry.second->doomed(); });
}

void Guardian::Sweep() {
  const TimePoint begin = BootNow();
  std::set<const GuardedTask*> held;  // something of them is still alive
  bool nobodys = false;
  for (pid_t child : ListChildren()) {
    const GuardedTask* owner = OwnerOf(child);
    if (owner != nullptr && !owner->doomed()) continue;
    kill(child, SIGKILL);
    held.insert(owner);
    nobodys = nobodys || owner == nullptr;
  }
  for (auto it = tasks_.begin(); it != tasks_.end();) {
    GuardedTask& task = *it->second;
    if (!task.exited() || nobodys || held.contains(&task)) {
      ++it;
      continue;
    }
    Report(task.id(), task.Finish());
    auto session = by_session_.find(task.pid());
    if (session != by_session_.end() && session->second == &task) by_session_.erase(session);
    by_token_.erase(task.token());
    it = tasks_.erase(it);
  }
  const TimePoint end = BootNow();
  next_sweep_ = end + std::max(kLeastSweepPause, kSweepPause * (end - begin));
}

GuardedTask* Guardian::OwnerOf(pid_t child) const {
  if (auto it = by_session_.find(child); it != by_session_.end() && !it->second->exited()) {
    return it->second;
  }
  if (auto it = by_session_.find(getsid(child)); it != by_session_.end()) return it->second;
  const auto token = ReadEnvironment(child, kTokenVariable);
  auto it = token ? by_token_.find(*token) : by_token_.end();
  return it == by_token_.end() ? nullptr : it->second;
}

void Guardian::Report(const pb::AttemptId& id, pb::FinalReport report) {
  // It may quote a path or what a task said; one wild byte would make the event unreadable.
  report.set_failure(CleanUtf8(report.failure(), kMaxFailureBytes));
  pb::GuardianEvent event;
  *event.mutable_ended()->mutable_id() = id;
  *event.mutable_ended()->mutable_report() = std::move(report);
  Send(event);
}

void Guardian::Refuse(const pb::AttemptId& id, pb::FinalReport::Outcome outcome,
                      std::string failure) {
  pb::FinalReport report;
  report.set_outcome(outcome);
  report.set_failure(std::move(failure));
  report.set_started_ms(kNotYet);
  report.set_ended_ms(WallNow());
  report.set_block_io_wait_ms(-1);
  Report(id, std::move(report));
}

void Guardian::Send(const pb::GuardianEvent& event) {
  if (socket_.Queue(event.SerializeAsString()).ok()) return;
  log::Error("guardian ends: its TaskManager does not read");
  ended_ = true;
}

void Guardian::FlushSocket() {
  if (!socket_.Flush().ok()) ended_ = true;
  poller_.WantWrite(socket_watch_, socket_.has_unsent());
}

void Guardian::EndEverything() {
  for (auto& [id, task] : tasks_) {
    task->Kill(pb::FinalReport::GUARDIAN_LOST, "its TaskManager ended");
  }
  while (!KillAndReapAllChildren(kEndPatience)) {
    log::Warning("guardian waits for processes that do not die");
  }
  for (auto& [id, task] : tasks_) task->Finish();
}

}  // namespace baton::guardian
