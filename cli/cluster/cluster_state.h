// What a local cluster is made of, and how that is remembered in its directory:
//   cluster.json    the layout: which nodes on which ports; stays, so that the cluster can come up
//                   again under the same addresses (a member is an id AND an address)
//   cluster-secret  what the daemons prove to each other
//   processes.json  the processes that were started; `down` removes it

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/cluster/process.h"

namespace baton {

struct ClusterOptions {
  std::string directory;  // absolute after Start
  int replicas = 3;
  int task_managers = 2;
  int slots = 4;  // of each TaskManager
  int zookeepers = 1;
  std::chrono::milliseconds session_timeout = std::chrono::seconds(10);
  // Each process on a host of its own, between which the network can be cut (needs root).
  bool hosts = false;
  Lifetime lifetime = Lifetime::kOfItsOwn;
  std::map<std::string, std::string> config;  // further keys for every daemon
};

enum class NodeKind { kZooKeeper, kReplica, kTaskManager, kHaproxy };

struct ClusterNode {
  NodeKind kind = NodeKind::kReplica;
  std::string name;                // "replica-1"; also its id
  std::string host = "127.0.0.1";  // its address
  uint16_t port = 0;               // REST, ZooKeeper's clients, HAProxy's; a TaskManager's liveness
  uint16_t peer_port = 0;          // RPC of a replica, quorum of a ZooKeeper
  uint16_t election_port = 0;      // of a ZooKeeper
  ProcessId process;               // pid 0: not started

  std::string Address() const;
  std::string PeerAddress() const;
  std::string Url() const { return "http://" + Address(); }
};

struct ClusterState {
  ClusterOptions options;
  std::vector<ClusterNode> nodes;  // in the order in which they start
  int network = -1;                // the number of its HostNetwork; -1: none

  std::vector<const ClusterNode*> OfKind(NodeKind kind) const;
  const ClusterNode* Find(const std::string& name) const;
  ClusterNode* Find(const std::string& name);
  std::string ZooKeeperQuorum() const;  // "host:port,host:port"

  // What the daemons prove to each other; not in SharedDirectory, which tasks see.
  std::string SecretFile() const { return options.directory + "/cluster-secret"; }
  std::string SharedDirectory() const { return options.directory + "/shared"; }
  std::string LogFile(const std::string& name) const;
};

// Nodes on free ports. The ports are held until `*release` is called.
absl::StatusOr<ClusterState> NewClusterState(const ClusterOptions& options,
                                             std::function<void()>* release);

// kNotFound: there is no cluster in `directory`.
absl::StatusOr<ClusterState> LoadClusterState(const std::string& directory);
absl::Status SaveLayout(const ClusterState& state);
absl::Status SaveProcesses(const ClusterState& state);
absl::Status RemoveProcesses(const ClusterState& state);

// What `baton cluster up` prints.
std::string DescribeCluster(const ClusterState& state);

// Whole or not at all.
absl::Status WriteFile(const std::string& path, const std::string& content);
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace baton
