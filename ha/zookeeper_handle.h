// One handle of ZooKeeper's C client: one session. zookeeper.h stays in the .cc.
//
// Threading: Open blocks (DNS) and the destructor blocks (it joins the handle's threads): see
// zookeeper_threads.h. The calls are made on the executor of its owner, ZooKeeperClient. What comes
// back is posted to that executor through the gate, never after the gate was shut.

#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "ha/coordination_client.h"

namespace baton::zookeeper {

// The way back to an executor that may go away before the C client's threads do.
class PostGate {
 public:
  explicit PostGate(ExecutorPtr executor) : executor_(std::move(executor)) {}

  void Post(Task task) {
    std::lock_guard lock(mutex_);
    if (executor_) executor_->Post(std::move(task));
  }
  // No post is under way or comes any more when it returns.
  void Shut() {
    std::lock_guard lock(mutex_);
    executor_.reset();
  }

 private:
  std::mutex mutex_;
  ExecutorPtr executor_;
};

// What a call comes back with.
struct Reply {
  absl::Status status;
  NodeData node;
  std::vector<std::string> children;
  std::optional<size_t> failed_op;
};

// Hears what comes back; on the executor.
class HandleListener {
 public:
  virtual ~HandleListener() = default;
  virtual void OnState(uint64_t generation, SessionEvent event) = 0;
  virtual void OnWatch(uint64_t generation, uint64_t watch_id) = 0;
  virtual void OnReply(uint64_t generation, uint64_t token, Reply reply) = 0;
};

struct HandleOptions {
  std::string quorum;
  Duration session_timeout;
  uint64_t generation;
  std::shared_ptr<PostGate> gate;
  std::weak_ptr<HandleListener> listener;
};

class Handle {
 public:
  // kUnavailable: no host of the quorum resolves, or the quorum makes no sense.
  static absl::StatusOr<std::unique_ptr<Handle>> Open(HandleOptions options);
  ~Handle();
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  // Each call is answered once by OnReply with its token, unless it returns an error: then it was
  // not sent. `watch_id` 0: no watch.
  absl::Status Exists(uint64_t token, const std::string& path, uint64_t watch_id);
  absl::Status Get(uint64_t token, const std::string& path);
  absl::Status Children(uint64_t token, const std::string& path, uint64_t watch_id);
  absl::Status Multi(uint64_t token, std::vector<CoordinationOp> ops);
  absl::Status Sync(uint64_t token, const std::string& path);

  // A call was answered: what was kept for it goes.
  void Forget(uint64_t token);

 private:
  struct CallContext;
  struct Impl;

  explicit Handle(HandleOptions options);

  std::unique_ptr<Impl> impl_;
};

// The quorum as the C client wants it: it takes "::1:2181", not "[::1]:2181".
std::string ToClientQuorum(std::string quorum);

}  // namespace baton::zookeeper
