#include "taskmanager/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"

namespace baton {

LeaseKeeper::LeaseKeeper(MemberPoll::Dependencies dependencies, Duration lease, Listener listener)
    : dependencies_(std::move(dependencies)), lease_(lease), listener_(std::move(listener)) {}

bool LeaseKeeper::StartFrom(TimePoint request_sent) {
  EndIfOver();  // a lease that ran out ends before the next one starts
  if (dependencies_.executor->Now() >= request_sent + lease_) return false;
  DropPendingAnswers();
  running_ = true;
  last_answer_ = request_sent;  // members are asked in time for the deadline that there is now
  SetDeadline(request_sent + lease_);
  return true;
}

void LeaseKeeper::RenewFrom(TimePoint request_sent) {
  if (Broken(Break::kLeaseFromAnswer)) request_sent = dependencies_.executor->Now();
  if (IsRunning()) Extend(request_sent);
}

void LeaseKeeper::AskMembersIfSilent(const pb::MemberList& members, Epoch epoch) {
  const TimePoint now = dependencies_.executor->Now();
  if (asking_ || !IsRunning() || now - last_answer_ < lease_ / 4) return;
  asking_ = true;
  MemberPoll::Start(dependencies_, members, epoch,
                    IfAlive(weak_from_this(), [asked = now, round = round_](
                                                  LeaseKeeper& self, MemberPoll::Verdict verdict) {
                      self.asking_ = false;
                      if (verdict != MemberPoll::Verdict::kNobodyLeads || round != self.round_)
                        return;
                      self.RenewFrom(asked);
                    }));
}

void LeaseKeeper::EndIfOver() {
  if (!running_ || dependencies_.executor->Now() < deadline_) return;
  running_ = false;
  log::Warning("the lease is over");
  listener_.on_lapsed();
}

void LeaseKeeper::Extend(TimePoint request_sent) {
  last_answer_ = std::max(last_answer_, request_sent);
  if (request_sent + lease_ > deadline_) SetDeadline(request_sent + lease_);
}

void LeaseKeeper::SetDeadline(TimePoint deadline) {
  if (deadline < deadline_) {
    dependencies_.executor->Cancel(timer_);
    timer_ = kNoTimer;
  }
  deadline_ = deadline;
  ArmTimer();
  listener_.on_deadline(deadline_);
}

// One timer that follows the deadline instead of one for each renewal.
void LeaseKeeper::ArmTimer() {
  if (timer_ != kNoTimer) return;
  timer_ = dependencies_.executor->PostAfter(deadline_ - dependencies_.executor->Now(),
                                             IfAlive(weak_from_this(), [](LeaseKeeper& self) {
                                               self.timer_ = kNoTimer;
                                               if (self.IsRunning()) self.ArmTimer();
                                             }));
}

}  // namespace baton
