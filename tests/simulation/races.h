// Sequences of faults whose timing aims at one rule of the protocols each (3.2 to 3.6): what
// single faults drawn at random meet in one run of many thousands.
//
// A race begins at once; its later steps are timers, and its end undoes all of it. Lives as long as
// the run; used between steps of the cluster.

#pragma once

#include <functional>
#include <optional>
#include <string>

#include "tests/simulation/fault_menu.h"
#include "tests/simulation/simulated_client.h"
#include "tests/simulation/simulated_cluster.h"

namespace baton {

class Races {
 public:
  Races(SimulatedCluster* cluster, SimulatedClient* client)
      : cluster_(*cluster), client_(*client) {}

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
  using Race = std::optional<Fault> (Races::*)(const Cast& cast, Random& random);

  std::optional<Cast> Choose() const;
  // That runs most beside this one.
  std::optional<size_t> ChooseOther(size_t worker) const;
  void After(Duration delay, std::function<void()> step);
  // Once, to this replica.
  void SubmitAfter(Duration delay, size_t replica, const SimulatedJob& job);
  void StartIfDead(size_t replica);

  // races.cc: leases and registrations.
  std::optional<Fault> AnswersComeLate(const Cast& cast, Random& random);
  std::optional<Fault> PausedLeaderAnswers(const Cast& cast, Random& random);
  std::optional<Fault> LeaderAndWorkerApart(const Cast& cast, Random& random);
  std::optional<Fault> GuardianReplaced(const Cast& cast, Random& random);
  std::optional<Fault> GuardianLostUnderLoad(const Cast& cast, Random& random);
  std::optional<Fault> ClocksApart(const Cast& cast, Random& random);
  std::optional<Fault> RegistrationOvertaken(const Cast& cast, Random& random);

  // election_races.cc
  std::optional<Fault> NewcomerLeads(const Cast& cast, Random& random);
  std::optional<Fault> ElectionAnswersLost(const Cast& cast, Random& random);
  std::optional<Fault> LedAgain(const Cast& cast, Random& random);
  std::optional<Fault> OneStandbyIsDeaf(const Cast& cast, Random& random);
  std::optional<Fault> DeposedWhileItDecides(const Cast& cast, Random& random);

  // storage_races.cc
  std::optional<Fault> DamagedCopiesAreRead(const Cast& cast, Random& random);
  std::optional<Fault> CollectionAmongSubmissions(const Cast& cast, Random& random);

  SimulatedCluster& cluster_;
  SimulatedClient& client_;
  uint64_t run_ = 0;
};

}  // namespace baton
