// Whether a TaskManager drains, and until when its tasks may finish. It lives here, and not with
// the leader, because this process outlives leaders: it says so at every registration. It ends with
// the process: a drain prepares a restart, and whoever comes after it takes tasks again.
//
// Plain data; lives on the executor of the TaskExecutor that owns it.

#pragma once

#include <algorithm>
#include <optional>

#include "base/time.h"
#include "rpc/messages.pb.h"

namespace baton {

class DrainState {
 public:
  void Set(const pb::DrainTaskManager& message, TimePoint now) {
    draining_ = message.has_drain();
    deadline_.reset();
    if (draining_ && message.drain().remaining_ms() >= 0) {
      deadline_ = now + std::chrono::milliseconds(message.drain().remaining_ms());
    }
  }

  // As the leader is to be told now: what remains, because clocks are not compared.
  std::optional<pb::Drain> Describe(TimePoint now) const {
    if (!draining_) return std::nullopt;
    pb::Drain drain;
    drain.set_remaining_ms(deadline_ ? std::max<int64_t>(0, ToMillis(*deadline_ - now)) : -1);
    return drain;
  }

 private:
  bool draining_ = false;
  std::optional<TimePoint> deadline_;  // none: tasks may finish
};

}  // namespace baton
