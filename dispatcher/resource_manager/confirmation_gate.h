// Lets answers wait for a confirmation that began after they were asked for (3.6 way 1), many for
// one: however many TaskManagers speak while the leader is paused, few confirmations wait. Several
// are under way at a time, so that one that is slow delays nobody by more than itself.
//
// Lives on the executor of the leader process, owned by the ResourceManager. Bounded by its
// callers: a TaskManager has few requests under way.

#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "ha/leader_fence.h"

namespace baton {

class ConfirmationGate : public std::enable_shared_from_this<ConfirmationGate> {
 public:
  using Callback = absl::AnyInvocable<void(absl::Status)>;

  ConfirmationGate(LeaderFencePtr fence, ExecutorPtr executor)
      : fence_(std::move(fence)), executor_(std::move(executor)) {}

  // The callback comes on the executor.
  void Pass(Callback callback);

 private:
  static constexpr size_t kMaxUnderWay = 4;

  void Begin();

  const LeaderFencePtr fence_;
  const ExecutorPtr executor_;
  std::vector<Callback> waiting_;  // for a confirmation that has not begun
  size_t under_way_ = 0;
};

}  // namespace baton
