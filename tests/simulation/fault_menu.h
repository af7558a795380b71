// Everything that can be done to a simulated cluster, as one list to draw from. The names in
// brackets are those of docs/failure-model.md.
//
// Lives as long as the run; used between steps of the cluster.

#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/simulated_client.h"
#include "tests/simulation/simulated_cluster.h"

namespace baton {

// Something that has begun, and how it is undone.
struct Fault {
  std::string what;             // "leader killed (d1)"
  Duration lasts{};             // zero: nothing is to be undone
  std::function<void()> heals;  // null: likewise
  size_t elections = 1;         // that it explains: it costs one leader its place, or none
};

class FaultMenu {
 public:
  enum class Pace {
    kMixed,
    kRelay,  // whatever makes somebody else the leader, and soon again
  };
  FaultMenu(SimulatedCluster* cluster, SimulatedClient* client, Pace pace);

  // Does one of them, if it can be done now. What is drawn depends on `random` alone.
  std::optional<Fault> Do(Random& random);

  // What operators have asked for is over, whichever of their requests came last.
  void TakeBackOrders();

  // Blobs age by wall clocks: one that was set back keeps them for so much longer.
  bool clocks_were_set() const { return clocks_were_set_; }

 private:
  using Doing = std::optional<Fault> (FaultMenu::*)(Random& random);
  struct Entry {
    unsigned weight;
    Doing doing;
    size_t elections = 1;
  };

  static std::vector<Entry> WholeMenu();
  static std::vector<Entry> RelayMenu();

  Duration DrawSpan(Random& random, Duration most = std::chrono::seconds(40)) const;
  size_t DrawReplica(Random& random) const;
  size_t DrawLeader(Random& random) const;  // mostly
  size_t DrawWorker(Random& random) const;
  Fault Fatal(size_t replica, const char* how, Random& random);

  // Dispatchers.
  std::optional<Fault> KillReplica(Random& random);
  std::optional<Fault> KillAll(Random& random);
  std::optional<Fault> LoseReplicaHost(Random& random);
  std::optional<Fault> DieAtFaultPoint(Random& random);
  std::optional<Fault> PauseReplica(Random& random);
  std::optional<Fault> HangLeader(Random& random);
  std::optional<Fault> TransferLeadership(Random& random);
  std::optional<Fault> RetireReplica(Random& random);
  // The coordination service.
  std::optional<Fault> ExpireSession(Random& random);
  std::optional<Fault> LoseSight(Random& random);
  std::optional<Fault> StopCoordination(Random& random);
  std::optional<Fault> DropAnswer(Random& random);
  // Networks.
  std::optional<Fault> CutReplicas(Random& random);
  std::optional<Fault> SplitReplicas(Random& random);
  std::optional<Fault> CutWorkerFromOne(Random& random);
  std::optional<Fault> CutWorkerFromAll(Random& random);
  std::optional<Fault> CutClient(Random& random);
  std::optional<Fault> ResetLink(Random& random);
  std::optional<Fault> SlowNetwork(Random& random);
  std::optional<Fault> DoubleRequests(Random& random);
  // Workers.
  std::optional<Fault> KillWorker(Random& random);
  std::optional<Fault> LoseWorkerHost(Random& random);
  std::optional<Fault> LoseGuardian(Random& random);
  std::optional<Fault> PauseWorker(Random& random);
  std::optional<Fault> DrainWorker(Random& random);
  // Disks and clocks.
  std::optional<Fault> WipeDisk(Random& random);
  std::optional<Fault> FillDisk(Random& random);
  std::optional<Fault> BreakDisk(Random& random);
  std::optional<Fault> FlipBit(Random& random);
  std::optional<Fault> SetClock(Random& random);

  SimulatedCluster& cluster_;
  SimulatedClient& client_;
  const Pace pace_;
  const std::vector<Entry> menu_;
  unsigned total_weight_ = 0;
  bool coordination_is_away_ = false;
  bool clocks_were_set_ = false;
  std::set<std::string> drained_;
  std::set<std::string> retired_;
};

}  // namespace baton
