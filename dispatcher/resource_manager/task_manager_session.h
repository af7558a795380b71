// What the leader knows of one TaskManager: its registration, its slots, the attempts it holds.
//
// Owned by the ResourceManager, on the executor of the leader process; no logic but bookkeeping.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "rpc/messages.pb.h"
#include "rpc/rpc_link.h"

namespace baton {

// Whom the next leader would ask whether the tasks live.
struct GuardianName {
  std::string liveness_address;
  std::string incarnation;

  static GuardianName Of(const pb::TaskManagerDescription& description) {
    return {description.liveness_address(), description.guardian_incarnation()};
  }
  bool operator==(const GuardianName&) const = default;
};

struct TaskManagerSession {
  // kEnlisted: it has an entry in the roster, or may have one.
  enum class Enlistment { kAbsent, kEnlisting, kEnlisted, kDelisting };

  struct Attempt {
    bool ended = false;  // its slot is free; the report waits for its confirmation
    bool cancel_requested = false;
    bool moving = false;  // cancelled so that it runs elsewhere, not because its job wants that
  };
  // It takes no more tasks (the TaskManager itself remembers it).
  struct Drain {
    std::optional<TimePoint> deadline;   // then its tasks are moved; none: they may finish
    WallMillis wall_deadline = kNotYet;  // the same, to be shown
  };

  TaskManagerId id;
  pb::TaskManagerDescription description;
  RpcLinkPtr link;               // null while disconnected
  std::string registration_id;   // of the current registration
  uint64_t members_version = 0;  // of the list that it said, in this registration, it asks
  TimePoint last_answered;       // when this leader last renewed its lease (3.6 way 1)
  WallMillis last_heartbeat = kNotYet;
  Enlistment enlistment = Enlistment::kAbsent;
  std::optional<GuardianName> enlisted;  // whom its entry names; none: that is not known
  TimePoint enlist_not_before;
  TimePoint empty_since;
  std::optional<Drain> drain;
  TimePoint turns_away_until;  // it refused deployments as such: it gets none before
  uint32_t log_reads = 0;      // asked, neither answered nor broken off
  std::map<ExecutionAttemptId, Attempt> attempts;
  uint32_t active = 0;  // attempts not ended

  // What goes out with the next flush, in this order.
  std::vector<pb::TaskDeployment> to_deploy;
  std::set<ExecutionAttemptId> to_cancel;
  std::vector<ExecutionAttemptId> to_confirm;

  // The roster names the guardian that runs its tasks. With the word of an earlier one, which is
  // dead, the next leader would deploy them again at once (P4).
  bool may_hold_tasks() const {
    return enlistment == Enlistment::kEnlisted && enlisted == GuardianName::Of(description);
  }
  bool has_orders() const {
    return !to_deploy.empty() || !to_cancel.empty() || !to_confirm.empty();
  }
  uint32_t free_slots() const {
    return description.slots() > active ? description.slots() - active : 0;
  }
};

}  // namespace baton
