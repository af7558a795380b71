// Sequences of faults whose timing aims at one rule of the protocols each (DESIGN 3.2 to 3.6): what
// single faults drawn at random meet in one run of many thousands.
//
// A race begins at once; its later steps are timers, and its end undoes all of it. Lives as long as
// the run; used between steps of the cluster.

#pragma once

#include <functional>
#include <optional>
#include <string>

#include "tests/simulation/fault_menu.h"
#include "tests/simulation/simulated_cluster.h"

namespace baton {

class Races {
 public:
  explicit Races(SimulatedCluster* cluster) : cluster_(*cluster) {}

  // One of them, if there is a leader and a TaskManager that it can be about.
  std::optional<Fault> Do(Random& random);

  // What has not happened by now does not happen any more: everything is about to be healed.
  void Stop() { ++run_; }

 private:
  // Whom it is about.
  struct Cast {
    size_t leader = 0;
    size_t worker = 0;  // that runs most
    std::string leader_name;
    std::string worker_name;
  };
  using Race = Fault (Races::*)(const Cast& cast, Random& random);

  std::optional<Cast> Choose() const;
  void After(Duration delay, std::function<void()> step);

  Fault AnswersComeLate(const Cast& cast, Random& random);
  Fault PausedLeaderAnswers(const Cast& cast, Random& random);
  Fault LeaderAndWorkerApart(const Cast& cast, Random& random);
  Fault GuardianReplaced(const Cast& cast, Random& random);
  Fault NewcomerLeads(const Cast& cast, Random& random);
  Fault GuardianLostUnderLoad(const Cast& cast, Random& random);
  Fault ElectionAnswersLost(const Cast& cast, Random& random);

  SimulatedCluster& cluster_;
  uint64_t run_ = 0;
};

}  // namespace baton
