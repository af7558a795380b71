#include "ha/leader_announcer.h"

#include <utility>

namespace baton {

void LeaderAnnouncer::OnLinkOpened(const RpcLinkPtr& link) {
  if (link->peer().role() != pb::Hello::TASK_MANAGER) return;
  task_managers_[link->number()] = link;
  Announce(*link);
}

void LeaderAnnouncer::OnLinkClosed(const RpcLinkPtr& link) { task_managers_.erase(link->number()); }

void LeaderAnnouncer::OnView(const LeadershipView& view) {
  const auto key = [](const std::optional<pb::LeaderRecord>& record) {
    return record ? std::pair(record->epoch(), record->incarnation())
                  : std::pair(uint64_t{0}, std::string());
  };
  members_ = view.members;
  const bool changed = key(leader_) != key(view.leader);
  leader_ = view.leader;
  if (!changed) return;
  for (const auto& [number, link] : task_managers_) Announce(*link);
}

void LeaderAnnouncer::Announce(RpcLink& link) const {
  if (!leader_) return;  // it will hear the next one
  pb::Envelope envelope;
  *envelope.mutable_leader_announcement()->mutable_leader() = *leader_;
  *envelope.mutable_leader_announcement()->mutable_members() = members_;
  link.Send(std::move(envelope));
}

}  // namespace baton
