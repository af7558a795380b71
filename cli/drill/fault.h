// What a drill does to the cluster, round after round.

#pragma once

#include <optional>
#include <string>
#include <vector>

namespace baton {

enum class Fault {
  kKill,       // SIGKILL for the leader
  kHang,       // SIGSTOP for the leader until another leads, then SIGCONT
  kTransfer,   // the leader is asked to hand over
  kZooKeeper,  // every ZooKeeper server is killed, and started again after a while
  kWorker,     // SIGKILL for a TaskManager, which is started again at once
  kHost,       // the leader's host is cut off until another leads
};

// How a round knows that the fault has had its effect.
enum class FaultEffect {
  kNewEpoch,    // another epoch has a leader
  kOutage,      // it lasted as long as it was to last
  kTasksAgain,  // the tasks that died with the victim run again
};

struct FaultKind {
  Fault fault;
  const char* name;  // on the command line
  FaultEffect effect;
  bool needs_processes;  // can be done to a local cluster only
};

const std::vector<FaultKind>& AllFaults();
const FaultKind& KindOf(Fault fault);
std::optional<Fault> FaultNamed(const std::string& name);
std::string FaultNames();  // "kill, hang, …"

}  // namespace baton
