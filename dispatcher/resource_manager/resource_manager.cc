// Jobs and losses.

#include "dispatcher/resource_manager/resource_manager.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "fmt/format.h"

namespace baton {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);

LossDetector::Suspect SuspectOf(const TaskManagerSession& session) {
  return {session.description.liveness_address(), session.description.guardian_incarnation(),
          session.last_answered, LeaseOf(session.description)};
}

}  // namespace

ResourceManager::ResourceManager(Dependencies dependencies)
    : deps_(std::move(dependencies)),
      confirmed_(std::make_shared<ConfirmationGate>(deps_.fence, deps_.executor)),
      roster_(std::make_shared<Roster>(deps_.fence, deps_.executor)),
      loss_detector_(std::make_shared<LossDetector>(
          LossDetector::Dependencies{deps_.executor, deps_.transport, deps_.fence,
                                     deps_.last_lease_answer, deps_.leading_since, deps_.lease},
          [this](const TaskManagerId& id, const std::string& why) { OnLost(id, why); })) {}

ResourceManager::~ResourceManager() = default;

void ResourceManager::OnLost(const TaskManagerId& id, const std::string& why) {
  if (auto it = sessions_.find(id); it != sessions_.end()) {
    const SessionPtr session = it->second;
    if (session->link) {
      by_link_.erase(session->link.get());
      session->link->Close();
    }
    std::vector<ExecutionAttemptId> attempts;
    for (const auto& [attempt, state] : session->attempts) attempts.push_back(attempt);
    for (const auto& attempt : attempts) {
      LoseAttempt(*session, attempt, LossReason::kTaskManagerLost,
                  fmt::format("TaskManager {} is lost: {}", id.value(), why));
    }
    sessions_.erase(id);
  }
  // Nothing of it is alive: no later leader has to wait for it.
  roster_->Delist(id, [id](absl::Status status) {
    if (!status.ok()) {
      log::Warning("a lost TaskManager stays on the roster tm={} error={}", id.value(),
                   Message(status));
    }
  });
  awaited_.erase(id);
  turned_away_.erase(id);  // only who is known has a namesake: no more entries than those
  NotifyIfSettled();
  if (on_members_asked_) on_members_asked_();
  ScheduleRound();
}

void ResourceManager::OnLinkClosed(const RpcLink* link) {
  auto entry = by_link_.extract(link);
  if (entry.empty()) return;
  TaskManagerSession& session = *entry.mapped();
  session.link = nullptr;
  log::Info("TaskManager disconnected tm={} attempts={}", session.id.value(),
            session.attempts.size());
  if (Broken(Break::kClosedLinkIsLoss)) return OnLost(TaskManagerId(session.id), "its link closed");
  loss_detector_->Watch(session.id, SuspectOf(session));
}

void ResourceManager::SetMembers(const pb::MemberList& members) { members_ = members; }

bool ResourceManager::AllAsk(uint64_t members_version) const {
  // One that is on its way back may ask an older list until it has registered again.
  return roster_settled() && std::ranges::all_of(sessions_, [&](const auto& entry) {
           const TaskManagerSession& session = *entry.second;
           return session.link && session.members_version >= members_version;
         });
}

void ResourceManager::OnJobsListed() {
  auto early = std::exchange(early_, {});
  for (auto& [job, attempts] : early) {
    if (deps_.job_is_live(job)) {
      early_[job] = std::move(attempts);
      continue;
    }
    DropAttempts(attempts);
  }
}

// Of a job that is over.
void ResourceManager::DropAttempts(const EarlyAttempts& attempts) {
  for (const auto& [id, attempt] : attempts) {
    if (attempt.status.phase() == pb::AttemptStatus::ENDED) {
      ConfirmReport(id);
    } else {
      CancelAttempt(id);
    }
  }
}

void ResourceManager::AddSource(TaskSource* source, WaitingOrder order, Origin origin) {
  const JobId job = source->job_id();
  sources_[job] = {source, order, origin};
  auto early = early_.extract(job);
  if (early.empty()) return;
  for (const auto& [id, attempt] : early.mapped()) {
    if (home_.contains(id)) source->OnAttemptStatus(attempt);
  }
}

void ResourceManager::RemoveSource(const JobId& job) {
  auto early = early_.extract(job);
  if (!early.empty()) DropAttempts(early.mapped());
  auto it = sources_.find(job);
  if (it == sources_.end()) return;
  demand_.erase(it->second.order);
  sources_.erase(it);
}

void ResourceManager::OnDemandChanged(const JobId& job) {
  auto it = sources_.find(job);
  if (it == sources_.end()) return;
  if (it->second.source->ready_count() > 0) {
    demand_.insert(it->second.order);
    ScheduleRound();
  } else {
    demand_.erase(it->second.order);
  }
}

void ResourceManager::CancelAttempt(const ExecutionAttemptId& id) {
  auto home = home_.find(id);
  if (home == home_.end()) return;
  TaskManagerSession& session = *sessions_.at(home->second);
  auto& attempt = session.attempts.at(id);
  if (attempt.ended || std::exchange(attempt.cancel_requested, true)) return;
  session.to_cancel.insert(id);
  ScheduleFlush(session);
}

void ResourceManager::ConfirmReport(const ExecutionAttemptId& id) {
  auto home = home_.find(id);
  if (home == home_.end()) return;
  TaskManagerSession& session = *sessions_.at(home->second);
  session.to_confirm.push_back(id);
  ScheduleFlush(session);
  RemoveAttempt(session, id);
}

void ResourceManager::LoseAttempt(TaskManagerSession& session, const ExecutionAttemptId& id,
                                  LossReason reason, const std::string& why) {
  if (!session.attempts.contains(id)) return;
  if (Broken(Break::kSlotsLeak)) ++session.active;
  RemoveAttempt(session, id);
  if (auto it = sources_.find(id.job); it != sources_.end()) {
    it->second.source->OnAttemptLost(id, reason, why);
  }
  ScheduleRound();
}

void ResourceManager::RemoveAttempt(TaskManagerSession& session, const ExecutionAttemptId& id) {
  auto it = session.attempts.find(id);
  if (it == session.attempts.end()) return;
  if (!it->second.ended) --session.active;
  session.attempts.erase(it);
  home_.erase(id);
  if (session.attempts.empty()) session.empty_since = deps_.executor->Now();
}

void ResourceManager::CheckHeartbeats() {
  const TimePoint now = deps_.executor->Now();
  for (auto& [id, session] : sessions_) {
    if (now - session->last_answered < kSilence) {
      if (session->link) loss_detector_->Forget(id);
      continue;
    }
    loss_detector_->Watch(id, SuspectOf(*session));
  }
}

void ResourceManager::Tick() {
  CheckHeartbeats();
  DelistEmptyOnes();
  for (auto& [id, session] : sessions_) {
    MoveTasks(*session);
    if (session->has_orders()) ScheduleFlush(*session);  // held back while it was paused
  }
  ScheduleRound();
  deps_.executor->PostAfter(kTick,
                            IfAlive(weak_from_this(), [](ResourceManager& self) { self.Tick(); }));
}

}  // namespace baton
