// What stands in `leader`, `epoch`, `members` and `replicas/` now, read again whenever it changes.
//
// A node has at most one watch armed in a session: it outlives a lost connection, so reading again
// after a reconnect arms no second one (watches neither leak nor multiply), and a read that fails
// arms it anew. Belt and braces: the owner calls Refresh now and then, so that even a lost watch
// blinds nobody for long.
//
// Lives on the executor of its CoordinationClient; owned by the election; ends with it.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "ha/coordination_client.h"
#include "ha/paths.h"
#include "rpc/records.pb.h"

namespace baton {

struct ClusterState {
  std::optional<NodeData> epoch;
  std::optional<NodeData> leader;
  std::optional<NodeData> members;
  std::vector<pb::ReplicaRecord> replicas;
};

class ClusterWatch : public std::enable_shared_from_this<ClusterWatch> {
 public:
  // `on_change` runs after every answered read, whether or not something differs.
  ClusterWatch(CoordinationClientPtr client, ExecutorPtr executor, CoordinationPaths paths,
               std::function<void()> on_change);

  // A new session: nothing is known of the tree, no watch is armed.
  void BeginSession();
  // Reads everything again, after a Sync: what was committed before this call is seen.
  void Refresh();
  // The connection is lost: what is known may be old.
  void Suspend();

  // Everything was read since the last BeginSession, Refresh or Suspend.
  bool fresh() const;
  const ClusterState& state() const { return state_; }

  // The caller's own multi has just written these; reads that began earlier are ignored.
  void NoteWon(NodeData epoch, NodeData leader, std::optional<NodeData> members);

 private:
  struct Node {
    std::string path;
    std::optional<NodeData> ClusterState::*slot = nullptr;  // null: the children of replicas/
    uint64_t watch = 0;  // the armed one; 0: none. Another one that fires says nothing.
    bool fresh = false;
    uint64_t newest_read = 0;  // the answer of an older one is ignored
  };

  void ReadAll();
  void Read(Node& node);
  void OnWatch(Node& node, uint64_t watch);
  void OnRead(Node& node, uint64_t read, absl::StatusOr<NodeData> data);
  void OnChildren(uint64_t read, absl::StatusOr<std::vector<std::string>> names);
  void OnReplica(uint64_t read, const absl::StatusOr<NodeData>& data);
  void FinishReplicas();
  void RetryLater();

  const CoordinationClientPtr client_;
  const ExecutorPtr executor_;
  const CoordinationPaths paths_;
  const std::function<void()> on_change_;

  ClusterState state_;
  Node epoch_;
  Node leader_;
  Node members_;
  Node replicas_;
  std::vector<pb::ReplicaRecord> replicas_read_;  // of the reading that is under way
  size_t replicas_missing_ = 0;
  uint64_t refresh_ = 0;  // counts Refresh and Suspend: an older Sync reads nothing
  uint64_t last_read_ = 0;
  uint64_t last_watch_ = 0;
  bool suspended_ = true;
  bool retry_armed_ = false;
};

}  // namespace baton
