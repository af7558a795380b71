// The drill: do the same fault to a cluster again and again under load, and judge by what the tasks
// wrote whether an acknowledged job was lost, run twice, or a running task disturbed.
//
// Threading: Run blocks the calling thread until the drill is over.

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/drill/epoch_watch.h"
#include "cli/drill/judge.h"
#include "cli/drill/load_generator.h"
#include "cli/drill/report.h"
#include "cli/drill/start_trace.h"
#include "cli/drill/submission_log.h"
#include "cli/drill/target.h"
#include "rest/client/rest_client.h"

namespace baton {

struct DrillOptions {
  Fault fault = Fault::kKill;
  int rounds = 5;
  double jobs_per_second = 20;  // at least 20: the gap is measured in steps of 50 ms
  int long_tasks = 20;
  std::chrono::milliseconds settle = std::chrono::seconds(2);  // of load between rounds
  std::chrono::milliseconds outage = std::chrono::seconds(5);  // of ZooKeeper, each round
  // For a leader that is only silent, the session timeout may have to decide.
  std::chrono::seconds effect_deadline = std::chrono::seconds(60);
};

class Drill {
 public:
  using Progress = std::function<void(const std::string& line)>;

  Drill(DrillOptions options, std::unique_ptr<DrillTarget> target, Progress progress);

  // The report holds what was measured so far, also where an error ended the drill early.
  absl::Status Run(DrillReport* report);

 private:
  absl::Status Prepare();
  absl::Status CheckSlots();
  absl::Status StartLongTasks();
  absl::Status RunRounds(DrillReport* report);
  absl::Status RunRound(DrillReport* report);
  // Does the fault, waits for its effect and undoes it.
  absl::Status DoFault(DrillRound* round);
  absl::Status AwaitNewEpoch(EpochWatch* watch, Clock::time_point from, DrillRound* round);
  absl::Status EndOutage(DrillRound* round);
  absl::Status AwaitTasksAgain(Clock::time_point from, const std::vector<std::string>& lost,
                               DrillRound* round);
  // The long tasks whose last start was in that place.
  std::vector<std::string> LongTasksIn(const std::string& place);
  absl::Status WaitUntilCalm();
  // Until every submission acknowledged by now has started, or the deadline.
  size_t WaitForStarts(std::chrono::seconds deadline);
  absl::Status CancelLongJob();
  void Judge(DrillReport* report);
  uint64_t LongTasksNotRunning();

  const DrillOptions options_;
  const std::unique_ptr<DrillTarget> target_;
  const Progress progress_;
  const std::string run_;  // the name of this drill's files
  std::unique_ptr<RestClient> client_;
  std::string long_job_;  // its id
  SubmissionLog log_;
  StartTrace small_starts_;
  StartTrace long_starts_;
  std::vector<WorkerLoss> losses_;
  std::unique_ptr<LoadGenerator> load_;
};

}  // namespace baton
