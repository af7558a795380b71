// Who is on the roster: the TaskManagers that a new leader waits for.

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "dispatcher/resource_manager/resource_manager.h"

namespace baton {
namespace {

constexpr Duration kRosterRetry = std::chrono::milliseconds(200);
constexpr Duration kEnlistRetry = std::chrono::seconds(1);
// An empty TaskManager stays on the roster for a while: the next task would write it again.
constexpr Duration kEmptyBeforeDelisting = std::chrono::seconds(30);

}  // namespace

void ResourceManager::Start() {
  roster_->Load(IfAlive(weak_from_this(), [](ResourceManager& self, auto entries) {
    self.OnRosterLoaded(std::move(entries));
  }));
  if (!std::exchange(started_, true)) Tick();
}

void ResourceManager::OnRosterLoaded(
    absl::StatusOr<std::vector<pb::TaskManagerDescription>> entries) {
  if (!entries.ok()) {
    log::Warning("the roster cannot be read yet error={}", Message(entries.status()));
    deps_.executor->PostAfter(
        kRosterRetry, IfAlive(weak_from_this(), [](ResourceManager& self) { self.Start(); }));
    return;
  }
  roster_loaded_ = true;
  for (auto& entry : *entries) {
    const TaskManagerId id(entry.id());
    awaited_.emplace(id, std::move(entry));
  }
  log::Info("roster read epoch={} waiting_for={}", deps_.leader.epoch(), awaited_.size());
  for (auto& [id, early] : std::exchange(early_registrations_, {})) {
    if (!early.link->closed()) AdmitRegistration(early.link, early.message);
  }
  for (const auto& [id, entry] : awaited_) {
    loss_detector_->Watch(
        id, {entry.liveness_address(), entry.guardian_incarnation(), {}, LeaseOf(entry)});
  }
  NotifyIfSettled();
}

void ResourceManager::OnHeard(const TaskManagerId& id) {
  loss_detector_->Forget(id);
  awaited_.erase(id);
  NotifyIfSettled();
}

void ResourceManager::NotifyIfSettled() {
  if (!roster_settled() || std::exchange(settled_notified_, true)) return;
  log::Info("roster settled epoch={}", deps_.leader.epoch());
  // A source may remove itself while it is told.
  std::vector<JobId> jobs;
  for (const auto& [job, source] : sources_) jobs.push_back(job);
  std::sort(jobs.begin(), jobs.end());
  for (const JobId& job : jobs) {
    if (auto it = sources_.find(job); it != sources_.end()) it->second.source->OnRosterSettled();
  }
  if (on_members_asked_) on_members_asked_();
  ScheduleRound();
}

void ResourceManager::Enlist(const SessionPtr& session) {
  using Enlistment = TaskManagerSession::Enlistment;
  if (deps_.executor->Now() < session->enlist_not_before) return;
  const bool had_entry = session->enlistment == Enlistment::kEnlisted;
  session->enlistment = Enlistment::kEnlisting;
  roster_->Enlist(session->description,
                  IfAlive(weak_from_this(), [session, had_entry,
                                             named = GuardianName::Of(session->description)](
                                                ResourceManager& self, absl::Status status) {
                    session->empty_since = self.deps_.executor->Now();
                    if (status.ok()) {
                      // Of the guardian that ran its tasks then: another one may have registered
                      // meanwhile, and is written before it gets any.
                      session->enlistment = Enlistment::kEnlisted;
                      session->enlisted = named;
                      return self.ScheduleRound();
                    }
                    log::Warning("a TaskManager cannot be put on the roster yet tm={} error={}",
                                 session->id.value(), Message(status));
                    const bool may_stand = had_entry || absl::IsUnknown(status);
                    session->enlistment = may_stand ? Enlistment::kEnlisted : Enlistment::kAbsent;
                    session->enlisted.reset();
                    // A transaction that fails takes those of other jobs in its group along: not at
                    // every turn.
                    session->enlist_not_before = self.deps_.executor->Now() + kEnlistRetry;
                  }));
}

void ResourceManager::DelistEmptyOnes() {
  using Enlistment = TaskManagerSession::Enlistment;
  const TimePoint now = deps_.executor->Now();
  for (auto& [id, session] : sessions_) {
    const bool busy = !session->attempts.empty() && !Broken(Break::kBusyWorkersDelisted);
    if (session->enlistment != Enlistment::kEnlisted || busy ||
        now - session->empty_since < kEmptyBeforeDelisting) {
      continue;
    }
    // Nothing is deployed to it until the outcome is known.
    session->enlistment = Enlistment::kDelisting;
    roster_->Delist(
        id,
        IfAlive(weak_from_this(), [session = session](ResourceManager& self, absl::Status status) {
          // Of unknown outcome, its entry may be gone: then nothing is deployed to it before it is
          // written again, or the next leader would not wait for it (P4).
          const bool unchanged = absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
          session->enlistment = unchanged ? Enlistment::kEnlisted : Enlistment::kAbsent;
          self.ScheduleRound();
        }));
  }
}

}  // namespace baton
