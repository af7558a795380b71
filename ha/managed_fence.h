// A LeaderFence as the election holds it: what only the owner of the epoch may do with it.
//
// Lives on the executor of its CoordinationClient. Made by the election with the grant, shared with
// the leader process, ended by Close or by being deposed.

#pragma once

#include <functional>
#include <memory>

#include "ha/leader_fence.h"

namespace baton {

// What the election's multi won.
struct FenceGrant {
  Epoch epoch;
  int32_t epoch_version = 0;  // of the znode `epoch`, as that multi left it
  TimePoint began;            // when that multi was sent: the first confirmation
};

class ManagedFence : public LeaderFence {
 public:
  struct Dependencies {
    CoordinationClientPtr client;
    ExecutorPtr executor;
    CoordinationPaths paths;
    FenceLimits limits;
    // Once, unless Close came before: a newer epoch was committed, or the session is over.
    std::function<void(const absl::Status& why)> on_deposed;
  };

  // While the session is not connected (3.5): commits wait, within max_wait.
  virtual void Pause() = 0;
  virtual void Resume() = 0;

  // Refuses new commits with kAborted; `done` runs when those accepted before have been answered.
  virtual void Drain(absl::AnyInvocable<void()> done) = 0;

  // Everything pending and everything later ends with kAborted.
  virtual void Close(const absl::Status& why) = 0;
};
using ManagedFencePtr = std::shared_ptr<ManagedFence>;

ManagedFencePtr NewManagedFence(ManagedFence::Dependencies dependencies, const FenceGrant& grant);

}  // namespace baton
