// Who TaskManagers are: registrations.

#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"
#include "fmt/format.h"
#include "rpc/attempt_id.h"

namespace baton {
namespace {

// Of incarnations that turn up and are gone again, beside one and another for each session.
constexpr size_t kMaxNumbersWithoutSession = 1'000;

std::pair<TaskManagerId, std::string> IncarnationOf(const pb::TaskManagerDescription& description) {
  return {TaskManagerId(description.id()), description.incarnation()};
}

}  // namespace

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

absl::Status ResourceManager::CheckDescription(const pb::RegisterTaskManager& request) const {
  if (request.description().id().empty()) {
    return InvalidArgument("a TaskManager must have an id");
  }
  if (request.highest_epoch_seen() > deps_.leader.epoch()) {
    return FailedPrecondition("deposed: epoch {} is known, this is {}",
                              request.highest_epoch_seen(), deps_.leader.epoch());
  }
  if (request.description().lease_ms() > ToMillis(deps_.lease.lease)) {
    return FailedPrecondition(
        "its lease of {} ms is longer than that of the dispatchers, {} ms: taskmanager.lease must "
        "be the same everywhere",
        request.description().lease_ms(), ToMillis(deps_.lease.lease));
  }
  return absl::OkStatus();
}

// Two TaskManagers with one id, of which the second must not make the first one's tasks count as
// dead. What the first is, this leader has heard from itself or reads in the roster (an entry that
// is unreadable names nobody: then its id has to do).
absl::Status ResourceManager::CheckNoOther(const pb::TaskManagerDescription& newcomer) const {
  const TaskManagerId id(newcomer.id());
  auto session = sessions_.find(id);
  auto awaited = awaited_.find(id);
  const pb::TaskManagerDescription* known = session != sessions_.end()
                                                ? &session->second->description
                                            : awaited != awaited_.end() ? &awaited->second
                                                                        : nullptr;
  if (known == nullptr || known->incarnation().empty() ||
      known->incarnation() == newcomer.incarnation()) {
    return absl::OkStatus();
  }
  const std::string where =
      fmt::format("{} (liveness port {})", known->host(), known->liveness_address());
  if (session != sessions_.end()) {
    const bool heard = deps_.executor->Now() - session->second->last_answered < kSilence;
    if (session->second->link && heard) {
      return FailedPrecondition(
          "another TaskManager runs as {} at {}: each needs a taskmanager.id of its own",
          id.value(), where);
    }
    if (session->second->attempts.empty()) return absl::OkStatus();
  }
  return FailedPrecondition(
      "tasks of another TaskManager that ran as {} at {} may still be alive: it has to wait until "
      "that one's guardian is found dead or its lease is over",
      id.value(), where);
}

// X may have two links to this process (by two of its addresses), and give up a registration that
// is stuck on one of them. When that arrives after a later one, its inventory lacks what was
// deployed since: taken for the present one, it would make a living attempt count as lost (P4).
// What X has given up it does not wait for, so a refusal costs nothing.
absl::Status ResourceManager::CheckNotOvertaken(const pb::RegisterTaskManager& request) const {
  if (request.number() == 0) return absl::OkStatus();  // an older version, which counts none
  auto highest = highest_numbers_.find(IncarnationOf(request.description()));
  if (highest == highest_numbers_.end() || request.number() >= highest->second ||
      Broken(Break::kOvertakenRegistrationsTaken)) {
    return absl::OkStatus();
  }
  return Aborted("registration {} comes after registration {}", request.number(), highest->second);
}

// From the arrival on, whatever becomes of it: X sent it last. A number outlives its session (the
// loss of X is no word about what is on its way), yet only where there is room: without a session
// there is no attempt that an early inventory could lack.
void ResourceManager::NoteNumber(const pb::RegisterTaskManager& request) {
  if (request.number() == 0) return;
  if (highest_numbers_.size() >= 2 * sessions_.size() + kMaxNumbersWithoutSession) {
    std::erase_if(highest_numbers_, [this](const auto& entry) {
      auto session = sessions_.find(entry.first.first);
      return session == sessions_.end() ||
             session->second->description.incarnation() != entry.first.second;
    });
  }
  highest_numbers_[IncarnationOf(request.description())] = request.number();
}

void ResourceManager::TurnAway(const RpcLinkPtr& link, const pb::Envelope& message,
                               const absl::Status& why) {
  const auto& newcomer = message.register_task_manager().description();
  std::string& last = turned_away_[TaskManagerId(newcomer.id())];
  if (std::exchange(last, newcomer.incarnation()) != newcomer.incarnation()) {
    log::Warning("TaskManager is turned away tm={} host={} why={}", newcomer.id(), newcomer.host(),
                 Message(why));
  }
  link->ReplyError(message, why);
}

// Answered only after a confirmation that began after the request had arrived: the answer starts a
// lease, and a deposed leader must start none (3.6 way 1).
void ResourceManager::OnRegister(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::RegisterTaskManager& request = message.register_task_manager();
  if (auto status = CheckDescription(request); !status.ok()) {
    return link->ReplyError(message, status);
  }
  // Also before it has been confirmed: it must not supersede a registration of the other one.
  if (auto status = CheckNoOther(request.description()); !status.ok()) {
    return TurnAway(link, message, status);
  }
  if (auto status = CheckNotOvertaken(request); !status.ok()) {
    return link->ReplyError(message, status);
  }
  NoteNumber(request);
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
        if (!link->closed()) self.AdmitRegistration(link, message);
      }));
}

// Not before the roster says who else may run under its id.
void ResourceManager::AdmitRegistration(const RpcLinkPtr& link, const pb::Envelope& message) {
  const auto& description = message.register_task_manager().description();
  const TaskManagerId id(description.id());
  if (!roster_loaded_) {
    auto [early, first] = early_registrations_.try_emplace(id);
    if (!first) {
      early->second.link->ReplyError(early->second.message,
                                     Aborted("a newer registration has come"));
    }
    early->second = {link, message};
    return;
  }
  // Its loss closes the link: that must not cost another one its own.
  if (auto there = by_link_.find(link.get()); there != by_link_.end() && there->second->id != id) {
    return link->ReplyError(
        message, InvalidArgument("this link is that of TaskManager {}", there->second->id.value()));
  }
  if (auto status = CheckNoOther(description); !status.ok()) return TurnAway(link, message, status);
  // Again: what was held back until the roster was read may have been overtaken meanwhile.
  if (auto status = CheckNotOvertaken(message.register_task_manager()); !status.ok()) {
    return link->ReplyError(message, status);
  }
  turned_away_.erase(id);
  AcceptRegistration(link, message);
}

ResourceManager::SessionPtr ResourceManager::FindOrMakeSession(const TaskManagerId& id) {
  SessionPtr& session = sessions_[id];
  if (session) return session;
  session = std::make_shared<TaskManagerSession>();
  session->id = id;
  session->empty_since = deps_.executor->Now();
  if (auto entry = awaited_.find(id); entry != awaited_.end()) {
    session->enlistment = TaskManagerSession::Enlistment::kEnlisted;
    session->enlisted = GuardianName::Of(entry->second);
  }
  return session;
}

void ResourceManager::AcceptRegistration(const RpcLinkPtr& link, const pb::Envelope& message) {
  const pb::RegisterTaskManager& request = message.register_task_manager();
  const TaskManagerId id(request.description().id());
  const SessionPtr session = FindOrMakeSession(id);
  if (session->link) {
    by_link_.erase(session->link.get());
    if (session->link != link) session->link->Close();
  }
  by_link_[link.get()] = session;
  session->description = request.description();
  session->link = link;
  session->registration_id = fmt::format("{:016x}", deps_.random->Next());
  session->members_version = 0;
  session->turns_away_until = {};
  session->last_answered = deps_.executor->Now();
  session->last_heartbeat = deps_.executor->WallNow();
  session->to_deploy.clear();
  session->to_cancel.clear();
  pb::DrainTaskManager drain;
  if (request.description().has_drain()) *drain.mutable_drain() = request.description().drain();
  NoteDrain(*session, drain);
  AnswerRegistration(*session, message);
  log::Info("TaskManager registered tm={} epoch={} slots={} attempts={}", id.value(),
            deps_.leader.epoch(), request.description().slots(), request.inventory_size());
  ReplaceInventory(*session, request);
  OnHeard(id);
  ScheduleRound();
}

void ResourceManager::AnswerRegistration(const TaskManagerSession& session,
                                         const pb::Envelope& message) {
  pb::Envelope envelope;
  envelope.set_epoch(deps_.leader.epoch());
  pb::RegistrationReply& reply = *envelope.mutable_registration_reply();
  reply.set_epoch(deps_.leader.epoch());
  reply.set_registration_id(session.registration_id);
  *reply.mutable_members() = members_;
  *reply.mutable_leader() = deps_.leader;
  session.link->Reply(message, std::move(envelope));
}

// Attempts that the new inventory lacks are not alive and never will be: their deployments belong
// to registrations that have ended. An earlier incarnation had none (CheckNoOther).
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

}  // namespace baton
