// What operators ask of TaskManagers: who is there, drain one, forget one.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"

namespace baton {
namespace {

constexpr std::chrono::hours kLongestDrain{24 * 365};
constexpr Duration kDrainTimeout = std::chrono::seconds(5);

pb::DrainTaskManager DrainMessage(const DrainRequest& request) {
  pb::DrainTaskManager message;
  if (request.action == DrainRequest::Action::kBegin) {
    message.mutable_drain()->set_remaining_ms(request.deadline ? ToMillis(*request.deadline) : -1);
  }
  return message;
}

}  // namespace

void ResourceManager::Drain(const DrainRequest& request, StatusCallback callback) {
  const TaskManagerId id(request.task_manager);
  auto it = sessions_.find(id);
  if (it == sessions_.end() && !awaited_.contains(id)) {
    return callback(NotFound("No TaskManager registered under {}.", id.value()));
  }
  if (it == sessions_.end() || !it->second->link) {
    return callback(Unavailable("TaskManager {} is not connected", id.value()));
  }
  TaskManagerSession& session = *it->second;
  pb::Envelope envelope;
  envelope.set_epoch(deps_.leader.epoch());
  pb::DrainTaskManager& message = *envelope.mutable_drain_task_manager();
  message = DrainMessage(request);
  message.set_registration_id(session.registration_id);
  // At once: what it is given from now on would have to be moved. Should it not hear of it, its
  // next registration says so.
  NoteDrain(session, message);
  session.link->Call(std::move(envelope), kDrainTimeout,
                     BindTo(deps_.executor, [id, callback = std::move(callback)](
                                                absl::StatusOr<pb::Envelope> reply) mutable {
                       if (reply.ok()) return callback(absl::OkStatus());
                       callback(Unavailable("TaskManager {} has not confirmed it; try again: {}",
                                            id.value(), Message(reply.status())));
                     }));
  MoveTasks(session);
  ScheduleRound();
}

void ResourceManager::NoteDrain(TaskManagerSession& session, const pb::DrainTaskManager& message) {
  const bool before = session.drain.has_value();
  session.drain.reset();
  if (message.has_drain()) {
    const int64_t longest = std::chrono::milliseconds(kLongestDrain).count();
    const int64_t remaining_ms = std::min(message.drain().remaining_ms(), longest);
    TaskManagerSession::Drain drain;
    if (remaining_ms >= 0) {
      drain.deadline = deps_.executor->Now() + std::chrono::milliseconds(remaining_ms);
      drain.wall_deadline = deps_.executor->WallNow() + remaining_ms;
    }
    session.drain = drain;
    log::Info("TaskManager drains tm={} attempts={} deadline_ms={}", session.id.value(),
              session.active, remaining_ms);
  } else if (before) {
    log::Info("TaskManager takes tasks again tm={}", session.id.value());
  }
}

// Past the deadline of a drain: what still runs is ended here; its end says that it may run
// elsewhere (P4), and costs it nothing (ApplyStatus).
void ResourceManager::MoveTasks(TaskManagerSession& session) {
  if (!session.drain || !session.drain->deadline ||
      deps_.executor->Now() < *session.drain->deadline) {
    return;
  }
  for (auto& [id, attempt] : session.attempts) {
    if (attempt.ended || attempt.cancel_requested) continue;
    log::Info("attempt is moved tm={} attempt={}", session.id.value(), id.ToString());
    attempt.moving = true;
    CancelAttempt(id);
  }
}

absl::Status ResourceManager::MayForget(const TaskManagerId& id) const {
  auto it = sessions_.find(id);
  if (it == sessions_.end()) {
    if (awaited_.contains(id)) return absl::OkStatus();
    return NotFound("No TaskManager registered under {}.", id.value());
  }
  const Duration unheard = deps_.executor->Now() - it->second->last_answered;
  if (it->second->link && unheard < kSilence) {
    return FailedPrecondition(
        "TaskManager {} is alive, it was heard {} ms ago; to take its tasks away, drain it",
        id.value(), ToMillis(unheard));
  }
  return absl::OkStatus();
}

void ResourceManager::ForgetTaskManager(const TaskManagerId& id, StatusCallback callback) {
  if (auto status = MayForget(id); !status.ok()) return callback(std::move(status));
  // As the LossDetector does: a deposed leader, whose successor may have answered it, loses nobody.
  confirmed_->Pass(IfAlive(weak_from_this(), [id, callback = std::move(callback)](
                                                 ResourceManager& self,
                                                 absl::Status status) mutable {
    if (status.ok()) status = self.MayForget(id);  // it may have come back meanwhile
    if (!status.ok()) return callback(std::move(status));
    log::Warning("TaskManager is forgotten: an operator says its host is dead tm={}", id.value());
    self.loss_detector_->Forget(id);
    self.OnLost(id, "an operator declared its host dead");
    callback(absl::OkStatus());
  }));
}

std::vector<TaskManagerInfo> ResourceManager::Describe() const {
  std::vector<TaskManagerInfo> infos;
  for (const auto& [id, session] : sessions_) {
    TaskManagerInfo info;
    info.id = id.value();
    info.link =
        session->link ? TaskManagerInfo::Link::kConnected : TaskManagerInfo::Link::kDisconnected;
    if (session->drain) info.drain = DrainInfo{session->drain->wall_deadline};
    info.host = session->description.host();
    info.rpc_address = session->link ? session->link->peer_address() : "";
    info.liveness_address = session->description.liveness_address();
    info.slots = session->description.slots();
    info.free_slots = session->free_slots();
    info.cpu_cores = session->description.cpu_cores();
    info.memory_bytes = session->description.memory_bytes();
    info.last_heartbeat = session->last_heartbeat;
    for (const auto& [attempt, state] : session->attempts) {
      if (!state.ended) info.allocated.push_back(attempt.job);
    }
    infos.push_back(std::move(info));
  }
  for (const auto& [id, entry] : awaited_) {
    TaskManagerInfo info;
    info.id = id.value();
    info.link = TaskManagerInfo::Link::kAwaited;
    infos.push_back(std::move(info));
  }
  return infos;
}

}  // namespace baton
