// The session of a replica's election, and its own node in the tree.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "ha/election.h"
#include "ha/replica_registration.h"

namespace baton {
namespace {

constexpr Duration kRegistrationRetry = std::chrono::milliseconds(200);
constexpr Duration kPollInterval = std::chrono::seconds(10);

}  // namespace

void Election::Start(LeaderContender* contender) {
  contender_ = contender;
  watch_ = std::make_shared<ClusterWatch>(
      client_, executor_, paths_,
      IfAlive(weak_from_this(), [](Election& election) { election.Wake(); }));
  client_->Start(IfAlive(weak_from_this(), std::mem_fn(&Election::OnSession)));
  ArmPoll();
}

void Election::OnSession(SessionEvent event) {
  if (stopped_) return;
  switch (event.state) {
    case SessionState::kConnecting:
      return OnDisconnected();
    case SessionState::kExpired:
      // Of an older session: it was dealt with when the newer one began.
      if (event.session_id == session_id_) OnSessionOver();
      return;
    case SessionState::kConnected:
      return OnConnected(event.session_id);
  }
}

void Election::OnConnected(int64_t session_id) {
  if (session_id != session_id_) {
    if (session_id_ != 0) OnSessionOver();
    session_id_ = session_id;
  }
  log::Info("connected to the coordination service replica={} session_id={:#x}", self_.replica_id(),
            session_id);
  connected_ = true;
  // Everything is read again before anything is decided: what happened meanwhile is unknown.
  registered_ ? watch_->Refresh() : Register();
  PublishView();
}

void Election::OnDisconnected() {
  if (connected_) {
    log::Warning("connection to the coordination service lost replica={} session_id={:#x}",
                 self_.replica_id(), session_id_);
  }
  connected_ = false;
  watch_->Suspend();
  if (leading_ && !leading_->paused) {
    leading_->paused = true;
    leading_->fence->Pause();
    log::Warning("leader paused epoch={}", leading_->epoch().value);
  }
  PublishView();
}

void Election::OnSessionOver() {
  log::Warning("session is over replica={} session_id={:#x}", self_.replica_id(), session_id_);
  OnDisconnected();
  session_id_ = 0;
  registered_ = false;
  ++registration_;
  nothing_stored_ = false;
  busy_ = false;  // what was under way belonged to the session
  if (leading_) Revoke(Aborted("the session with the coordination service is over"));
  FinishHandOver(absl::OkStatus());  // its `leader` node went with the session
}

void Election::Register() {
  RegisterReplica(client_, paths_, self_, session_id_,
                  IfAlive(weak_from_this(), [registration = ++registration_](
                                                Election& election, const absl::Status& status) {
                    election.OnRegistered(registration, status);
                  }));
}

void Election::OnRegistered(uint64_t registration, const absl::Status& status) {
  if (registration != registration_ || stopped_) return;
  if (status.ok()) {
    if (!std::exchange(registered_, true)) watch_->BeginSession();
    return;
  }
  if (!connected_) return;  // begins again with the connection
  log::Warning("cannot register replica={}: {}", self_.replica_id(), Describe(status));
  executor_->PostAfter(kRegistrationRetry, IfAlive(weak_from_this(), [registration](Election& e) {
                         const bool current = registration == e.registration_ && e.connected_;
                         if (current && !e.registered_ && !e.stopped_) e.Register();
                       }));
}

// Watches are the way by which news comes; this one is for the day when one is lost.
void Election::ArmPoll() {
  executor_->PostAfter(kPollInterval, IfAlive(weak_from_this(), [](Election& election) {
                         if (election.stopped_) return;
                         if (election.connected_ && election.registered_) {
                           election.CheckOwnRegistration();
                           election.watch_->Refresh();
                         }
                         election.ArmPoll();
                       }));
}

void Election::CheckOwnRegistration() {
  if (!watch_->fresh()) return;
  const auto& replicas = watch_->state().replicas;
  const auto own = std::find_if(replicas.begin(), replicas.end(), [this](const auto& replica) {
    return replica.replica_id() == self_.replica_id();
  });
  if (own == replicas.end()) {
    log::Warning("own node is gone, making it again path={}",
                 paths_.replica(ReplicaId(self_.replica_id())));
    return Register();
  }
  if (own->incarnation() != self_.incarnation()) {
    log::Error("another process runs as replica {} (rpc {}): every replica needs an id of its own",
               self_.replica_id(), own->rpc_address());
  }
}

}  // namespace baton
