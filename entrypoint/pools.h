// The threads of a dispatcher, and the order in which they end.

#pragma once

#include <array>
#include <cstddef>

#include "base/asio_executor.h"
#include "store/kv_engine.h"

namespace baton {

// The threads of a dispatcher. What has to be punctual, or the leadership is lost, and a worker's
// lease with it (pings, confirmations, lease queries, and the links that they come on), waits for
// none of the others, however busy they are.
//
// Declared before everything that uses them, destroyed last.
struct Pools {
  explicit Pools(size_t threads) : shared(threads) {}
  ~Pools() {
    Stop();
    for (ThreadPool* pool : All()) pool->Empty();
  }
  void Stop() {
    for (ThreadPool* pool : All()) pool->Stop();
  }
  std::array<ThreadPool*, 4> All() { return {&watchdog, &punctual, &shared, &aside}; }

  ThreadPool watchdog{1};
  ThreadPool punctual{1};  // election and RPC
  ThreadPool shared;       // leading, the store, REST
  ThreadPool aside{1};     // for what would keep the others waiting
};

// How everything that runs by itself ends, whichever way Serve is left: the engine has threads of
// its own, which post to the pools what they have read and written. So the pools stand still first
// (nobody asks the engine for more), then the engine answers and ends its threads, and only then do
// the pools drop what they hold, the last references to the engine perhaps among it.
//
// Declared after both.
class Threads {
 public:
  Threads(Pools& pools, KvEngine& engine) : pools_(pools), engine_(engine) {}
  ~Threads() { Stop(); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  void Stop() {
    pools_.Stop();
    engine_.Stop();
  }

 private:
  Pools& pools_;
  KvEngine& engine_;
};

}  // namespace baton
