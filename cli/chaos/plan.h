// What is done to the cluster, and when: a function of the seed alone. Whom "the leader" is, and
// what else must be known of the cluster, is settled when a fault is done.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/random.h"

namespace baton {

enum class ChaosKind {
  kLeaderKill,
  kLeaderKillRestart,   // back within 100 ms
  kLeaderKillAgain,     // every two seconds
  kLeaderAndSuccessor,  // the second dies while it recovers
  kLeaderStop,          // and wakes up as a zombie, up to two sessions after it lost its own
  kLeaderTerm,
  kLeaderTransfer,
  kAllReplicasKill,
  kAllButOneKill,
  kLeaderStarved,
  kReplicaClock,      // its wall clock jumps
  kReplicaDisk,       // wiped while it is down
  kLeaderSession,     // ended by somebody else
  kLeaderSubmission,  // it dies at one of the steps of a submission
  kLeaderDiskFull,
  kStandbyDiskFull,
  kWorkerKill,
  kWorkerStop,
  kGuardianKill,
  kWorkerCut,      // for less than its lease
  kWorkerCutLong,  // for more
  kWorkerAndLeaderKill,
  kZooKeeperMember,
  kZooKeeperLeader,
  kZooKeeperRolling,
  kZooKeeperQuorum,  // lost for longer than the session
  kZooKeeperStop,    // all of them, for two seconds
  kZooKeeperSlow,    // its leader, most of the time: every commit waits
  kLeaderCutZooKeeper,
  kLeaderCutWorkers,
  kLeaderCutBalancer,
  kLeaderCutPeers,
  kLeaderOneWay,  // towards one peer or one ZooKeeper server
  kLeaderHost,    // from everybody
  kBridge,        // two replicas do not hear each other, all others hear both
  kHalves,        // everybody is on one of two sides
  kLoss,
  kLeaderDelay,  // what it sends and hears comes later
};

// What a fault does to those who did nothing: decides what it excuses.
struct ChaosTrait {
  ChaosKind kind;
  const char* name;   // "leader-kill"
  const char* fault;  // of the list of faults: "F1"
  // How many elections it costs at most, what the injector does to bring it about included. 0: it
  // touches neither the leader nor what the leader holds on to.
  uint64_t epochs = 1;
  bool silences = false;   // a replica that neither answers nor refuses
  bool no_quorum = false;  // ZooKeeper serves nobody
  double least = 0;        // how long it lasts, in session timeouts
  double most = 0;
};

const std::vector<ChaosTrait>& AllChaos();
const ChaosTrait& TraitOf(ChaosKind kind);
// By the trait's name; 0 for what is none.
uint64_t EpochsOf(const std::string& name);
std::vector<ChaosKind> AllChaosKinds();
// Of "leader-kill,worker-stop". kInvalidArgument: says which names there are.
absl::StatusOr<std::vector<ChaosKind>> ChaosKindsNamed(const std::string& names);

struct PlannedFault {
  ChaosKind kind = ChaosKind::kLeaderKill;
  std::chrono::milliseconds after{0};  // from the start of the round
  std::chrono::milliseconds lasts{0};  // then it is healed, whoever was killed is started
  uint64_t lot = 0;                    // chooses among equals

  std::string Describe() const;
};

struct PlannedRound {
  std::vector<PlannedFault> faults;   // in the order of their beginning
  std::chrono::milliseconds rest{0};  // of load after it

  std::string Describe() const;
};

// Round after round, without end: every kind once before any comes again, alone in half of the
// rounds, else together with one or two others (as far as there are others).
class ChaosPlan {
 public:
  struct Times {
    std::chrono::milliseconds session;
    std::chrono::milliseconds lease;
  };

  // `kinds`: not empty.
  ChaosPlan(uint64_t seed, Times times, std::vector<ChaosKind> kinds = AllChaosKinds());

  PlannedRound Next();

 private:
  ChaosKind Draw();
  PlannedFault Fault(ChaosKind kind, std::chrono::milliseconds after);
  std::chrono::milliseconds Between(double least, double most, std::chrono::milliseconds unit);

  const RandomPtr random_;
  const Times times_;
  const std::vector<ChaosKind> kinds_;
  std::vector<ChaosKind> deck_;  // what has not come yet
};

}  // namespace baton
