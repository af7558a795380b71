// A run of chaos: a cluster of real processes, each on a host of its own, under a steady load;
// rounds of faults drawn from a seed; after each round the cluster must be itself again within
// seconds; at the end everything that tasks and clients saw is judged (checker.h).
//
// Threading: Run blocks the calling thread; it owns the cluster's processes, which end with it.

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/chaos/chaos_load.h"
#include "cli/chaos/checker.h"
#include "cli/chaos/history.h"
#include "cli/chaos/injector.h"
#include "cli/chaos/job_watch.h"
#include "cli/chaos/leader_watch.h"
#include "cli/chaos/plan.h"
#include "cli/chaos/task_witness.h"
#include "cli/cluster/local_cluster.h"
#include "cli/cluster/small_disk.h"

namespace baton {

struct ChaosOptions {
  std::string directory;  // of the cluster; must hold none
  std::chrono::seconds duration = std::chrono::minutes(3);
  uint64_t seed = 1;
  std::vector<ChaosKind> kinds = AllChaosKinds();
  double jobs_per_second = 6;
  int workers = 3;
  int slots = 24;  // of each worker
  std::chrono::milliseconds session = std::chrono::seconds(5);
  std::chrono::milliseconds lease = std::chrono::seconds(12);
};

struct ChaosReport {
  ChaosOptions options;
  std::string command;
  std::string version;
  std::string started;  // UTC
  double load_average = 0;
  std::vector<ChaosRound> rounds;
  std::map<std::string, uint64_t> fault_counts;
  uint64_t jobs = 0;
  uint64_t acknowledged = 0;
  uint64_t requests = 0;
  uint64_t unanswered = 0;  // requests without a 2xx: sent again
  uint64_t runs = 0;
  uint64_t unseen = 0;
  uint64_t malformed = 0;
  uint64_t epochs = 0;
  std::vector<Verdict> verdicts;
  bool complete = false;  // it was judged; else an error ended it

  bool Passed() const;
};

class Chaos {
 public:
  using Progress = std::function<void(const std::string& line)>;

  Chaos(ChaosOptions options, Progress progress);
  ~Chaos();

  // kFailedPrecondition: without the right to make network namespaces nothing is done.
  absl::Status Run(ChaosReport* report);

 private:
  absl::Status Start();
  // For the store of one replica, before it is started; without the right to that the faults of
  // disks are left out. kFailedPrecondition: nothing would be left.
  absl::Status MakeDisk();
  absl::Status RunRounds(ChaosReport* report);
  absl::Status RunRound(const PlannedRound& plan, ChaosRound* round);
  absl::Status DoFaults(const PlannedRound& plan, ChaosRound* round);
  void Harm(const PlannedRound& plan, const std::vector<ActiveFault>& faults,
            const ChaosRound& round);
  absl::Status AwaitServing(ChaosRound* round);
  void JudgeRound(bool harmed, ChaosRound* round);
  bool Agree();
  // Every long task lives, what was acknowledged to be short has ended.
  bool Progressed(const std::map<std::string, size_t>& short_jobs) const;
  void RotateLongJob();
  absl::Status Finish();
  absl::Status ReadStates();
  void CancelWhatDoesNotEnd();
  void ReadSlotsAndBlobs();
  void Describe(const ChaosRound& round) const;
  void Fill(ChaosReport* report);
  absl::Status KeepHistory() const;

  const ChaosOptions options_;
  const Progress progress_;
  std::vector<ChaosKind> kinds_;     // those that can be done here
  std::unique_ptr<SmallDisk> disk_;  // null: there is none
  std::unique_ptr<LocalCluster> cluster_;
  std::unique_ptr<ChaosInjector> injector_;
  std::unique_ptr<TaskWitness> witness_;
  std::unique_ptr<LeaderWatch> watch_;
  std::unique_ptr<ChaosLoad> load_;
  std::unique_ptr<JobWatch> job_watch_;  // asks load_
  std::vector<std::string> long_jobs_;   // those that live
  ChaosHistory history_;
};

}  // namespace baton
