// A cluster of real processes on this machine: ZooKeeper, dispatchers, TaskManagers and HAProxy
// with the shipped configuration, in one directory; all on loopback or, where ClusterOptions::hosts
// says so, each on a host of its own (host_network.h). After Kudu's ExternalMiniCluster.
//
// Used by `baton cluster`, by the drill and by the integration tests. The processes belong to the
// directory, not to this object: destroying it ends nothing, unless they were started with
// Lifetime::kWithThisProcess.
//
// Threading: one thread at a time; every call may block (bounded).

#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/cluster_state.h"
#include "cli/cluster/host_network.h"

namespace baton {

struct RestartOptions {
  std::map<std::string, std::string> env;  // for this life only, e.g. BATON_FAULT_POINT
};

enum class CutDirection { kBothWays, kOneWay };

class LocalCluster {
 public:
  // Starts every process; does not wait. The directory may hold an earlier cluster of the same
  // shape, which goes on under its old ports. kFailedPrecondition: it is still running.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Launch(ClusterOptions options);
  // Launch, and WaitReady; when that fails everything is taken down again, and the error holds the
  // ends of the logs.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Up(
      ClusterOptions options, std::chrono::seconds deadline = std::chrono::seconds(60));
  // One that was started before, perhaps by another process.
  static absl::StatusOr<std::unique_ptr<LocalCluster>> Open(const std::string& directory);

  absl::Status WaitReady(std::chrono::seconds deadline = std::chrono::seconds(60));

  // `node` is a name, or "leader".
  absl::StatusOr<std::string> Resolve(std::string node);
  // After a SIGSTOP it returns when the process has stopped.
  absl::Status Signal(const std::string& node, int signal);
  absl::Status Kill(const std::string& node);  // SIGKILL; returns when it is gone
  absl::Status Pause(const std::string& node);
  absl::Status Resume(const std::string& node);
  // "SIGKILL", "exit 85"; "ended" where it is no child of this process. kDeadlineExceeded.
  absl::StatusOr<std::string> WaitForExit(const std::string& node, std::chrono::seconds deadline);
  // Ends it (SIGTERM, later SIGKILL) if it runs, and starts it on its old ports.
  absl::Status Restart(const std::string& node, const RestartOptions& options = {});
  // The network between hosts; kFailedPrecondition where there are none. `a` and `b` are names of
  // nodes, "leader", or kMachineHost: the side of whoever uses the cluster. What is sent is lost in
  // silence; nothing is refused. kOneWay: only what `a` sends to `b`.
  absl::Status Cut(const std::string& a, const std::string& b,
                   CutDirection direction = CutDirection::kBothWays);
  absl::Status CutOff(const std::string& node);  // from everybody
  absl::Status Heal(const std::string& a, const std::string& b);
  absl::Status Heal(const std::string& node);  // with everybody
  absl::Status Lose(int percent);              // of all packets between hosts; 0: none
  absl::Status HealAll();

  // SIGTERM to all, ZooKeeper last, SIGKILL for who is left. Files and layout stay,
  // hosts go.
  absl::Status Down();

  bool Alive(const std::string& node) const;
  // The one that answers 200 on /leader.
  absl::StatusOr<std::string> Leader() const;

  const ClusterState& state() const { return state_; }
  std::string balancer_url() const;
  std::string RestUrl(const std::string& replica) const;
  std::string SharedDirectory() const { return state_.SharedDirectory(); }
  std::string StoreDirectory(const std::string& replica) const;
  std::string LogTails(size_t lines = 15) const;

 private:
  explicit LocalCluster(ClusterState state) : state_(std::move(state)) {}

  absl::Status StartNode(ClusterNode* node, const RestartOptions& options);
  // Another command may have restarted nodes meanwhile.
  void Refresh();
  absl::StatusOr<ClusterNode*> FindNode(const std::string& node);
  absl::Status WriteFiles() const;
  absl::Status MakeHosts();
  // By value: a name may stand in state_, which each of these reads anew.
  absl::StatusOr<std::string> HostOf(std::string name);
  // Both directions between the two, or between `a` and everybody.
  absl::StatusOr<std::vector<HostPath>> PathsBetween(std::string a, std::string b);
  absl::StatusOr<std::vector<HostPath>> PathsOf(std::string a);
  absl::StatusOr<HostNetwork> Hosts() const;
  absl::Status StopNodes(const std::vector<ClusterNode*>& nodes, std::chrono::seconds grace);

  ClusterState state_;
  std::map<std::string, std::string> ends_;  // how children ended, by name; until restarted
};

}  // namespace baton
