// The cluster under drill: how its leader is killed and brought back. Two kinds: a local cluster
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

namespace baton {

class DrillTarget {
 public:
  virtual ~DrillTarget() = default;

  virtual std::string server() const = 0;            // where clients send: the balancer
  virtual std::string shared_directory() const = 0;  // the tasks' BATON_SHARED_DIR, as seen here
  virtual int64_t session_timeout_ms() const = 0;    // -1: unknown
  // Where the epoch is watched once `killed` is dead.
  virtual std::vector<std::string> WatchUrls(const std::string& killed) const = 0;
  // Waits until nothing is missing: what a drill starts from.
  virtual absl::Status WaitWhole() = 0;
  // Kills it at once; says how it ended.
  virtual absl::StatusOr<std::string> KillLeader(const std::string& replica) = 0;
  // Brings it back and waits until the cluster is whole again.
  virtual absl::Status Mend(const std::string& replica) = 0;
};

std::unique_ptr<DrillTarget> NewLocalTarget(std::unique_ptr<LocalCluster> cluster);

struct CommandTargetOptions {
  std::string server;
  std::string kill_command;  // run by sh with the leader's id as $1
  std::string shared_directory;
  int64_t session_timeout_ms = -1;
};
// Whoever supervises the replicas brings the killed one back; Mend waits for it.
std::unique_ptr<DrillTarget> NewCommandTarget(CommandTargetOptions options);

}  // namespace baton
