// The lease under which the tasks of a TaskManager run (3.6): when it ends, and what renews
// it. The guardian enforces it; this says when it is over, also when a timer comes late.
//
// Lives on one executor; owned by the TaskExecutor. A lease runs from the moment of the request
// that was answered, so that an answer's delay never lengthens it.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/executor.h"
#include "base/ids.h"
#include "rpc/messages.pb.h"
#include "taskmanager/member_poll.h"

namespace baton {

class LeaseKeeper : public std::enable_shared_from_this<LeaseKeeper> {
 public:
  struct Listener {
    std::function<void(TimePoint deadline)> on_deadline;  // it runs until then
    std::function<void()> on_lapsed;                      // once for every lease that ran
  };

  LeaseKeeper(MemberPoll::Dependencies dependencies, Duration lease, Listener listener);

  // A registration was answered: a lease starts, or goes on and may end earlier. What members have
  // said since the request was sent does not count: who leads now may not have been among them, if
  // an earlier leader made it a member while no task was here. It knows of no renewal that it has
  // not heard, and would give the tasks to others too early (P4; found by model/).
  // False: the answer took longer than a whole lease.
  bool StartFrom(TimePoint request_sent);

  // Way 1, the leader answered a heartbeat. A lease that is over is not renewed.
  void RenewFrom(TimePoint request_sent);

  // Way 2, at every heartbeat: asks the members when way 1 has been silent for a quarter of the
  // lease.
  void AskMembersIfSilent(const pb::MemberList& members, Epoch epoch);

  // Another list of members or another epoch: what is being asked now proves nothing any more.
  void DropPendingAnswers() { ++round_; }

  // Looks at the clock: from the deadline on it is over, whatever ran first.
  void EndIfOver();
  bool IsRunning() {
    EndIfOver();
    return running_;
  }

  TimePoint deadline() const { return deadline_; }
  Duration lease() const { return lease_; }

 private:
  void Extend(TimePoint request_sent);
  void SetDeadline(TimePoint deadline);
  void ArmTimer();

  const MemberPoll::Dependencies dependencies_;
  const Duration lease_;
  const Listener listener_;
  TimePoint deadline_{};
  TimePoint last_answer_{};  // when the last renewing request was sent
  bool running_ = false;
  bool asking_ = false;
  uint64_t round_ = 0;
  TimerId timer_ = kNoTimer;
};

}  // namespace baton
