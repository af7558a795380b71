// What TaskManagers say: registrations, heartbeats, reports.

#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "fmt/format.h"
#include "rpc/attempt_id.h"

namespace baton {

void ResourceManager::OnMessage(const RpcLinkPtr& link, const pb::Envelope& message) {
  switch (message.message_case()) {
    case pb::Envelope::kRegisterTaskManager:
      return OnRegister(link, message);
    case pb::Envelope::kHeartbeat:
      return OnHeartbeat(link, message);
    case pb::Envelope::kTaskReports:
      return OnReports(link, message.task_reports());
    default:
      return link->ReplyError(message, InvalidArgument("the leader does not take this message"));
  }
}

// Answered only after a confirmation that began after the request had arrived: the answer starts a
// lease, and a deposed leader must start none (3.6 way 1).
void ResourceManager::OnRegister(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::RegisterTaskManager& request = message.register_task_manager();
  if (request.description().id().empty()) {
    return link->ReplyError(message, InvalidArgument("a TaskManager must have an id"));
  }
  if (request.highest_epoch_seen() > deps_.leader.epoch()) {
    return link->ReplyError(message,
                            FailedPrecondition("deposed: epoch {} is known, this is {}",
                                               request.highest_epoch_seen(), deps_.leader.epoch()));
  }
  if (request.description().lease_ms() > ToMillis(deps_.lease.lease)) {
    return link->ReplyError(
        message, FailedPrecondition("its lease of {} ms is longer than that of the dispatchers, {} "
                                    "ms: taskmanager.lease must be the same everywhere",
                                    request.description().lease_ms(), ToMillis(deps_.lease.lease)));
  }
  const TaskManagerId id(request.description().id());
  const uint64_t number = ++last_registration_;
  pending_registrations_[id] = number;
  confirmed_->Pass(IfAlive(
      weak_from_this(), [link, message, id, number](ResourceManager& self, absl::Status status) {
        auto pending = self.pending_registrations_.find(id);
        if (pending == self.pending_registrations_.end() || pending->second != number) {
          return link->ReplyError(message, Aborted("a newer registration has come"));
        }
        self.pending_registrations_.erase(pending);
        if (!status.ok()) return link->ReplyError(message, status);
        if (!link->closed()) self.AcceptRegistration(link, message);
      }));
}

void ResourceManager::AcceptRegistration(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::RegisterTaskManager& request = message.register_task_manager();
  const TaskManagerId id(request.description().id());
  SessionPtr& session = sessions_[id];
  if (!session) {
    session = std::make_shared<TaskManagerSession>();
    session->id = id;
    session->empty_since = deps_.executor->Now();
    // One that an earlier leader enlisted is on the roster still.
    if (awaited_.contains(id)) session->enlistment = TaskManagerSession::Enlistment::kEnlisted;
  }
  if (session->link) {
    by_link_.erase(session->link.get());
    if (session->link != link) session->link->Close();
  }
  by_link_[link.get()] = session;
  // The roster names the guardian that the next leader would ask whether the tasks live. With the
  // word of an earlier one, which is dead, it would deploy them again at once (P4): nothing is
  // deployed here until the new entry is durable.
  const bool other_guardian =
      session->description.liveness_address() != request.description().liveness_address() ||
      session->description.guardian_incarnation() != request.description().guardian_incarnation();
  if (session->enlistment == TaskManagerSession::Enlistment::kEnlisted && other_guardian &&
      !Broken(Break::kNewGuardianNotEnlisted)) {
    session->enlistment = TaskManagerSession::Enlistment::kAbsent;
  }
  session->description = request.description();
  session->link = link;
  session->registration_id = fmt::format("{:016x}", deps_.random->Next());
  session->members_version = 0;
  session->last_answered = deps_.executor->Now();
  session->last_heartbeat = deps_.executor->WallNow();
  session->to_deploy.clear();
  session->to_cancel.clear();
  pb::DrainTaskManager drain;
  if (request.description().has_drain()) *drain.mutable_drain() = request.description().drain();
  NoteDrain(*session, drain);

  pb::Envelope envelope;
  envelope.set_epoch(deps_.leader.epoch());
  pb::RegistrationReply& reply = *envelope.mutable_registration_reply();
  reply.set_epoch(deps_.leader.epoch());
  reply.set_registration_id(session->registration_id);
  *reply.mutable_members() = members_;
  *reply.mutable_leader() = deps_.leader;
  link->Reply(message, std::move(envelope));

  log::Info("TaskManager registered tm={} epoch={} slots={} attempts={}", id.value(),
            deps_.leader.epoch(), request.description().slots(), request.inventory_size());
  ReplaceInventory(*session, request);
  OnHeard(id);
  ScheduleRound();
}

// Attempts that the new inventory lacks are not alive and never will be: their deployments belong
// to registrations that have ended. Those of an earlier incarnation died before it registered.
void ResourceManager::ReplaceInventory(TaskManagerSession& session,
                                       const pb::RegisterTaskManager& registration) {
  std::map<ExecutionAttemptId, const pb::AttemptStatus*> inventory;
  for (const pb::AttemptStatus& status : registration.inventory()) {
    auto id = FromProto(status.id());
    if (id.ok()) {
      inventory.emplace(*id, &status);
    } else {
      log::Warning("a TaskManager names an unreadable attempt tm={} error={}", session.id.value(),
                   Message(id.status()));
    }
  }
  std::vector<ExecutionAttemptId> missing;
  for (const auto& [id, attempt] : session.attempts) {
    if (!inventory.contains(id)) missing.push_back(id);
  }
  for (const ExecutionAttemptId& id : missing) {
    LoseAttempt(session, id, LossReason::kTaskManagerLost,
                fmt::format("TaskManager {} came back without it", session.id.value()));
  }
  for (const auto& [id, status] : inventory) ApplyStatus(session, id, *status);
  for (const auto& [id, attempt] : session.attempts) {
    if (attempt.cancel_requested && !attempt.ended) session.to_cancel.insert(id);
  }
  ScheduleFlush(session);
}

void ResourceManager::OnHeartbeat(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::Heartbeat& heartbeat = message.heartbeat();
  const SessionPtr session = FindSession(link.get(), heartbeat.registration_id());
  if (!session) {
    pb::Envelope reply;
    reply.mutable_heartbeat_reply();  // no registration id: register again; renews nothing
    return link->Reply(message, std::move(reply));
  }
  session->last_heartbeat = deps_.executor->WallNow();
  if (session->members_version != heartbeat.members_version()) {
    session->members_version = heartbeat.members_version();
    if (on_members_asked_) on_members_asked_();
  }
  confirmed_->Pass(IfAlive(weak_from_this(), [link, message](ResourceManager& self,
                                                             absl::Status status) {
    if (!status.ok()) return link->ReplyError(message, status);
    const SessionPtr session = self.FindSession(link.get(), message.heartbeat().registration_id());
    if (!session) return;  // it registered again in between; that answer counts
    pb::Envelope envelope;
    envelope.set_epoch(self.deps_.leader.epoch());
    pb::HeartbeatReply& reply = *envelope.mutable_heartbeat_reply();
    reply.set_epoch(self.deps_.leader.epoch());
    reply.set_registration_id(session->registration_id);
    *reply.mutable_members() = self.members_;
    link->Reply(message, std::move(envelope));
    session->last_answered = self.deps_.executor->Now();
    // Whatever was being decided about it knew of an older answer.
    self.loss_detector_->Forget(session->id);
  }));
}

void ResourceManager::OnReports(const RpcLinkPtr& link, const pb::TaskReports& reports) {
  const SessionPtr session = FindSession(link.get(), reports.registration_id());
  if (!session) return;  // they come again with the next registration
  for (const pb::AttemptStatus& status : reports.reports()) {
    auto id = FromProto(status.id());
    if (id.ok()) ApplyStatus(*session, *id, status);
  }
  ScheduleRound();
}

void ResourceManager::ApplyStatus(TaskManagerSession& session, const ExecutionAttemptId& id,
                                  const pb::AttemptStatus& status) {
  const bool ended = status.phase() == pb::AttemptStatus::ENDED;
  // An attempt that is not in the table was confirmed before (this report crossed the
  // confirmation), or is one that an earlier leader deployed.
  auto [it, added] = session.attempts.try_emplace(id);
  if (added) {
    ++session.active;
    home_[id] = session.id;
  }
  if (ended && !it->second.ended) {
    it->second.ended = true;
    --session.active;
  }
  if (ended && it->second.moving && status.report().outcome() == pb::FinalReport::CANCELED) {
    session.to_confirm.push_back(id);
    ScheduleFlush(session);
    return LoseAttempt(session, id, LossReason::kMoved, "moved, its TaskManager drains");
  }
  ReportedAttempt reported{session.id, id, status};
  if (auto source = sources_.find(id.job); source != sources_.end()) {
    source->second.source->OnAttemptStatus(reported);
  } else if (deps_.job_is_live(id.job)) {
    // Its JobMaster is not there yet (recovery, quarantine).
    early_[id.job].insert_or_assign(id, std::move(reported));
  } else if (ended) {
    ConfirmReport(id);
  } else {
    CancelAttempt(id);
  }
}

ResourceManager::SessionPtr ResourceManager::FindSession(const RpcLink* link,
                                                         const std::string& registration_id) const {
  auto it = by_link_.find(link);
  if (it == by_link_.end() || it->second->registration_id != registration_id) return nullptr;
  return it->second;
}

}  // namespace baton
