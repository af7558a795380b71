// Is a local cluster up: asked of the nodes themselves, over the network, as its users would.
//
// Threading: blocking; any thread.

#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/cluster/cluster_state.h"
#include "rest/client/rest_client.h"

namespace baton {

// A client that gives up soon and repeats nothing.
absl::StatusOr<std::unique_ptr<RestClient>> ProbeClient(const std::string& url);

// A ZooKeeper server that serves ("standalone", "leader", "follower").
absl::StatusOr<std::string> ZooKeeperMode(const ClusterNode& node);

// OK: every process lives; every replica is ready and a member; exactly one says 200 on /leader and
// all name it; every TaskManager is registered; HAProxy answers. Otherwise the first thing missing.
absl::Status CheckReady(const ClusterState& state);

// The replica that answers 200 on /leader. kUnavailable: none does.
absl::StatusOr<std::string> FindLeader(const ClusterState& state);

}  // namespace baton
