// What the ResourceManager sees of a job, and what a job asks of the ResourceManager. Demand is
// pulled: a job says how many of its subtasks could start, the ResourceManager asks for the next
// one when it has a slot, so that a job of a million subtasks never queues a million requests.
//
// All of it on the executor of the leader process.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "rpc/messages.pb.h"

namespace baton {

// An attempt as a TaskManager tells of it.
struct ReportedAttempt {
  TaskManagerId task_manager;
  ExecutionAttemptId id;
  pb::AttemptStatus status;
  std::string host;  // its TaskManager's
};

// Where an attempt is to run.
struct SlotOffer {
  TaskManagerId task_manager;
  std::string host;
};

enum class LossReason {
  kTaskManagerLost,  // its tasks are dead, or were never started
  kRefused,          // the TaskManager refused the deployment: it was never started
  kTurnedAway,       // it takes none at all now, whatever the task: it was never started
  kMoved,            // ended on purpose, so that it runs elsewhere
};

class TaskSource {
 public:
  virtual ~TaskSource() = default;

  virtual JobId job_id() const = 0;
  virtual size_t ready_count() const = 0;
  // Makes the next attempt; called at most ready_count() times in a row.
  virtual pb::TaskDeployment TakeNext(const SlotOffer& offer) = 0;

  // The attempt is running, or has ended (a report is repeated until it is confirmed).
  virtual void OnAttemptStatus(const ReportedAttempt& attempt) = 0;
  // No process of the attempt is alive, and none will be.
  virtual void OnAttemptLost(const ExecutionAttemptId& id, LossReason reason,
                             const std::string& why) = 0;
  // Every TaskManager that may hold attempts of an earlier leader has been heard or counted as
  // lost.
  virtual void OnRosterSettled() = 0;
};

// Lower runs first. Waiting work is ordered by priority, then age; a minute of waiting outweighs
// one step of priority, so nothing starves, and the key never changes while the work waits.
struct WaitingOrder {
  static constexpr int64_t kMillisPerPriority = 60'000;

  static WaitingOrder Of(int32_t priority, WallMillis since, JobId id) {
    return {since - priority * kMillisPerPriority, id};
  }

  int64_t key = 0;
  JobId id;
  auto operator<=>(const WaitingOrder&) const = default;
};

class ResourceManagerGateway {
 public:
  virtual ~ResourceManagerGateway() = default;

  // The source must be removed before it dies. A recovered job is given no slot before the roster
  // has settled (3.6). Attempts of the job that TaskManagers have told of already are passed to
  // OnAttemptStatus at once, before AddSource returns.
  enum class Origin { kNew, kRecovered };
  virtual void AddSource(TaskSource* source, WaitingOrder order, Origin origin) = 0;
  // Attempts of the job that are still reported are cancelled and confirmed from now on.
  virtual void RemoveSource(const JobId& job) = 0;
  virtual void OnDemandChanged(const JobId& job) = 0;

  // Ends in OnAttemptStatus (ENDED) or OnAttemptLost. Repeatable.
  virtual void CancelAttempt(const ExecutionAttemptId& id) = 0;
  // The final report is durable, or nobody needs it: the TaskManager may forget it.
  virtual void ConfirmReport(const ExecutionAttemptId& id) = 0;

  virtual bool roster_settled() const = 0;
};

}  // namespace baton
