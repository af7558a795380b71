// Who gets a slot, and what goes out to the TaskManagers.

#include <utility>

#include "base/deliberate_break.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "ha/view_board.h"
#include "rpc/attempt_id.h"

namespace baton {
namespace {

constexpr Duration kDeployTimeout = std::chrono::seconds(10);
constexpr Duration kCancelTimeout = std::chrono::seconds(10);
// So long one that takes no deployment at all is left alone, unless it registers again.
constexpr Duration kTurnedAway = std::chrono::seconds(5);
constexpr size_t kMaxTasksPerMessage = 500;
// A frame holds 16 MiB and a task at most about 1 MiB: one that is large never fails another job's.
constexpr size_t kMaxBytesPerMessage = 4 << 20;

std::vector<ExecutionAttemptId> Ids(const pb::DeployTasks& message) {
  std::vector<ExecutionAttemptId> ids;
  for (const auto& task : message.tasks()) ids.push_back(*FromProto(task.id()));
  return ids;
}

}  // namespace

// Many things ask for a round in one turn of the executor: one is run.
void ResourceManager::ScheduleRound() {
  if (std::exchange(round_scheduled_, true)) return;
  deps_.executor->Post(IfAlive(weak_from_this(), [](ResourceManager& self) {
    self.round_scheduled_ = false;
    self.RunRound();
  }));
}

bool ResourceManager::MayRun(const Source& source) const {
  return source.origin == Origin::kNew || roster_settled();
}

size_t ResourceManager::CountWaiting(size_t enough) const {
  size_t waiting = 0;
  for (const WaitingOrder& order : demand_) {
    const Source& source = sources_.at(order.id);
    if (MayRun(source)) waiting += source.source->ready_count();
    if (waiting >= enough) return enough;
  }
  return waiting;
}

// A leader that has not confirmed itself of late may be paused or deposed: it orders nothing (3.5,
// I4). The tick comes back to what is held.
bool ResourceManager::IsConfirmed() const {
  return deps_.executor->Now() - deps_.fence->last_confirmation() <= kConfirmationLife ||
         Broken(Break::kOrdersUnconfirmed);
}

void ResourceManager::RunRound() {
  using Enlistment = TaskManagerSession::Enlistment;
  if (!IsConfirmed()) return;
  std::vector<SessionPtr> workers;
  std::vector<WorkerSlots> slots;
  size_t free = 0;
  const bool wanted = CountWaiting(1) > 0;
  for (auto& [id, session] : sessions_) {
    if (!wanted || !session->link || session->drain || session->free_slots() == 0) continue;
    if (deps_.executor->Now() < session->turns_away_until) continue;
    // It may hold tasks from now on: that must be durable before the first deployment.
    const bool known = session->may_hold_tasks() || (Broken(Break::kNewGuardianNotEnlisted) &&
                                                     session->enlistment == Enlistment::kEnlisted);
    const bool busy = session->enlistment == Enlistment::kEnlisting ||
                      session->enlistment == Enlistment::kDelisting;
    if (!known && !busy) Enlist(session);
    if (!known && !Broken(Break::kRosterWrittenAfterDeployment)) continue;
    workers.push_back(session);
    slots.push_back({session->description.slots(), session->free_slots()});
    free += session->free_slots();
  }
  if (free == 0) return;
  GiveSlots(workers, deps_.policy->Assign(CountWaiting(free), slots));
}

void ResourceManager::GiveSlots(const std::vector<SessionPtr>& workers,
                                const std::vector<size_t>& chosen) {
  auto next = chosen.begin();
  auto order = demand_.begin();
  while (next != chosen.end() && order != demand_.end()) {
    Source& source = sources_.at(order->id);
    while (MayRun(source) && next != chosen.end() && source.source->ready_count() > 0) {
      TaskManagerSession& session = *workers[*next++];
      pb::TaskDeployment task = source.source->TakeNext({session.id, session.description.host()});
      const ExecutionAttemptId id = *FromProto(task.id());
      // Whatever it said of it before: nobody can know an attempt that is made here and now.
      RemoveAttempt(session, id);
      session.attempts.emplace(id, TaskManagerSession::Attempt{});
      ++session.active;
      home_[id] = session.id;
      session.to_deploy.push_back(std::move(task));
      ScheduleFlush(session);
    }
    order = source.source->ready_count() == 0 ? demand_.erase(order) : std::next(order);
  }
}

void ResourceManager::ScheduleFlush(TaskManagerSession& session) {
  if (!flush_scheduled_.insert(session.id).second) return;
  deps_.executor->Post(IfAlive(weak_from_this(), [id = session.id](ResourceManager& self) {
    self.flush_scheduled_.erase(id);
    auto it = self.sessions_.find(id);
    if (it != self.sessions_.end()) self.Flush(*it->second);
  }));
}

void ResourceManager::Flush(TaskManagerSession& session) {
  if (!session.link) {
    // What was to be deployed is missing from its next inventory, so it counts as lost then; a
    // report that is not confirmed comes again; a cancel is repeated at the next registration.
    session.to_deploy.clear();
    session.to_cancel.clear();
    session.to_confirm.clear();
    return;
  }
  if (IsConfirmed()) {
    SendDeployments(session);
    SendCancels(session);
  }
  if (!session.to_confirm.empty()) {
    pb::Envelope envelope;
    envelope.set_epoch(deps_.leader.epoch());
    for (const auto& id : session.to_confirm) {
      *envelope.mutable_confirm_reports()->add_ids() = ToProto(id);
    }
    session.to_confirm.clear();
    session.link->Send(std::move(envelope));
  }
}

void ResourceManager::SendDeployments(TaskManagerSession& session) {
  auto tasks = std::exchange(session.to_deploy, {});
  for (size_t next = 0; next < tasks.size();) {
    pb::Envelope envelope;
    envelope.set_epoch(deps_.leader.epoch());
    pb::DeployTasks& message = *envelope.mutable_deploy_tasks();
    message.set_registration_id(session.registration_id);
    const size_t end = std::min(tasks.size(), next + kMaxTasksPerMessage);
    for (size_t bytes = 0; next < end && bytes < kMaxBytesPerMessage; ++next) {
      bytes += tasks[next].ByteSizeLong();
      *message.add_tasks() = std::move(tasks[next]);
    }
    SentDeployments sent{session.id, session.link, session.registration_id, Ids(message)};
    session.link->Call(
        std::move(envelope), kDeployTimeout,
        BindTo(deps_.executor,
               IfAlive(weak_from_this(),
                       [sent = std::move(sent)](ResourceManager& self, const auto& reply) {
                         self.OnDeployReply(sent, reply);
                       })));
  }
}

void ResourceManager::OnDeployReply(const SentDeployments& sent,
                                    const absl::StatusOr<pb::Envelope>& reply) {
  FaultPoint("deployment.sent");
  auto it = sessions_.find(sent.task_manager);
  if (it == sessions_.end()) return;
  if (!reply.ok()) return OnNotDeployed(*it->second, sent, reply.status());
  for (const auto& refusal : reply->deploy_tasks_reply().refused()) {
    auto attempt = FromProto(refusal.id());
    if (!attempt.ok()) continue;
    log::Warning("deployment refused tm={} attempt={} reason={}", sent.task_manager.value(),
                 attempt->ToString(), refusal.reason());
    LoseAttempt(*it->second, *attempt, LossReason::kRefused, refusal.reason());
  }
}

void ResourceManager::OnNotDeployed(TaskManagerSession& session, const SentDeployments& sent,
                                    const absl::Status& why) {
  // It takes none at all (its registration has ended, it stops), or none left this process: in
  // every case nothing was started, and no task is to blame.
  if (absl::IsFailedPrecondition(why) || absl::IsResourceExhausted(why)) {
    log::Info("deployments turned away tm={} tasks={} why={}", session.id.value(), sent.ids.size(),
              Message(why));
    // Not one that has registered again since, be it over the same link: that one takes tasks.
    if (session.registration_id == sent.registration_id) {
      session.turns_away_until = deps_.executor->Now() + kTurnedAway;
    }
    for (const auto& id : sent.ids) LoseAttempt(session, id, LossReason::kTurnedAway, Message(why));
  } else if (absl::IsInvalidArgument(why)) {
    for (const auto& id : sent.ids) LoseAttempt(session, id, LossReason::kRefused, Message(why));
  } else if (absl::IsDeadlineExceeded(why)) {
    // The answer may come yet, and nobody would hear it: the next inventory says what was started.
    sent.link->Close();
  }
  // A broken link: the outcome is open until it registers again or is lost.
}

void ResourceManager::SendCancels(TaskManagerSession& session) {
  if (session.to_cancel.empty()) return;
  pb::Envelope envelope;
  envelope.set_epoch(deps_.leader.epoch());
  envelope.mutable_cancel_tasks()->set_registration_id(session.registration_id);
  for (const auto& id : std::exchange(session.to_cancel, {})) {
    *envelope.mutable_cancel_tasks()->add_ids() = ToProto(id);
  }
  session.link->Call(
      std::move(envelope), kCancelTimeout,
      BindTo(deps_.executor,
             IfAlive(weak_from_this(), [id = session.id, link = session.link](ResourceManager& self,
                                                                              const auto& reply) {
               auto it = self.sessions_.find(id);
               // A cancel that failed is repeated with the next registration.
               if (absl::IsDeadlineExceeded(reply.status())) return link->Close();
               if (!reply.ok() || it == self.sessions_.end()) return;
               for (const auto& unknown : reply->cancel_tasks_reply().unknown()) {
                 auto attempt = FromProto(unknown);
                 if (!attempt.ok()) continue;
                 self.LoseAttempt(*it->second, *attempt, LossReason::kTaskManagerLost,
                                  "cancelled before it was started");
               }
             })));
}

}  // namespace baton
