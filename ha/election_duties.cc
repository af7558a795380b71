// What a leader owes as such, and how it leaves in good order.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "ha/election.h"

namespace baton {
namespace {

constexpr Duration kLeaderTick = std::chrono::milliseconds(250);
constexpr Duration kConfirmInterval = std::chrono::seconds(1);
// After a hand-over, so that another wins.
constexpr Duration kStandBack = std::chrono::seconds(1);
// A leader that is told to stop does so even when its commits do not drain (T7).
constexpr Duration kStopLimit = std::chrono::seconds(5);

}  // namespace

void Election::ArmLeaderTick() {
  const Epoch epoch = leading_->epoch();
  executor_->PostAfter(kLeaderTick, IfAlive(weak_from_this(), [epoch](Election& election) {
                         const auto& leading = election.leading_;
                         if (leading && leading->epoch() == epoch) election.OnLeaderTick();
                       }));
}

void Election::OnLeaderTick() {
  if (!leading_->paused && executor_->Now() >= leading_->next_confirmation) ConfirmLeadership();
  PublishView();  // the last confirmation has aged
  ArmLeaderTick();
}

void Election::ConfirmLeadership() {
  Leading& leading = *leading_;
  if (std::exchange(leading.confirming, true)) return;
  leading.next_confirmation = executor_->Now() + kConfirmInterval;
  leading.fence->Confirm(
      IfAlive(weak_from_this(), [epoch = leading.epoch()](Election& election, const absl::Status&) {
        if (!election.leading_ || election.leading_->epoch() != epoch) return;
        election.leading_->confirming = false;
        election.PublishView();
      }));
}

void Election::HandOver(absl::AnyInvocable<void(absl::Status)> callback) {
  absl::Status refusal;
  if (!leading_ || leading_->paused) {
    refusal = FailedPrecondition("this replica does not lead");
  } else if (leading_->handing_over || on_handed_over_) {
    refusal = FailedPrecondition("a hand-over is under way");
  } else if (!HasSuccessor(watch_->state(), records_, self_)) {
    refusal = FailedPrecondition("no other member is alive to take over");
  }
  if (!refusal.ok()) {
    return executor_->Post(
        [callback = std::move(callback), refusal]() mutable { callback(std::move(refusal)); });
  }
  on_handed_over_ = std::move(callback);
  BeginHandOver();
}

void Election::BeginHandOver() {
  log::Info("handing over epoch={}", leading_->epoch().value);
  leading_->handing_over = true;
  PublishView();
  leading_->fence->Drain(IfAlive(weak_from_this(), [epoch = leading_->epoch()](Election& election) {
    if (!election.leading_ || election.leading_->epoch() != epoch) return;
    election.Revoke(absl::OkStatus());
    election.StandBackFor(kStandBack);
    election.Resign();
  }));
}

// Deletes the own `leader` node. Whatever the answer, the tree tells what came of it: while the
// node is there, Act calls again.
void Election::Resign() {
  const ClusterState& state = watch_->state();
  if (busy_ || !OwnsLeaderNode()) return;
  if (!state.epoch) {
    // Nothing guards the deletion, and nobody can win without `epoch`.
    return SetHindrance(DataLoss("`epoch` is missing"));
  }
  busy_ = true;
  client_->Multi(MakeResignation(state, records_, self_.incarnation(), paths_),
                 IfAlive(weak_from_this(),
                         [session_id = session_id_](Election& election, const MultiResult& result) {
                           if (session_id == election.session_id_) election.OnResigned(result);
                         }));
}

void Election::OnResigned(const MultiResult& result) {
  busy_ = false;
  if (stopped_) return;
  if (connected_) watch_->Refresh();
  if (result.status.ok()) return FinishHandOver(absl::OkStatus());
  log::Warning("giving up `leader` failed replica={}: {}", self_.replica_id(),
               Describe(result.status));
}

void Election::FinishHandOver(const absl::Status& status) {
  if (auto callback = std::exchange(on_handed_over_, nullptr)) callback(status);
  if (stopping_ && !leading_) CloseNow();
}

void Election::Stop(absl::AnyInvocable<void()> callback) {
  if (stopped_) return executor_->Post(std::move(callback));
  on_stopped_.push_back(std::move(callback));
  if (std::exchange(stopping_, true)) return;
  const bool drains = leading_ && !leading_->paused;
  if (!drains && !on_handed_over_) return CloseNow();
  if (drains && !leading_->handing_over) BeginHandOver();
  executor_->PostAfter(kStopLimit,
                       IfAlive(weak_from_this(), [](Election& election) { election.CloseNow(); }));
}

void Election::CloseNow() {
  if (stopped_) return;
  stopped_ = true;
  if (leading_) Revoke(Aborted("the replica stops"));
  FinishHandOver(absl::OkStatus());
  connected_ = false;
  if (watch_) watch_->Suspend();
  client_->Close();  // its ephemerals go at once
  PublishView();
  for (auto& callback : std::exchange(on_stopped_, {})) executor_->Post(std::move(callback));
}

pb::LeaseQueryReply Election::AnswerLeaseQuery(const TaskManagerId& task_manager) {
  pb::LeaseQueryReply reply;
  // An answer that could not be remembered must not renew a lease; "I lead" renews none.
  reply.set_leads((leading_ && !leading_->paused) ||
                  !lease_answers_.Remember(task_manager, executor_->Now()));
  reply.set_highest_epoch_seen(highest_epoch_seen_.value);
  return reply;
}

std::optional<TimePoint> Election::LastLeaseAnswer(const TaskManagerId& task_manager) const {
  return lease_answers_.Last(task_manager);
}

}  // namespace baton
