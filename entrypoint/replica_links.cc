// Replica: whom it answers over RPC, and its links to the other replicas.

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/fault_point.h"
#include "base/log.h"
#include "base/status.h"
#include "entrypoint/replica.h"

namespace baton {

void Replica::StartServer() {
  store_->Serve(*server_);
  ServePings(*server_, [weak = weak_from_this()] {
    auto self = weak.lock();
    return self ? self->AnswerPing() : pb::Pong();
  });
  server_->Handle(pb::Envelope::kLeaderHeardQuery,
                  [weak = weak_from_this()](const RpcLinkPtr& link, const pb::Envelope& message) {
                    auto self = weak.lock();
                    if (!self) return;
                    pb::Envelope reply;
                    *reply.mutable_leader_heard_reply() =
                        self->silence_watch_->Answer(message.leader_heard_query());
                    link->Reply(message, std::move(reply));
                  });
  ServeTaskManagers();
  server_->Observe({.on_opened =
                        [weak = weak_from_this()](const RpcLinkPtr& link) {
                          if (auto self = weak.lock()) self->announcer_.OnLinkOpened(link);
                        },
                    .on_closed =
                        [weak = weak_from_this()](const RpcLinkPtr& link, const absl::Status&) {
                          auto self = weak.lock();
                          if (!self) return;
                          self->announcer_.OnLinkClosed(link);
                          if (self->process_) self->process_->OnLinkClosed(link);
                        }});
}

pb::Pong Replica::AnswerPing() const {
  if (process_) FaultPoint("leader.pinged");
  const LeadershipView view = View();
  pb::Pong pong;
  pong.set_epoch(view.last_winner.epoch());
  pong.set_leads(view.self_leads);
  pong.set_stuck(pulse_ && pulse_->IsStuck());
  pong.set_store_fails(store_->fails());
  return pong;
}

void Replica::ServeTaskManagers() {
  auto weak = weak_from_this();
  for (const auto kind :
       {pb::Envelope::kRegisterTaskManager, pb::Envelope::kHeartbeat, pb::Envelope::kTaskReports}) {
    server_->Handle(kind, [weak](const RpcLinkPtr& link, pb::Envelope message) {
      if (auto self = weak.lock()) self->PassToLeaderProcess(link, std::move(message));
    });
  }
  // On the election's own executor: linearised with grant, pause and resume (3.6 way 2).
  server_->Handle(pb::Envelope::kLeaseQuery, [weak](const RpcLinkPtr& link, pb::Envelope message) {
    auto self = weak.lock();
    if (!self) return;
    self->election_->ObserveEpoch(Epoch{message.lease_query().epoch()});
    pb::Envelope reply;
    *reply.mutable_lease_query_reply() =
        self->election_->AnswerLeaseQuery(TaskManagerId(message.lease_query().task_manager_id()));
    link->Reply(message, std::move(reply));
  });
}

void Replica::PassToLeaderProcess(const RpcLinkPtr& link, pb::Envelope message) {
  if (message.has_register_task_manager()) {
    election_->ObserveEpoch(Epoch{message.register_task_manager().highest_epoch_seen()});
  }
  if (process_) return process_->OnTaskManagerMessage(link, std::move(message));
  if (message.correlation_id() != 0) {
    link->ReplyError(message, Unavailable("replica {} does not lead", settings_.id.value()));
  }
}

void Replica::StartPeers() {
  const auto weak = weak_from_this();
  peers_->Start(
      {.on_dead = IfAlive(weak, [](Replica& self, const ReplicaId& id,
                                   const Incarnation& dead) { self.OnPeerDead(id, dead); }),
       .on_link_up = IfAlive(weak,
                             [](Replica& self, const ReplicaId& id) {
                               self.NoteReach(id, Reach::kReachable);
                               self.store_->OnPeer();
                             }),
       .on_link_down = IfAlive(
           weak,
           [](Replica& self, const ReplicaId& id) { self.NoteReach(id, Reach::kUnreachable); }),
       .on_pong = IfAlive(weak, [](Replica& self, const ReplicaId& id,
                                   const Incarnation& incarnation, const pb::Pong& pong) {
         self.silence_watch_->OnPong(incarnation, pong);
         self.peer_store_fails_[id] = pong.store_fails();
         self.election_->ObserveEpoch(Epoch{pong.epoch()});
       })});
  silence_watch_ = std::make_shared<SilenceWatch>(
      SilenceWatch::Dependencies{deps_.ha_executor, peers_, settings_.id,
                                 IfAlive(weak, [](Replica& self, const LeaderIdentity& leader) {
                                   self.election_->ReportSilence(leader);
                                 })});
  silence_watch_->Start();
}

void Replica::OnPeerDead(const ReplicaId& id, const Incarnation& dead) {
  log::Info("replica is dead replica={} incarnation={}", id.value(), dead.value());
  NoteReach(id, Reach::kUnreachable);
  election_->ReportDeath(dead);
}

void Replica::NoteReach(const ReplicaId& id, Reach reach) {
  std::lock_guard lock(mutex_);
  if (reach == Reach::kReachable) {
    unreachable_.erase(id.value());
  } else {
    unreachable_.insert(id.value());
  }
}

std::set<std::string> Replica::Unreachable() const {
  std::lock_guard lock(mutex_);
  return unreachable_;
}

void Replica::SetPeers(const LeadershipView& view) {
  // Members may be away for a while; replicas that are no members yet hold copies already.
  std::map<std::string, PeerAddress> peers;
  for (const auto& member : view.members.members()) {
    peers[member.replica_id()] = {ReplicaId(member.replica_id()), member.rpc_address(), {}};
  }
  for (const auto& replica : view.replicas) {
    peers[replica.replica_id()] = {ReplicaId(replica.replica_id()), replica.rpc_address(),
                                   Incarnation(replica.incarnation())};
  }
  peers.erase(settings_.id.value());
  std::vector<PeerAddress> addresses;
  std::set<std::string> wanted;
  for (auto& [id, peer] : peers) {
    wanted.insert(id);
    addresses.push_back(std::move(peer));
  }
  peers_->SetPeers(std::move(addresses));
  std::lock_guard lock(mutex_);
  std::erase_if(unreachable_, [&](const std::string& id) { return !wanted.contains(id); });
}

}  // namespace baton
