// What registered TaskManagers say: heartbeats and reports.

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "rpc/attempt_id.h"

namespace baton {

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
  // What has ended runs no more. Its JobMaster would take it for a stray that is to be cancelled
  // and awaited; nobody cancels what has ended, so the job would never come to its end (P1).
  if (!ended && it->second.ended) {
    return log::Warning(
        "a TaskManager says of an attempt that has ended that it runs tm={} attempt={}",
        session.id.value(), id.ToString());
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
  ReportedAttempt reported{session.id, id, status, session.description.host()};
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
