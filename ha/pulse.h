// Whether an executor still runs what is posted to it: its owner asks now and then, each question
// sends a probe through it unless one is under way.
//
// For the strand of a leader process, which others would otherwise take for alive as long as the
// election beside it answers pings: a loop that does not end there must cost the leadership too.
// The patience is longer than a ping's, because a strand that recovers thousands of jobs is busy,
// not stuck, and deposing its leader would only begin the same work again elsewhere.
//
// Lives on `owner`, which calls it; ends with its last reference.

#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "base/executor.h"

namespace baton {

class Pulse : public std::enable_shared_from_this<Pulse> {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(5);

  Pulse(ExecutorPtr watched, ExecutorPtr owner)
      : watched_(std::move(watched)), owner_(std::move(owner)) {}

  bool IsStuck() {
    if (probe_sent_) return owner_->Now() - *probe_sent_ > kPatience;
    probe_sent_ = owner_->Now();
    watched_->Post(
        BindTo(owner_, IfAlive(weak_from_this(), [](Pulse& pulse) { pulse.probe_sent_.reset(); })));
    return false;
  }

 private:
  const ExecutorPtr watched_;
  const ExecutorPtr owner_;
  std::optional<TimePoint> probe_sent_;  // and not yet back
};

}  // namespace baton
