// Where the requests of other replicas are served from this one's disk: each is handed over from
// the executor of the links, which is the election's, to the store's, where bytes are hashed,
// copied and parsed. A ping or a lease query must not wait behind them (3.4, 3.6).
//
// What waits there is bounded in bytes; beyond, a request is refused at once, and who asked tries
// again or asks another replica.
//
// Used while the store is wired; what it registered lives on with the server.

#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

#include "base/executor.h"
#include "rpc/rpc_server.h"

namespace baton {

class RequestDesk {
 public:
  // A peer pushes at most 24 MiB at once; the rest is for those that it gave up waiting for.
  static constexpr size_t kMaxWaitingBytes = 96 << 20;

  // Before server.Start.
  RequestDesk(RpcServer& server, ExecutorPtr executor)
      : server_(server), executor_(std::move(executor)) {}

  // `handler` is called on the store's executor.
  void Handle(RpcServer::Kind kind, RpcServer::Handler handler);

 private:
  RpcServer& server_;
  const ExecutorPtr executor_;
  const std::shared_ptr<std::atomic<size_t>> waiting_bytes_ =
      std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace baton
