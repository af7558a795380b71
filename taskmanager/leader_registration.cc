#include "taskmanager/leader_registration.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"

namespace baton {
namespace {

bool Contains(const pb::MemberList& members, const std::string& replica_id) {
  return std::any_of(members.members().begin(), members.members().end(),
                     [&](const pb::Member& member) { return member.replica_id() == replica_id; });
}

}  // namespace

LeaderRegistration::LeaderRegistration(Dependencies dependencies,
                                       std::shared_ptr<LeaseKeeper> lease, Hooks hooks)
    : dependencies_(std::move(dependencies)), lease_(std::move(lease)), hooks_(std::move(hooks)) {}

void LeaderRegistration::Start() { Tick(); }

void LeaderRegistration::OnAnnouncement(const pb::LeaderAnnouncement& announcement) {
  const pb::LeaderRecord& leader = announcement.leader();
  if (leader.epoch() == 0 || leader.epoch() < epoch_.value) return;
  if (leader.epoch() < announced_.epoch()) return;
  announced_ = leader;
  hooks_.on_addresses();
  Advance();
}

void LeaderRegistration::OnLinkOpened() { Advance(); }

void LeaderRegistration::OnLinkClosed(const RpcLinkPtr& link) {
  if (link_ != link) return;
  link_ = nullptr;
  Advance();
}

void LeaderRegistration::OnMessage(const RpcLinkPtr& link) {
  if (link == link_) last_heard_ = dependencies_.executor->Now();
}

void LeaderRegistration::OnLeaseLapsed() {
  End("its lease is over");
  AdvanceLater(Duration::zero());
}

void LeaderRegistration::RegisterAgain() {
  register_again_ = true;
  // At once, also if the leader cannot be told yet: it must not give tasks to what is no more.
  End("what it described has changed");
  Advance();
}

absl::Status LeaderRegistration::Check(const RpcLinkPtr& link, const std::string& registration_id) {
  if (!lease_->IsRunning()) return FailedPrecondition("no lease is running");
  if (Broken(Break::kEndedRegistrationsObeyed)) return absl::OkStatus();
  if (registration_id_.empty() || registration_id != registration_id_) {
    return FailedPrecondition("registration {} has ended", registration_id);
  }
  if (link != link_) return FailedPrecondition("the registration belongs to another link");
  return absl::OkStatus();
}

bool LeaderRegistration::WantsToRegister() const {
  if (announced_.epoch() == 0 || announced_.epoch() < epoch_.value) return false;
  if (registering_ && registering_for_.value >= announced_.epoch()) return false;
  return registration_id_.empty() || link_ == nullptr || announced_.epoch() > epoch_.value ||
         register_again_;
}

void LeaderRegistration::Advance() {
  if (!WantsToRegister() || advance_timer_ != kNoTimer) return;
  const RpcLinkPtr link = dependencies_.links->FindLeader(announced_);
  if (link) SendRegistration(link);
}

void LeaderRegistration::SendRegistration(const RpcLinkPtr& link) {
  registering_ = true;
  registering_for_ = Epoch{announced_.epoch()};
  register_again_ = false;
  // Before the inventory is taken: a deployment that crosses it must not be obeyed, because the
  // leader will take what the inventory lacks for dead (P4).
  End("it registers again");
  pb::Envelope request;
  request.set_epoch(epoch_.value);
  *request.mutable_register_task_manager() = hooks_.make_request();
  request.mutable_register_task_manager()->set_highest_epoch_seen(epoch_.value);
  request.mutable_register_task_manager()->set_members_version(members_.version());
  // Two links may lead to one leader (its address is known by two names), and a call that was given
  // up may be on its way yet: an earlier inventory must not be taken for the present one (P4).
  const uint64_t call = ++register_calls_;
  request.mutable_register_task_manager()->set_number(call);
  // The lease is counted from now when it is answered: late, that would leave too little of a short
  // one to renew it in, and its tasks would end for nothing (P5).
  const Duration timeout = std::min(kCallTimeout, lease_->lease() / 2);
  link->Call(
      std::move(request), timeout,
      IfAlive(weak_from_this(), [call, link, sent = dependencies_.executor->Now()](
                                    LeaderRegistration& self, absl::StatusOr<pb::Envelope> reply) {
        if (call != self.register_calls_) return;
        self.OnRegistrationReply(link, sent, std::move(reply));
      }));
}

void LeaderRegistration::OnRegistrationReply(const RpcLinkPtr& link, TimePoint sent,
                                             absl::StatusOr<pb::Envelope> reply) {
  registering_ = false;
  absl::Status status = reply.status();
  if (reply.ok()) {
    status = reply->has_registration_reply() ? Adopt(link, sent, reply->registration_reply())
                                             : Internal("the answer is no RegistrationReply");
  }
  if (status.ok()) last_failure_.clear();
  if (status.ok() && register_again_) {
    End("what it described has changed meanwhile");
    return AdvanceLater(Duration::zero());
  }
  if (status.ok()) {
    log::Info("registered epoch={} leader={} registration_id={} members={}", epoch_.value,
              announced_.replica_id(), registration_id_, members_.members_size());
    hooks_.on_registered();
    // A newer leader may have been announced meanwhile, and may answer in its old name yet.
    if (WantsToRegister()) AdvanceLater(kRetryDelay);
    return;
  }
  // Tried again for as long as it takes, said once.
  if (std::exchange(last_failure_, Message(status)) != Message(status)) {
    log::Warning("registration failed epoch={} leader={}: {}", registering_for_.value,
                 announced_.replica_id(), Message(status));
  }
  AdvanceLater(kRetryDelay);
}

absl::Status LeaderRegistration::Adopt(const RpcLinkPtr& link, TimePoint sent,
                                       const pb::RegistrationReply& reply) {
  if (reply.epoch() < epoch_.value) {
    return FailedPrecondition("it leads epoch {} and {} was seen", reply.epoch(), epoch_.value);
  }
  if (reply.registration_id().empty()) return FailedPrecondition("it gave no registration");
  if (!Contains(reply.members(), reply.leader().replica_id())) {
    return FailedPrecondition("its member list does not contain it");
  }
  if (link->closed()) return Unavailable("its link closed");
  // Before the registration changes: a lapse ends the one before.
  if (!lease_->StartFrom(sent)) return DeadlineExceeded("the answer took longer than a lease");
  epoch_ = Epoch{reply.epoch()};
  registration_id_ = reply.registration_id();
  link_ = link;
  last_heard_ = dependencies_.executor->Now();
  heartbeats_in_flight_ = 0;
  if (reply.leader().epoch() >= announced_.epoch()) announced_ = reply.leader();
  AdoptMembers(reply.members());
  return absl::OkStatus();
}

void LeaderRegistration::AdoptMembers(const pb::MemberList& members) {
  members_ = members;
  lease_->DropPendingAnswers();
  hooks_.on_addresses();
}

void LeaderRegistration::End(const std::string& why) {
  if (registration_id_.empty()) return;
  log::Info("registration ended epoch={} registration_id={}: {}", epoch_.value, registration_id_,
            why);
  registration_id_.clear();
}

void LeaderRegistration::AdvanceLater(Duration delay) {
  if (advance_timer_ != kNoTimer) return;
  advance_timer_ = dependencies_.executor->PostAfter(
      delay, IfAlive(weak_from_this(), [](LeaderRegistration& self) {
        self.advance_timer_ = kNoTimer;
        self.Advance();
      }));
}

void LeaderRegistration::Tick() {
  lease_->EndIfOver();
  const RpcLinkPtr current = link();
  if (current && dependencies_.executor->Now() - last_heard_ > kSilenceLimit) {
    log::Warning("the leader is silent, connecting anew epoch={}", epoch_.value);
    current->Close();
  } else if (current) {
    SendHeartbeat();
  }
  Advance();
  lease_->AskMembersIfSilent(members_, epoch_);
  dependencies_.executor->PostAfter(
      dependencies_.heartbeat_interval,
      IfAlive(weak_from_this(), [](LeaderRegistration& self) { self.Tick(); }));
}

void LeaderRegistration::SendHeartbeat() {
  if (heartbeats_in_flight_ >= kMaxHeartbeatsInFlight) return;
  ++heartbeats_in_flight_;
  pb::Envelope request;
  request.set_epoch(epoch_.value);
  request.mutable_heartbeat()->set_registration_id(registration_id_);
  request.mutable_heartbeat()->set_members_version(members_.version());
  link_->Call(
      std::move(request), kCallTimeout,
      IfAlive(weak_from_this(), [id = registration_id_, sent = dependencies_.executor->Now()](
                                    LeaderRegistration& self, absl::StatusOr<pb::Envelope> reply) {
        self.OnHeartbeatReply(sent, id, std::move(reply));
      }));
}

void LeaderRegistration::OnHeartbeatReply(TimePoint sent, const std::string& registration_id,
                                          absl::StatusOr<pb::Envelope> reply) {
  lease_->EndIfOver();  // whatever this answer says
  if (registration_id != registration_id_ || registration_id_.empty()) return;
  heartbeats_in_flight_ = std::max(0, heartbeats_in_flight_ - 1);
  if (!reply.ok() || !reply->has_heartbeat_reply()) {
    const bool refused = reply.ok() || (reply.status().code() != absl::StatusCode::kUnknown &&
                                        reply.status().code() != absl::StatusCode::kUnavailable &&
                                        !absl::IsResourceExhausted(reply.status()) &&
                                        !absl::IsDeadlineExceeded(reply.status()));
    if (!refused) return;  // silence: the link tells, or the members are asked
    End("the leader refuses its heartbeat");
    return AdvanceLater(kRetryDelay);
  }
  last_heard_ = dependencies_.executor->Now();
  const pb::HeartbeatReply& answer = reply->heartbeat_reply();
  if (answer.epoch() != epoch_.value || answer.registration_id() != registration_id_) {
    End("the leader does not know it");
    return AdvanceLater(Duration::zero());
  }
  lease_->RenewFrom(sent);
  if (answer.members().version() > members_.version()) AdoptMembers(answer.members());
}

}  // namespace baton
