// The cluster under drill: how a fault is done to it and undone. Two kinds: a local cluster
// (`--dir`), and any other behind its address, whose leader a command of the operator kills.
//
// Threading: one thread; blocking.

#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/local_cluster.h"
#include "cli/drill/fault.h"

namespace baton {

class DrillTarget {
 public:
  virtual ~DrillTarget() = default;

  virtual std::string server() const = 0;            // where clients send: the balancer
  virtual std::string shared_directory() const = 0;  // the tasks' BATON_SHARED_DIR, as seen here
  virtual int64_t session_timeout_ms() const = 0;    // -1: unknown
  // kInvalidArgument: this fault cannot be done to this target.
  virtual absl::Status CheckFault(Fault fault) const = 0;
  // Where the epoch is watched while `victim` does not answer.
  virtual std::vector<std::string> WatchUrls(const std::string& victim) const = 0;
  // Waits until nothing is missing: what a drill starts from, and every round ends with.
  virtual absl::Status WaitWhole() = 0;

  // Whom the fault of this round hits; `leader` is a replica's id, rounds count from 0.
  virtual std::string Victim(Fault fault, const std::string& leader, int round) const = 0;
  // Below which directory a worker's tasks run.
  virtual std::string PlaceOf(const std::string& worker) const = 0;
  // Does it at once; says what was done ("SIGKILL").
  virtual absl::StatusOr<std::string> Inject(Fault fault, const std::string& victim) = 0;
  // Undoes it; does not wait.
  virtual absl::Status Undo(Fault fault, const std::string& victim) = 0;
};

std::unique_ptr<DrillTarget> NewLocalTarget(std::unique_ptr<LocalCluster> cluster);

struct CommandTargetOptions {
  std::string server;
  std::string kill_command;  // run by sh with the leader's id as $1
  std::string shared_directory;
  int64_t session_timeout_ms = -1;
};
// Whoever supervises the replicas brings the killed one back; WaitWhole waits for it.
std::unique_ptr<DrillTarget> NewCommandTarget(CommandTargetOptions options);

// POST /v1/leader/transfer, through `server`.
absl::Status TransferLeadership(const std::string& server);

}  // namespace baton
