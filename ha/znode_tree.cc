#include "ha/znode_tree.h"

#include <utility>

#include "base/status.h"
#include "ha/znode_path.h"

namespace baton {

ZnodeTree::ZnodeTree() { nodes_["/"] = Node{}; }

absl::StatusOr<ZnodeTree> ZnodeTree::From(const TreeImage& image) {
  ZnodeTree tree;
  for (const auto& [path, node] : image.nodes) {
    // A parent sorts before its children.
    if (path != "/" && !tree.nodes_.contains(ParentOf(path))) {
      return DataLoss("the node {} has no parent", path);
    }
    tree.Put(path, node);
  }
  tree.last_zxid_ = image.last_zxid;
  return tree;
}

absl::StatusOr<NodeData> ZnodeTree::Get(const std::string& path) const {
  auto it = nodes_.find(path);
  if (it == nodes_.end()) return NotFound("no node {}", path);
  return it->second.content;
}

absl::StatusOr<std::vector<std::string>> ZnodeTree::Children(const std::string& path) const {
  auto it = nodes_.find(path);
  if (it == nodes_.end()) return NotFound("no node {}", path);
  return std::vector<std::string>(it->second.children.begin(), it->second.children.end());
}

ZnodeTree::Outcome ZnodeTree::Apply(int64_t session, const std::vector<CoordinationOp>& ops) {
  Outcome outcome;
  ++last_zxid_;
  for (size_t i = 0; i < ops.size(); ++i) {
    // Each op sees what the ones before it did; a failure takes all of them back.
    absl::StatusOr<ZnodeChange> change = Prepare(session, ops[i]);
    if (!change.ok()) {
      Undo(outcome.changes);
      --last_zxid_;
      return {{change.status(), i}, {}};
    }
    if (ops[i].type == CoordinationOp::Type::kCheck) continue;
    Put(change->path, change->after);
    outcome.changes.push_back(*std::move(change));
  }
  return outcome;
}

void ZnodeTree::Undo(const std::vector<ZnodeChange>& changes) {
  for (auto it = changes.rbegin(); it != changes.rend(); ++it) Put(it->path, it->before);
}

absl::StatusOr<ZnodeChange> ZnodeTree::Prepare(int64_t session, const CoordinationOp& op) const {
  if (op.type == CoordinationOp::Type::kCreate) return PrepareCreate(session, op);
  auto it = nodes_.find(op.path);
  if (it == nodes_.end()) return NotFound("no node {}", op.path);
  const NodeData& present = it->second.content;
  if (op.version != kAnyVersion && op.version != present.stat.version) {
    return FailedPrecondition("{} has version {}, not {}", op.path, present.stat.version,
                              op.version);
  }
  ZnodeChange change{op.path, present, present};
  if (op.type == CoordinationOp::Type::kSet) {
    change.after->data = op.data;
    ++change.after->stat.version;
  } else if (op.type == CoordinationOp::Type::kDelete) {
    if (!it->second.children.empty()) return FailedPrecondition("{} has children", op.path);
    change.after.reset();
  }
  return change;
}

absl::StatusOr<ZnodeChange> ZnodeTree::PrepareCreate(int64_t session,
                                                     const CoordinationOp& op) const {
  const std::string parent_path = ParentOf(op.path);
  auto parent = nodes_.find(parent_path);
  if (parent == nodes_.end()) return NotFound("no node {}", parent_path);
  if (nodes_.contains(op.path)) return AlreadyExists("there is a node {}", op.path);
  if (parent->second.content.stat.ephemeral_owner != 0) {
    return FailedPrecondition("{} is ephemeral and can have no children", parent_path);
  }
  NodeData created{op.data, {}};
  created.stat.created_zxid = last_zxid_;
  created.stat.ephemeral_owner = op.kind == NodeKind::kEphemeral ? session : 0;
  return ZnodeChange{op.path, std::nullopt, std::move(created)};
}

void ZnodeTree::Put(const std::string& path, const std::optional<NodeData>& content) {
  auto it = nodes_.find(path);
  if (it != nodes_.end() && it->second.content.stat.ephemeral_owner != 0) {
    auto owned = ephemerals_.find(it->second.content.stat.ephemeral_owner);
    owned->second.erase(path);
    if (owned->second.empty()) ephemerals_.erase(owned);
  }
  if (!content) {
    nodes_.erase(it);
    nodes_[ParentOf(path)].children.erase(NameOf(path));
    return;
  }
  if (it == nodes_.end()) {
    it = nodes_.emplace(path, Node{}).first;
    nodes_[ParentOf(path)].children.insert(NameOf(path));
  }
  it->second.content = *content;
  if (content->stat.ephemeral_owner != 0) {
    ephemerals_[content->stat.ephemeral_owner].insert(path);
  }
}

std::vector<std::string> ZnodeTree::EphemeralsOf(int64_t session) const {
  auto it = ephemerals_.find(session);
  if (it == ephemerals_.end()) return {};
  return {it->second.begin(), it->second.end()};
}

}  // namespace baton
