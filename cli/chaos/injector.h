// Does the faults of a plan to a local cluster whose processes are on hosts of their own, and
// undoes them. Remembers which workers they may have cost their tasks.
//
// Threading: one thread; blocking (a fault of several steps takes its time).

#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/chaos/history.h"
#include "cli/chaos/plan.h"
#include "cli/cluster/local_cluster.h"
#include "rest/client/wait.h"

namespace baton {

class DelayLine;
class SmallDisk;
class Starvation;

// A fault under way: what is to be undone.
struct ActiveFault {
  std::string done;  // "leader-kill: replica-2 got SIGKILL"
  std::vector<std::string> killed;
  bool terminating = false;  // those got SIGTERM: they may still be at it
  std::vector<std::string> stopped;
  std::vector<std::pair<std::string, std::string>> cuts;
  std::string clock_file;
  bool loss = false;
  std::shared_ptr<Starvation> starvation;
  std::shared_ptr<DelayLine> delay;
  // The life of a replica that dies by itself at a fault point, if ever it comes there.
  std::string armed;
  ProcessId armed_life;
  bool filled = false;           // the small disk
  bool left_out = false;         // nothing, or not what was meant, was done: `done` says why
  std::set<std::string> harmed;  // workers
  // As long as planned, or longer: the next fault may take its time to be done.
  std::chrono::nanoseconds lasted{0};

  // OK: the other faults of the round go on.
  absl::Status LeaveOut(const std::string& why);
};

class ChaosInjector {
 public:
  // One replica's store may stand on a disk that can be filled. Null, "": none does, and no fault
  // that needs it may come.
  struct Disk {
    SmallDisk* disk = nullptr;
    std::string replica;
  };

  ChaosInjector(LocalCluster* cluster, Disk disk) : cluster_(cluster), disk_(std::move(disk)) {}

  absl::StatusOr<ActiveFault> Begin(const PlannedFault& fault);
  absl::Status End(const ActiveFault& fault);
  // Whatever is cut, stopped or dead.
  absl::Status HealAll();
  // kOk once every process serves its port, ZooKeeper as an ensemble: from here on the cluster has
  // no excuse.
  absl::Status CheckServing();

  std::vector<std::string> Names(NodeKind kind) const;

 private:
  absl::Status Do(const PlannedFault& fault, ActiveFault* active);
  absl::Status DoToLeader(const PlannedFault& fault, ActiveFault* active);
  absl::Status DoInSteps(const PlannedFault& fault, ActiveFault* active);
  absl::Status DoToWorker(const PlannedFault& fault, ActiveFault* active);
  absl::Status DoToZooKeeper(const PlannedFault& fault, ActiveFault* active);
  absl::Status DoToNetwork(const PlannedFault& fault, ActiveFault* active);

  absl::Status Kill(const std::string& name, ActiveFault* active);
  absl::Status Stop(const std::string& name, ActiveFault* active);
  absl::Status Cut(const std::string& a, const std::string& b, CutDirection direction,
                   ActiveFault* active);
  absl::Status CutFrom(const std::string& a, const std::vector<std::string>& others,
                       ActiveFault* active);
  absl::Status KillAgain(ActiveFault* active);
  absl::Status KillSuccessor(const std::string& leader, ActiveFault* active);
  absl::Status KillGuardian(const std::string& worker, ActiveFault* active);
  absl::Status JumpClock(const PlannedFault& fault, ActiveFault* active);
  absl::Status WipeDisk(const PlannedFault& fault, ActiveFault* active);
  absl::Status RestartZooKeepers();
  absl::Status DelayLeader(const std::string& leader, uint64_t lot, ActiveFault* active);
  // In injector_leader.cc:
  absl::Status EndSession(ActiveFault* active);
  absl::Status DieInSubmission(uint64_t lot, ActiveFault* active);
  absl::Status FillDisk(const PlannedFault& fault, ActiveFault* active);
  absl::Status Disarm(const ActiveFault& fault);
  absl::Status FreeDisk();
  bool AwaitReady(const std::string& replica, std::chrono::seconds patience);
  bool MakeLead(const std::string& replica);
  absl::Status SplitInHalves(uint64_t lot, ActiveFault* active);

  // Who leads; where nobody does, any living replica.
  std::string LeaderOr(uint64_t lot);
  std::vector<std::string> Others(const std::string& replica) const;
  std::string ZooKeeperLeader(bool leads, uint64_t lot) const;
  void HarmAll(ActiveFault* active) const;

  LocalCluster* const cluster_;
  const Disk disk_;
  bool disk_full_ = false;
  std::set<std::string> stopped_;   // by a fault that is under way
  std::weak_ptr<DelayLine> delay_;  // the one that there is
  std::optional<Clock::time_point> last_wipe_;
};

}  // namespace baton
