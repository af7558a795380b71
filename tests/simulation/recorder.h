// Watches a simulated cluster from outside (its processes, its tree, its clients' answers) and
// fails the test at the instant at which a promise is broken.
//
//   I1 what was acknowledged ends in a result          I2 one live attempt of a subtask at a time
//   I3 epochs never go back                            I6 order of the graph; nothing after the end
//   I7 a result never changes, cancelled stays so      I11 the death of a dispatcher restarts
//   nothing

#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "tests/simulation/simulated_job.h"
#include "tests/taskmanager/fake_process_launcher.h"

namespace baton {

class Recorder : public std::enable_shared_from_this<Recorder> {
 public:
  enum class Restarts { kAllowed, kForbidden };

  // `admin` lives on `executor`.
  Recorder(ExecutorPtr executor, CoordinationClientPtr admin, CoordinationPaths paths);

  void Start();

  // Only dispatchers die from now on: no task has a reason to run again, but its own failure.
  void Set(Restarts restarts) { restarts_ = restarts; }

  // Before it is submitted.
  void Know(const SimulatedJob& job);

  FakeProcessLauncher::Script ScriptFor(const LaunchSpec& spec);
  FakeProcessLauncher::Observer ObserverOf(const std::string& worker);

  void OnAcknowledged(const JobId& job) { acknowledged_.insert(job); }
  void OnCancelAcknowledged(const JobId& job) { cancelled_.insert(job); }

  const std::set<JobId>& acknowledged() const { return acknowledged_; }
  // Of the result in the tree; empty: there is none yet.
  std::string OutcomeOf(const JobId& job) const;
  bool AllEnded() const;
  std::string DescribeUnfinished() const;

  uint64_t epoch() const { return epoch_; }
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
  };
  struct Live {
    ExecutionAttemptId id;
    std::string worker;
  };

  void OnStart(const std::string& worker, const ExecutionAttemptId& id);
  void OnEnd(const ExecutionAttemptId& id, const pb::FinalReport& report);
  void WatchEpoch();
  void RetryWatch(Task watch);
  void WatchResult(const JobId& job);
  void OnResult(const JobId& job, const std::string& data);

  const ExecutorPtr executor_;
  const CoordinationClientPtr admin_;
  const CoordinationPaths paths_;
  Restarts restarts_ = Restarts::kForbidden;
  std::map<JobId, SimulatedJob> jobs_;
  std::map<Subtask, History> history_;
  std::map<Subtask, Live> live_;
  std::map<JobId, std::string> outcomes_;
  std::set<JobId> acknowledged_;
  std::set<JobId> cancelled_;
  uint64_t epoch_ = 0;
  size_t total_starts_ = 0;
  TimePoint last_start_;
  TimePoint last_end_;
};

}  // namespace baton
