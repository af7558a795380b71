// Whether this replica's disk does what it should: told by the outcome of every call of the engine.
//
// A full disk is not sick: it refuses new work and goes on (a submission gets 503), and is well
// when there is room. EIO and corruption are: a leader hands over while another replica is well.
//
// Threading: any thread.

#pragma once

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "base/executor.h"
#include "store/kv_engine.h"

namespace baton {

class StoreHealth {
 public:
  explicit StoreHealth(ExecutorPtr clock) : clock_(std::move(clock)) {}

  void Note(const absl::Status& outcome);
  // It failed within the last half minute.
  bool fails() const;

 private:
  const ExecutorPtr clock_;
  std::atomic<bool> failed_ = false;
  std::atomic<TimePoint> failed_at_{TimePoint()};
};
using StoreHealthPtr = std::shared_ptr<StoreHealth>;

// The same engine; `health` hears what becomes of its calls.
KvEnginePtr NewWatchedKvEngine(KvEnginePtr engine, StoreHealthPtr health);

}  // namespace baton
