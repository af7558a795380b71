#include "ha/view_board.h"

#include <algorithm>
#include <utility>

namespace baton {
namespace {

template <class Record>
bool Same(const Record& a, const Record& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

bool Same(const LeadershipView& a, const LeadershipView& b) {
  return a.connected == b.connected && a.self_leads == b.self_leads &&
         a.leader.has_value() == b.leader.has_value() &&
         (!a.leader || Same(*a.leader, *b.leader)) && Same(a.last_winner, b.last_winner) &&
         Same(a.members, b.members) &&
         std::equal(a.replicas.begin(), a.replicas.end(), b.replicas.begin(), b.replicas.end(),
                    Same<pb::ReplicaRecord>);
}

}  // namespace

void ViewBoard::AddListener(LeaderElection::ViewListener listener) {
  // By value: the listener may publish or add another one.
  const LeadershipView present = view_;
  listeners_.push_back(listener);
  listener(present);
}

void ViewBoard::Publish(LeadershipView view, LeaderFencePtr fence) {
  view.self_leads = IsConfirmed(fence);
  {
    std::lock_guard lock(mutex_);
    fence_ = std::move(fence);
    view_ = std::move(view);
  }
  // A listener may cause the next view: it is told when all have heard this one.
  if (std::exchange(telling_, true)) return;
  while (!Same(view_, told_)) {
    told_ = view_;
    const LeadershipView present = told_;
    const auto listeners = listeners_;
    for (const auto& listener : listeners) listener(present);
  }
  telling_ = false;
}

LeadershipView ViewBoard::Snapshot() const {
  std::lock_guard lock(mutex_);
  LeadershipView view = view_;
  view.self_leads = view.self_leads && IsConfirmed(fence_);
  return view;
}

bool ViewBoard::IsConfirmed(const LeaderFencePtr& fence) const {
  return fence != nullptr && executor_->Now() - fence->last_confirmation() <= kConfirmationLife;
}

}  // namespace baton
