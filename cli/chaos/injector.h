// Does the faults of a plan to a local cluster whose processes are on hosts of their own, and
// undoes them. Remembers which workers they may have cost their tasks.
//
// Threading: one thread; blocking (a fault of several steps takes its time).

#pragma once

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
  std::set<std::string> harmed;  // workers
};

class ChaosInjector {
 public:
  explicit ChaosInjector(LocalCluster* cluster) : cluster_(cluster) {}

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
  absl::Status SplitInHalves(uint64_t lot, ActiveFault* active);

  // Who leads; where nobody does, any living replica.
  std::string LeaderOr(uint64_t lot);
  std::vector<std::string> Others(const std::string& replica) const;
  std::string ZooKeeperLeader(bool leads, uint64_t lot) const;
  void HarmAll(ActiveFault* active) const;

  LocalCluster* const cluster_;
  std::optional<Clock::time_point> last_wipe_;
};

}  // namespace baton
