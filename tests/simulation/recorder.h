// Watches a simulated cluster from outside (its processes and its clients' answers; the tree is
// TreeJudge's) and says so at the instant at which a promise is broken.
//
//   I1 what was acknowledged is on record           I2 what has finished runs no second time
//   I4 nobody obeys a deployment of an old epoch    I5 one live attempt of a subtask at a time
//   I6 order of the graph; nothing after the end    I7 what was cancelled ends as cancelled
//   I11 nothing runs again whose worker came to no harm
//
// Also that a worker is on the roster before it is given anything (P4 rests on it).

#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "tests/simulation/simulated_job.h"
#include "tests/simulation/tree_judge.h"
#include "tests/simulation/violation.h"
#include "tests/taskmanager/fake_process_launcher.h"

namespace baton {

class Recorder : public std::enable_shared_from_this<Recorder> {
 public:
  enum class Restarts {
    kAllowed,
    kForbidden,  // but after a failure of its own
    kExcused,    // … and after harm to the worker that ran it
  };
  // `executor` gives the time.
  Recorder(ExecutorPtr executor, std::shared_ptr<TreeJudge> tree, OnViolation on_violation);

  void Start();

  // From now on. At first only dispatchers die: no task has a reason to run again.
  void Set(Restarts restarts) { restarts_ = restarts; }

  // What happens to a worker may cost it the tasks that it has, or is being given.
  void Harm(const std::string& worker);
  void BeginHarm(const std::string& worker);
  void EndHarm(const std::string& worker);
  // A dispatcher that neither answers nor refuses lets leases end, when nobody leads either.
  void BeginSilence() { ++silent_; }
  void EndSilence();

  // Before it is submitted.
  void Know(const SimulatedJob& job);
  void KnowByName(const SimulatedJob& job);

  FakeProcessLauncher::Script ScriptFor(const std::string& worker, Epoch obeyed,
                                        const LaunchSpec& spec);
  FakeProcessLauncher::Observer ObserverOf(const std::string& worker);

  void OnAcknowledged(const JobId& job);
  // Its graph cannot be read, so nobody can end its tasks before they are told of: if it is
  // cancelled, its result comes at once, and they are ended after it (JobManagerRunner).
  void OnQuarantined(const JobId& job) { quarantined_.insert(job); }
  void OnCancelAcknowledged(const JobId& job) { cancelled_.insert(job); }

  const std::set<JobId>& acknowledged() const { return acknowledged_; }
  std::string OutcomeOf(const JobId& job) const { return tree_->OutcomeOf(job); }
  bool AllEnded() const { return acknowledged_.size() == ended_; }
  std::string DescribeUnfinished() const;
  // Processes that run although their job is to end as cancelled.
  size_t RunningCancelled() const;

  TreeJudge& tree() { return *tree_; }
  uint64_t epoch() const { return tree_->epoch(); }
  size_t running() const { return live_.size(); }
  size_t RunningOn(const std::string& worker) const;
  size_t StartsOf(const JobId& job) const;
  size_t total_starts() const { return total_starts_; }
  // The time of the last start and end of any process of the job.
  TimePoint last_start() const { return last_start_; }
  TimePoint last_end() const { return last_end_; }

 private:
  struct Subtask {
    JobId job;
    uint32_t vertex = 0;
    uint32_t subtask = 0;
    auto operator<=>(const Subtask&) const = default;
  };
  struct History {
    size_t starts = 0;
    size_t failures = 0;  // by its script
    size_t successes = 0;
    // The last attempt, and why another one may follow it.
    std::string worker;
    bool failed = false;   // by its script
    bool excused = false;  // something was done to it
  };
  struct Live {
    ExecutionAttemptId id;
    std::string worker;
  };

  void OnStart(const std::string& worker, const ExecutionAttemptId& id);
  void CheckStart(const std::string& worker, const ExecutionAttemptId& id, const History& history);
  void CheckRestart(const ExecutionAttemptId& id, const History& history);
  void OnEnd(const ExecutionAttemptId& id, const pb::FinalReport& report);
  void OnResult(const JobId& job, const std::string& outcome);
  void OnDelisted(const std::string& worker);
  const SimulatedJob& JobOf(const JobId& id);
  bool MayLeasesEnd() const;

  const ExecutorPtr executor_;
  const std::shared_ptr<TreeJudge> tree_;
  const OnViolation violated_;
  Restarts restarts_ = Restarts::kForbidden;
  std::map<JobId, SimulatedJob> jobs_;
  std::map<std::string, SimulatedJob> named_;  // whose id is not known before they run
  std::map<Subtask, History> history_;
  std::map<Subtask, Live> live_;
  std::set<JobId> acknowledged_;
  std::set<JobId> cancelled_;
  std::set<JobId> quarantined_;           // at any time
  std::map<std::string, size_t> harmed_;  // workers, by how many faults
  size_t silent_ = 0;
  TimePoint silence_until_;  // of the last that ended
  size_t ended_ = 0;         // of the acknowledged
  size_t total_starts_ = 0;
  TimePoint last_start_;
  TimePoint last_end_;
};

}  // namespace baton
