// A ProcessLauncher whose processes exist in virtual time only. A script decides for each launch
// how long it runs and how it ends; the lease is enforced as a guardian would.
//
// Lives on the executor given to it; its guardian, which starts and ends the processes, on that or
// on one of its own, so that a TaskManager can be stopped and its guardian go on. Kill() is the end
// of the whole TaskManager: no callback comes any more, and nothing runs. Observers see every start
// and end, also those that nobody is told of: a simulation checks P4 with them.

#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "base/status.h"
#include "taskmanager/process_launcher.h"

namespace baton {

class FakeProcessLauncher final : public ProcessLauncher,
                                  public std::enable_shared_from_this<FakeProcessLauncher> {
 public:
  struct Script {
    Duration launch_delay = std::chrono::milliseconds(1);
    std::optional<Duration> runs_for;  // none: until it is ended
    pb::FinalReport::Outcome outcome = pb::FinalReport::EXITED;
    int32_t exit_code = 0;
    Duration stop_delay = std::chrono::milliseconds(5);  // from SIGTERM to its end
  };
  using ScriptFor = std::function<Script(const LaunchSpec&)>;
  struct Observer {
    std::function<void(const ExecutionAttemptId&)> on_process_start;
    std::function<void(const ExecutionAttemptId&, const pb::FinalReport&)> on_process_end;
  };

  // The address is where a simulation lets its guardian answer; this class opens no port.
  FakeProcessLauncher(ExecutorPtr executor, RandomPtr random, std::string liveness_address,
                      ScriptFor script_for)
      : executor_(std::move(executor)),
        random_(std::move(random)),
        liveness_address_(std::move(liveness_address)),
        script_for_(std::move(script_for)),
        guardian_(executor_),
        incarnation_(random_->NewIncarnation()) {}

  void Observe(Observer observer) { observer_ = std::move(observer); }
  // Before anything is launched.
  void SetGuardian(ExecutorPtr executor) { guardian_ = std::move(executor); }

  void Start(Listener listener) override { listener_ = std::move(listener); }

  bool ready() const override { return ready_; }
  void SetReady(bool ready) { ready_ = ready; }  // false: its guardian is being restarted
  // The guardian dies, and no other one can be started until LoseGuardian.
  void MissGuardian() {
    EndAll(pb::FinalReport::GUARDIAN_LOST, "lost");
    ready_ = false;
    executor_->Post(IfAlive(weak_from_this(), [](FakeProcessLauncher& self) {
      if (self.listener_.on_guardian_missing) {
        self.listener_.on_guardian_missing(Unavailable("no such file"));
      }
    }));
  }

  void Launch(LaunchSpec spec) override {
    const ExecutionAttemptId id = spec.id;
    launched_.push_back(spec);
    if (executor_->Now() >= lease_deadline_) {
      return EndLater(id, Report(pb::FinalReport::REFUSED, "no lease is running"));
    }
    Process process;
    process.script = script_for_(spec);
    process.timeout = spec.timeout;
    process.number = ++last_number_;
    const Duration delay = process.script.launch_delay;
    processes_[id] = process;
    After(delay, id, process.number,
          [](FakeProcessLauncher& self, const ExecutionAttemptId& i) { self.Run(i); });
  }

  void Stop(const ExecutionAttemptId& id, Duration grace) override {
    auto it = processes_.find(id);
    if (it == processes_.end()) return;
    it->second.canceled = true;
    After(std::min(grace, it->second.script.stop_delay), id, it->second.number,
          [](FakeProcessLauncher& self, const ExecutionAttemptId& i) {
            self.End(i, self.Report(pb::FinalReport::CANCELED, ""));
          });
  }

  void SetLeaseDeadline(TimePoint deadline) override {
    lease_deadline_ = deadline;
    WatchLease();
  }

  void ReadLog(const ExecutionAttemptId& id, const std::string& stream, uint64_t offset,
               uint32_t limit, LogCallback callback) override {
    auto it = logs_.find({id, stream});
    for (auto log = logs_.begin(); id.epoch == Epoch{} && log != logs_.end(); ++log) {
      ExecutionAttemptId any_epoch = log->first.first;
      any_epoch.epoch = Epoch{};
      if (any_epoch == id && log->first.second == stream) it = log;  // the newest is the last
    }
    absl::StatusOr<LogChunk> chunk = NotFound("there is no log of {}", id.ToString());
    if (it != logs_.end()) {
      LogChunk found{"", it->second.size()};
      if (offset < it->second.size()) found.content = it->second.substr(offset, limit);
      chunk = found;
    }
    executor_->Post([callback = std::move(callback), chunk = std::move(chunk)]() mutable {
      callback(std::move(chunk));
    });
  }

  std::string liveness_address() const override { return liveness_address_; }
  Incarnation guardian_incarnation() const override { return incarnation_; }

  // --- what tests do to it

  void SetLog(const ExecutionAttemptId& id, const std::string& stream, std::string content) {
    logs_[{id, stream}] = std::move(content);
  }

  // A process ends by itself now.
  void Finish(const ExecutionAttemptId& id, int32_t exit_code) {
    pb::FinalReport report = Report(pb::FinalReport::EXITED, "");
    report.set_exit_code(exit_code);
    End(id, std::move(report));
  }
  // It could not be started.
  void Fail(const ExecutionAttemptId& id, std::string failure) {
    End(id, Report(pb::FinalReport::LAUNCH_FAILED, std::move(failure)));
  }

  // The guardian dies and is replaced by another one. Its tasks are gone, and reported, within
  // `dying`: the kernel takes its time.
  void LoseGuardian(Duration dying = Duration::zero()) {
    Doom(guardian_, dying);
    ready_ = true;
    incarnation_ = random_->NewIncarnation();
    executor_->Post(IfAlive(weak_from_this(), [](FakeProcessLauncher& self) {
      if (self.listener_.on_guardian_lost) self.listener_.on_guardian_lost(Unavailable("killed"));
    }));
  }

  // The TaskManager's process dies, and with its guardian every task.
  void Kill() {
    listener_ = {};
    EndAll(pb::FinalReport::GUARDIAN_LOST, "");
  }
  // The same; `kernel`, which goes on when the executor of this one does not, takes its time.
  void Kill(const ExecutorPtr& kernel, Duration dying) {
    listener_ = {};
    Doom(kernel, dying);
  }

  std::set<ExecutionAttemptId> Running() const {
    std::set<ExecutionAttemptId> running;
    for (const auto& [id, process] : processes_) {
      if (process.running) running.insert(id);
    }
    return running;
  }
  const std::vector<LaunchSpec>& launched() const { return launched_; }
  TimePoint lease_deadline() const { return lease_deadline_; }

 private:
  struct Process {
    Script script;
    Duration timeout = Duration::zero();
    uint64_t number = 0;  // a timer of an earlier process of the same attempt is not this one's
    bool running = false;
    bool canceled = false;
    WallMillis started = kNotYet;
  };

  template <class F>
  void After(Duration delay, const ExecutionAttemptId& id, uint64_t number, F action) {
    guardian_->PostAfter(delay,
                         IfAlive(weak_from_this(), [id, number, action](FakeProcessLauncher& self) {
                           auto it = self.processes_.find(id);
                           if (it != self.processes_.end() && it->second.number == number) {
                             action(self, id);
                           }
                         }));
  }

  pb::FinalReport Report(pb::FinalReport::Outcome outcome, std::string failure) const {
    pb::FinalReport report;
    report.set_outcome(outcome);
    report.set_failure(std::move(failure));
    report.set_started_ms(kNotYet);
    report.set_ended_ms(executor_->WallNow());
    report.set_block_io_wait_ms(-1);
    return report;
  }

  void Run(const ExecutionAttemptId& id) {
    Process& process = processes_.at(id);
    const Script script = process.script;
    if (script.outcome == pb::FinalReport::LAUNCH_FAILED) {
      return End(id, Report(pb::FinalReport::LAUNCH_FAILED, "exec: No such file or directory"));
    }
    process.running = true;
    process.started = executor_->WallNow();
    const uint64_t number = process.number;
    if (observer_.on_process_start) observer_.on_process_start(id);
    if (script.runs_for) {
      After(*script.runs_for, id, number,
            [](FakeProcessLauncher& self, const ExecutionAttemptId& i) {
              const Script& ended = self.processes_.at(i).script;
              pb::FinalReport report = self.Report(ended.outcome, "");
              report.set_exit_code(ended.exit_code);
              self.End(i, std::move(report));
            });
    }
    if (process.timeout > Duration::zero()) {
      After(process.timeout, id, number,
            [](FakeProcessLauncher& self, const ExecutionAttemptId& i) {
              self.End(i, self.Report(pb::FinalReport::TIMED_OUT, "ran too long"));
            });
    }
    executor_->Post(IfAlive(
        weak_from_this(), [id, number, started = process.started](FakeProcessLauncher& self) {
          if (!self.listener_.on_started) return;
          self.listener_.on_started(id, static_cast<int64_t>(1000 + number), started);
        }));
  }

  void End(const ExecutionAttemptId& id, pb::FinalReport report) {
    auto node = processes_.extract(id);
    if (node.empty()) return;
    report.set_started_ms(node.mapped().started);
    if (node.mapped().running && observer_.on_process_end) observer_.on_process_end(id, report);
    EndLater(id, std::move(report));
  }

  void EndLater(const ExecutionAttemptId& id, pb::FinalReport report) {
    executor_->Post(IfAlive(weak_from_this(), [id, report](FakeProcessLauncher& self) {
      if (self.listener_.on_ended) self.listener_.on_ended(id, report);
    }));
  }

  // Whatever else would have become of the processes that are here.
  void Doom(const ExecutorPtr& kernel, Duration dying) {
    if (dying <= Duration::zero()) return EndAll(pb::FinalReport::GUARDIAN_LOST, "lost");
    for (auto& [id, process] : processes_) {
      process.number = ++last_number_;
      kernel->PostAfter(
          random_->Below(dying), [self = shared_from_this(), id = id, number = process.number] {
            auto it = self->processes_.find(id);
            if (it == self->processes_.end() || it->second.number != number) return;
            self->End(id, self->Report(pb::FinalReport::GUARDIAN_LOST, "the guardian died"));
          });
    }
  }

  void EndAll(pb::FinalReport::Outcome outcome, const std::string& failure) {
    while (!processes_.empty()) End(processes_.begin()->first, Report(outcome, failure));
  }

  void WatchLease() {
    guardian_->PostAfter(lease_deadline_ - guardian_->Now(),
                         IfAlive(weak_from_this(), [watched = lease_deadline_](auto& self) {
                           self.CheckLease(watched);
                         }));
  }

  // A timer keeps its rate when its clock is slowed: it may come before the deadline.
  void CheckLease(TimePoint watched) {
    if (guardian_->Now() >= lease_deadline_) {
      EndAll(pb::FinalReport::LEASE_EXPIRED, "the lease ended");
    } else if (watched == lease_deadline_) {
      WatchLease();
    }
  }

  const ExecutorPtr executor_;
  const RandomPtr random_;
  const std::string liveness_address_;
  const ScriptFor script_for_;
  ExecutorPtr guardian_;
  Incarnation incarnation_;
  bool ready_ = true;
  Listener listener_;
  Observer observer_;
  TimePoint lease_deadline_{};
  uint64_t last_number_ = 0;
  std::map<ExecutionAttemptId, Process> processes_;
  std::map<std::pair<ExecutionAttemptId, std::string>, std::string> logs_;
  std::vector<LaunchSpec> launched_;
};

}  // namespace baton
