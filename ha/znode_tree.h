// ZooKeeper's tree of nodes and its rules, as data: no sessions, no watches, no time.
//
// A transaction is applied as a whole or not at all. Every change of the tree goes through Put, so
// that what a transaction changed can be taken back, put in its reverse order.
//
// Threading: none; EmbeddedCoordinationServer owns it and calls it on its executor.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ha/coordination_client.h"

namespace baton {

// A node came (no `before`), went (no `after`) or got other data.
struct ZnodeChange {
  std::string path;
  std::optional<NodeData> before;
  std::optional<NodeData> after;
};

// The persistent nodes of a tree, sorted by path, and where its numbering of changes stands.
struct TreeImage {
  std::vector<std::pair<std::string, NodeData>> nodes;
  int64_t last_zxid = 0;
};

class ZnodeTree {
 public:
  struct Outcome {
    MultiResult result;
    std::vector<ZnodeChange> changes;  // in order; empty unless result.status is OK
  };

  ZnodeTree();
  // kDataLoss: a node of the image has no parent.
  static absl::StatusOr<ZnodeTree> From(const TreeImage& image);

  absl::StatusOr<NodeData> Get(const std::string& path) const;
  absl::StatusOr<std::vector<std::string>> Children(const std::string& path) const;  // sorted

  // `ops` are valid (ValidateOps). Ephemeral nodes will belong to `session`.
  Outcome Apply(int64_t session, const std::vector<CoordinationOp>& ops);

  // Takes back the latest changes; their numbers are not given again.
  void Undo(const std::vector<ZnodeChange>& changes);

  std::vector<std::string> EphemeralsOf(int64_t session) const;
  int64_t last_zxid() const { return last_zxid_; }

 private:
  struct Node {
    NodeData content;
    std::set<std::string> children;  // names
  };

  absl::StatusOr<ZnodeChange> Prepare(int64_t session, const CoordinationOp& op) const;
  absl::StatusOr<ZnodeChange> PrepareCreate(int64_t session, const CoordinationOp& op) const;
  void Put(const std::string& path, const std::optional<NodeData>& content);

  std::map<std::string, Node> nodes_;
  std::map<int64_t, std::set<std::string>> ephemerals_;  // by session
  int64_t last_zxid_ = 0;
};

}  // namespace baton
