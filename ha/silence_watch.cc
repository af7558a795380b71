#include "ha/silence_watch.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "ha/candidacy.h"

namespace baton {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(200);  // as often as a ping
constexpr Duration kLate = 2 * kTick;                       // later than that: not awake
constexpr Duration kAnswerTimeout = std::chrono::seconds(1);

}  // namespace

SilenceWatch::SilenceWatch(Dependencies dependencies) : deps_(std::move(dependencies)) {}

void SilenceWatch::Start() {
  running_ = true;
  last_tick_ = quiet_since_ = deps_.executor->Now();
  ArmTick();
}

void SilenceWatch::Stop() {
  running_ = false;
  round_.reset();
}

void SilenceWatch::ArmTick() {
  deps_.executor->PostAfter(kTick, IfAlive(weak_from_this(), std::mem_fn(&SilenceWatch::OnTick)));
}

void SilenceWatch::OnView(const LeadershipView& view) {
  members_ = view.members;
  replicas_ = view.replicas;
  std::optional<LeaderIdentity> leader;
  if (view.leader && view.leader->replica_id() != deps_.self.value()) {
    leader = LeaderIdentity{Epoch{view.leader->epoch()}, Incarnation(view.leader->incarnation())};
  }
  if (leader == leader_) return;
  leader_ = std::move(leader);
  ListenAnew();
}

void SilenceWatch::OnPong(const Incarnation& incarnation, const pb::Pong& pong) {
  if (!leader_ || leader_->incarnation != incarnation || pong.stuck()) return;
  ListenAnew();
}

void SilenceWatch::ListenAnew() {
  quiet_since_ = deps_.executor->Now();
  asked_ = false;
  round_.reset();
}

void SilenceWatch::OnTick() {
  if (!running_) return;
  const bool was_awake = IsAwake();
  last_tick_ = deps_.executor->Now();
  ArmTick();
  if (!was_awake) ListenAnew();
  if (round_ && last_tick_ >= round_->deadline) round_.reset();
  if (!round_ && IsSilentToSelf()) BeginRound();
}

bool SilenceWatch::IsAwake() const { return deps_.executor->Now() - last_tick_ <= kTick + kLate; }

bool SilenceWatch::IsSilentToSelf() const {
  return running_ && leader_ && IsAwake() && deps_.executor->Now() - quiet_since_ >= kSilence;
}

size_t SilenceWatch::Majority() const {
  if (Broken(Break::kSilenceWithoutMajority)) return 1;
  return static_cast<size_t>(members_.members_size()) / 2 + 1;
}

bool SilenceWatch::IsAskedMember(const ReplicaId& id) const {
  // Links go to the address in replicas/<id> where there is one, else to that in `members`.
  const auto registered = std::find_if(replicas_.begin(), replicas_.end(), [&](const auto& record) {
    return record.replica_id() == id.value();
  });
  return std::any_of(members_.members().begin(), members_.members().end(), [&](const auto& member) {
    return member.replica_id() == id.value() &&
           (registered == replicas_.end() || registered->rpc_address() == member.rpc_address());
  });
}

void SilenceWatch::BeginRound() {
  if (!IsAskedMember(deps_.self)) return;  // who is no member has no say, and may not lead
  round_ = Round{.id = ++last_round_, .deadline = last_tick_ + kAnswerTimeout};
  pb::Envelope question;
  question.mutable_leader_heard_query()->set_epoch(leader_->epoch.value);
  question.mutable_leader_heard_query()->set_incarnation(leader_->incarnation.value());
  if (!std::exchange(asked_, true)) {
    log::Info("leader is silent, asking the members epoch={} incarnation={}", leader_->epoch.value,
              leader_->incarnation.value());
  }
  for (const auto& [id, link] : deps_.peers->OpenLinks()) {
    if (!IsAskedMember(id) || link->peer().incarnation() == leader_->incarnation.value()) continue;
    ++round_->awaited;
    link->Call(question, kAnswerTimeout,
               IfAlive(weak_from_this(), [round = round_->id](SilenceWatch& watch, auto reply) {
                 watch.OnAnswer(round, reply);
               }));
  }
}

void SilenceWatch::OnAnswer(uint64_t round, const absl::StatusOr<pb::Envelope>& reply) {
  if (!round_ || round_->id != round) return;
  const bool about_this_leader =
      reply.ok() && reply->has_leader_heard_reply() &&
      reply->leader_heard_reply().epoch() == leader_->epoch.value &&
      reply->leader_heard_reply().incarnation() == leader_->incarnation.value();
  if (about_this_leader && reply->leader_heard_reply().silent()) ++round_->agree;
  // Asked again: this replica may have slept since it began the round.
  if (round_->agree >= Majority() && IsSilentToSelf()) {
    round_.reset();
    log::Warning("a majority finds the leader silent epoch={} incarnation={}", leader_->epoch.value,
                 leader_->incarnation.value());
    return deps_.on_silent(*leader_);
  }
  if (--round_->awaited == 0) round_.reset();  // the next tick asks again
}

pb::LeaderHeardReply SilenceWatch::Answer(const pb::LeaderHeardQuery& query) const {
  pb::LeaderHeardReply reply;
  reply.set_epoch(query.epoch());
  reply.set_incarnation(query.incarnation());
  reply.set_silent(leader_ && leader_->epoch.value == query.epoch() &&
                   leader_->incarnation.value() == query.incarnation() && IsSilentToSelf());
  return reply;
}

}  // namespace baton
