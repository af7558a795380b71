// Decides when a TaskManager that is not heard is lost: when it is certain that no task of it is
// alive, so that its subtasks may be deployed again without two attempts living at once (P4).
//
// Two kinds of certainty (3.6):
//   the guardian is dead: its liveness port refuses, or another incarnation answers there. Its
//   tasks
//     die with it; the kernel has `guardian_grace` for that.
//   the lease is over: lease + 1 s have passed since the later of the start of this epoch and the
//     last answer that renewed X's lease, in either way. Way-2 answers are given by the election on
//     its own executor, so they are asked for there *after* the wait: by then X's lease has lapsed,
//     and way 2 never starts one again.
// In both cases the leader confirms itself once more before it counts X as lost: a confirmation
// that began after the wait proves that no newer leader had answered X before it.
//
// Lives on the executor of the leader process; callbacks come there.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "base/ids.h"
#include "ha/leader_fence.h"
#include "rpc/frame_transport.h"
#include "rpc/messages.pb.h"

namespace baton {

struct LeaseOptions {
  Duration lease = std::chrono::seconds(20);
  Duration margin = std::chrono::seconds(1);
  Duration guardian_grace = std::chrono::seconds(1);
  Duration probe_interval = std::chrono::milliseconds(200);
  Duration probe_timeout = std::chrono::seconds(2);
};

// What a description says of the lease of its TaskManager, in the roster perhaps, where a damaged
// entry may say anything: never more than the longest that a configuration accepts. (A number of
// milliseconds that has no room as a Duration would end the lease before it began: P4.)
inline constexpr std::chrono::hours kLongestLease{1};
Duration LeaseOf(const pb::TaskManagerDescription& description);

// Asks the election when it last gave X an answer that may have renewed its lease by way 2. The
// callback may come on any thread.
using LastLeaseAnswer = std::function<void(
    const TaskManagerId&, absl::AnyInvocable<void(std::optional<TimePoint>)> callback)>;

class LossDetector : public std::enable_shared_from_this<LossDetector> {
 public:
  struct Dependencies {
    ExecutorPtr executor;
    FrameTransportPtr transport;
    LeaderFencePtr fence;
    LastLeaseAnswer last_lease_answer;
    TimePoint leading_since;
    LeaseOptions options;
  };
  struct Suspect {
    std::string liveness_address;  // empty: unknown, only the lease tells
    std::string guardian_incarnation;
    TimePoint last_answered;  // way 1, by this leader; TimePoint{}: never
    Duration lease{};         // that it said it has; at least the configured one counts
  };
  using LostCallback = std::function<void(const TaskManagerId&, const std::string& why)>;

  LossDetector(Dependencies dependencies, LostCallback on_lost);
  ~LossDetector();

  // Until Forget or on_lost. Of one that is watched already, a later answer is noted.
  void Watch(const TaskManagerId& id, Suspect suspect);
  // It was heard again.
  void Forget(const TaskManagerId& id);

 private:
  struct Watched;
  using WatchedPtr = std::shared_ptr<Watched>;

  void Tick(const WatchedPtr& watched);
  void Probe(const WatchedPtr& watched);
  void OnProbed(const WatchedPtr& watched, bool dead);
  void AskForLeaseAnswer(const WatchedPtr& watched);
  void ConfirmAndReport(const WatchedPtr& watched, std::string why);
  void Report(const WatchedPtr& watched, const std::string& why);
  bool IsCurrent(const WatchedPtr& watched) const;
  TimePoint LeaseEnd(const Watched& watched) const;

  const Dependencies deps_;
  const LostCallback on_lost_;
  std::map<TaskManagerId, WatchedPtr> watched_;
};

}  // namespace baton
