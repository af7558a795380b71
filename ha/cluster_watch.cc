#include "ha/cluster_watch.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr Duration kRetryDelay = std::chrono::milliseconds(100);
// Three to seven are expected; a tree with more is somebody's mistake, not to be read for ever.
constexpr size_t kMaxReplicas = 64;

}  // namespace

ClusterWatch::ClusterWatch(CoordinationClientPtr client, ExecutorPtr executor,
                           CoordinationPaths paths, std::function<void()> on_change)
    : client_(std::move(client)),
      executor_(std::move(executor)),
      paths_(std::move(paths)),
      on_change_(std::move(on_change)),
      epoch_{paths_.epoch(), &ClusterState::epoch},
      leader_{paths_.leader(), &ClusterState::leader},
      members_{paths_.members(), &ClusterState::members},
      replicas_{paths_.replicas(), nullptr} {}

void ClusterWatch::BeginSession() {
  for (Node* node : {&epoch_, &leader_, &members_, &replicas_}) node->watch = 0;
  Refresh();
}

void ClusterWatch::Refresh() {
  suspended_ = false;
  for (Node* node : {&epoch_, &leader_, &members_, &replicas_}) node->fresh = false;
  client_->Sync(paths_.base(),
                IfAlive(weak_from_this(), [refresh = ++refresh_](ClusterWatch& watch, auto status) {
                  if (refresh != watch.refresh_) return;
                  status.ok() ? watch.ReadAll() : watch.RetryLater();
                }));
}

void ClusterWatch::Suspend() {
  suspended_ = true;
  ++refresh_;
  for (Node* node : {&epoch_, &leader_, &members_, &replicas_}) node->fresh = false;
}

bool ClusterWatch::fresh() const {
  return epoch_.fresh && leader_.fresh && members_.fresh && replicas_.fresh;
}

void ClusterWatch::NoteWon(NodeData epoch, NodeData leader, std::optional<NodeData> members) {
  state_.epoch = std::move(epoch);
  state_.leader = std::move(leader);
  if (members) state_.members = std::move(members);
  for (Node* node : {&epoch_, &leader_, &members_}) node->newest_read = ++last_read_;
  // A read whose answer is now ignored may have been the one that a watch asked for: read again.
  for (Node* node : {&epoch_, &leader_, &members_}) {
    node->fresh = true;
    if (!suspended_) Read(*node);
  }
}

void ClusterWatch::ReadAll() {
  for (Node* node : {&epoch_, &leader_, &members_, &replicas_}) Read(*node);
}

void ClusterWatch::Read(Node& node) {
  const uint64_t read = node.newest_read = ++last_read_;
  CoordinationClient::Watcher watcher;
  uint64_t armed = 0;  // by this read; a read that fails drops its own watch and no other
  if (node.watch == 0) {
    node.watch = armed = ++last_watch_;
    watcher = IfAlive(weak_from_this(),
                      [&node, armed](ClusterWatch& watch) { watch.OnWatch(node, armed); });
  }
  const auto on_answer = [&node, read, armed](ClusterWatch& watch, auto answer) {
    if (!answer.ok() && answer.status().code() != absl::StatusCode::kNotFound) {
      if (node.watch == armed) node.watch = 0;
      return watch.RetryLater();
    }
    if constexpr (std::is_same_v<decltype(answer), absl::StatusOr<NodeData>>) {
      watch.OnRead(node, read, std::move(answer));
    } else {
      watch.OnChildren(read, std::move(answer));
    }
  };
  if (node.slot != nullptr) {
    client_->Get(node.path, std::move(watcher), IfAlive(weak_from_this(), on_answer));
  } else {
    client_->Children(node.path, std::move(watcher), IfAlive(weak_from_this(), on_answer));
  }
}

void ClusterWatch::OnWatch(Node& node, uint64_t watch) {
  if (watch != node.watch) return;
  node.watch = 0;
  if (!suspended_) Read(node);
}

void ClusterWatch::OnRead(Node& node, uint64_t read, absl::StatusOr<NodeData> data) {
  if (read != node.newest_read) return;
  auto& slot = state_.*node.slot;
  const bool changed = data.ok() != slot.has_value() || (data.ok() && data->data != slot->data);
  slot = data.ok() ? std::optional<NodeData>(*std::move(data)) : std::nullopt;
  node.fresh = true;
  if (&node == &epoch_ && changed) {
    // `leader` changed in the same transaction; until it is read too, the winner seems gone.
    leader_.fresh = false;
    Read(leader_);
  }
  on_change_();
}

void ClusterWatch::OnChildren(uint64_t read, absl::StatusOr<std::vector<std::string>> names) {
  // A folder that is missing may be unwatched; it is made with the next session, at the latest.
  if (!names.ok()) replicas_.watch = 0;
  if (read != replicas_.newest_read) return;
  replicas_read_.clear();
  if (!names.ok()) return FinishReplicas();
  if (names->size() > kMaxReplicas) {
    log::Error("too many replicas in {}: {}; {} are read", replicas_.path, names->size(),
               kMaxReplicas);
    names->resize(kMaxReplicas);
  }
  replicas_missing_ = names->size();
  if (names->empty()) return FinishReplicas();
  for (const std::string& name : *names) {
    client_->Get(paths_.replica(ReplicaId(name)), nullptr,
                 IfAlive(weak_from_this(),
                         [read](ClusterWatch& watch, auto data) { watch.OnReplica(read, data); }));
  }
}

void ClusterWatch::OnReplica(uint64_t read, const absl::StatusOr<NodeData>& data) {
  if (read != replicas_.newest_read) return;
  if (!data.ok() && data.status().code() != absl::StatusCode::kNotFound) {
    replicas_.newest_read = ++last_read_;  // no other answer of this reading counts
    return RetryLater();
  }
  pb::ReplicaRecord record;
  if (data.ok() && record.ParseFromString(data->data) && !record.replica_id().empty()) {
    replicas_read_.push_back(std::move(record));
  }
  if (--replicas_missing_ == 0) FinishReplicas();
}

void ClusterWatch::FinishReplicas() {
  std::sort(replicas_read_.begin(), replicas_read_.end(),
            [](const auto& a, const auto& b) { return a.replica_id() < b.replica_id(); });
  state_.replicas = std::move(replicas_read_);
  replicas_.fresh = true;
  on_change_();
}

void ClusterWatch::RetryLater() {
  if (suspended_ || std::exchange(retry_armed_, true)) return;
  executor_->PostAfter(kRetryDelay, IfAlive(weak_from_this(), [](ClusterWatch& watch) {
                         watch.retry_armed_ = false;
                         if (!watch.suspended_) watch.Refresh();
                       }));
}

}  // namespace baton
