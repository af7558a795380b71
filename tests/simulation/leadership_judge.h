// Watches who leads and who gives orders, from outside: the elections in the tree, what travels
// between processes, and what was done to those.
//
//   I4 whoever was deposed gives no orders once his last confirmation is too old (3.5)
//   L4 nobody is replaced as silent whom a majority of the members can hear (3.4)
//
// Single-threaded, as the simulation is. Owned by the cluster, which tells it what it does to
// replicas.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/executor.h"
#include "rpc/records.pb.h"
#include "tests/rpc/fake_frame_transport.h"
#include "tests/simulation/tree_judge.h"
#include "tests/simulation/violation.h"

namespace baton {

class LeadershipJudge {
 public:
  LeadershipJudge(ExecutorPtr executor, SimulatedNetworkPtr network,
                  std::shared_ptr<const TreeJudge> tree, OnViolation on_violation);

  // A replica runs from now on, as another process than before or as the same, or it does not.
  void OnStarted(const std::string& replica);
  void OnResumed(const std::string& replica);
  void OnStopped(const std::string& replica) { replicas_[replica].runs = false; }
  // Everything travels more slowly than usual from now on, or not.
  void OnJitter(Duration more);

  // After the tree has seen it; `previous` led before.
  void OnElected(const pb::LeaderRecord& winner, const std::string& previous);
  void OnFrame(const std::string& from, const std::string& to, const std::string& frame);

 private:
  struct Replica {
    bool runs = false;
    TimePoint runs_since;
    std::string incarnation;  // of the process that runs or ran last, once it has said Hello
    std::string leads_as;     // that won its last epoch
  };

  bool MayNotBeHeard(const std::string& leader) const;
  bool MayNotHear(const std::string& member, const std::string& leader) const;
  bool IsRecent(TimePoint then) const;

  const ExecutorPtr executor_;
  const SimulatedNetworkPtr network_;
  const std::shared_ptr<const TreeJudge> tree_;
  const OnViolation violated_;
  std::map<std::string, Replica> replicas_;
  bool slow_ = false;
  TimePoint slow_until_;
  std::map<uint64_t, TimePoint> began_;  // epochs
};

}  // namespace baton
