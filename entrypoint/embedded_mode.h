// What a dispatcher without ZooKeeper has in its own process: the coordination service, journaled
// in the store, and a worker.
//
// Threading: the thread of main; Open and Join block. Owned by main; Stop ends the worker, the rest
// ends with its last reference.

#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/asio_executor.h"
#include "base/config.h"
#include "entrypoint/replica.h"
#include "entrypoint/worker.h"
#include "ha/embedded_coordination.h"
#include "store/kv_engine.h"

namespace baton {

// The one replica there is: its name, and any free RPC port unless one is configured.
ReplicaSettings EmbeddedReplicaSettingsFrom(const Config& config);

class EmbeddedMode {
 public:
  // Reads the journal. The caller keeps `engine`, and `config`.
  static absl::StatusOr<std::unique_ptr<EmbeddedMode>> Open(const Config& config, ThreadPool& pool,
                                                            const KvEnginePtr& engine);

  CoordinationClientPtr NewClient(ExecutorPtr executor) const;

  // `slots` of the worker; 0: there is none.
  using OnReady = std::function<void(uint32_t slots)>;

  // Once `replica` listens: makes it the only member, whatever it was called, and starts the
  // worker. `on_ready` comes when it leads and has the worker; any thread.
  absl::Status Join(const std::shared_ptr<Replica>& replica, OnReady on_ready);

  void Stop();

 private:
  EmbeddedMode(const Config& config, ThreadPool& pool) : config_(config), pool_(pool) {}

  absl::Status Claim(const Replica& replica);
  absl::Status StartWorker(const std::string& dispatcher, OnReady on_ready);

  const Config& config_;
  ThreadPool& pool_;
  EmbeddedCoordinationServerPtr server_;
  std::unique_ptr<Worker> worker_;  // null: dispatcher.embedded-taskmanager is false
};

}  // namespace baton
