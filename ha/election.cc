#include "ha/election.h"

#include <algorithm>
#include <utility>

#include "base/deliberate_break.h"
#include "base/log.h"
#include "base/status.h"
#include "ha/stored_state_check.h"

namespace baton {
namespace {

constexpr Duration kFirstBackoff = std::chrono::milliseconds(10);
constexpr int kMaxBackoffDoublings = 6;
// A damaged tree is mended by people.
constexpr Duration kRecheckDamage = std::chrono::seconds(10);

}  // namespace

Election::Election(Dependencies dependencies)
    : client_(std::move(dependencies.client)),
      executor_(std::move(dependencies.executor)),
      paths_(std::move(dependencies.paths)),
      self_(std::move(dependencies.self)),
      fence_limits_(dependencies.fence_limits),
      random_(dependencies.random ? std::move(dependencies.random) : NewSystemRandom()),
      board_(executor_) {}

Election::~Election() {
  if (leading_) leading_->fence->Close(Aborted("the replica is gone"));
}

void Election::ReportDeath(const Incarnation& incarnation) {
  if (incarnation.value() == self_.incarnation() || incarnation.empty()) return;
  // Kept even if the tree names no such leader yet: this replica may read later than its link
  // broke.
  deaths_.Add(incarnation);
  Wake();
}

void Election::ReportSilence(const LeaderIdentity& leader) {
  silence_.Report(leader, executor_->Now());
  const Duration left = silence_.RestLeft(executor_->Now());
  if (left > Duration::zero() && std::exchange(rest_told_, leader.epoch) != leader.epoch) {
    log::Warning(
        "leader is silent, but a silent one was replaced less than a minute ago epoch={} "
        "wait_ms={}",
        leader.epoch.value, ToMillis(left));
  }
  Wake();
}

bool Election::MayActOnSilence() const {
  const TimePoint now = executor_->Now();
  return records_.leader && silence_.IsSilent(*records_.leader, now) &&
         silence_.RestLeft(now) == Duration::zero();
}

void Election::ObserveEpoch(Epoch epoch) {
  if (epoch <= highest_epoch_seen_) return;
  highest_epoch_seen_ = epoch;
  // It was committed before anybody could know it: a read that begins now must see it.
  if (connected_ && registered_) watch_->Refresh();
}

void Election::Wake() {
  if (stopped_ || std::exchange(wake_posted_, true)) return;
  executor_->Post(IfAlive(weak_from_this(), [](Election& election) {
    election.wake_posted_ = false;
    election.Evaluate();
  }));
}

void Election::WakeAfter(Duration delay) {
  executor_->PostAfter(delay,
                       IfAlive(weak_from_this(), [](Election& election) { election.Wake(); }));
}

void Election::Evaluate() {
  if (stopped_) return;
  records_ = ParseRecords(watch_->state());
  NoteEpochs();
  if (connected_ && registered_ && watch_->fresh()) Act();
  PublishView();
}

void Election::NoteEpochs() {
  if (records_.leader) deaths_.NoteLeader(*records_.leader);
  if (records_.epoch) silence_.NoteEpochRecord(*records_.epoch, executor_->Now());
  const uint64_t leader = records_.leader ? records_.leader->epoch() : 0;
  const uint64_t known = std::max(leader, records_.epoch_value());
  highest_epoch_seen_ = std::max(highest_epoch_seen_, Epoch{known});
}

void Election::Act() {
  if (leading_) return CheckLeadership();
  if (busy_) return;
  if (OwnsLeaderNode()) return GrantFromTree();
  FinishHandOver(absl::OkStatus());
  if (stopping_) return;
  if (watch_->state().leader && !LeaderIsLost(View())) {
    failures_ = 0;
    not_before_ = executor_->Now();  // whom it stood back for has won
    return SetHindrance(absl::OkStatus());
  }
  if (IsHindered()) return;
  if (const Duration wait = not_before_ - executor_->Now(); wait > Duration::zero()) {
    return WakeAfter(wait);
  }
  if (records_.epoch_value() == 0 && !nothing_stored_) return SearchStoredState();
  if (!watch_->state().epoch) return MakeEpochNode();
  Contend();
}

CandidateView Election::View() const {
  return {watch_->state(),          records_,         self_, session_id_, deaths_,
          last_granted_.value != 0, MayActOnSilence()};
}

bool Election::OwnsLeaderNode() const {
  const auto& leader = watch_->state().leader;
  return leader && leader->stat.ephemeral_owner == session_id_;
}

bool Election::IsHindered() {
  absl::Status status = MayContend(View(), highest_epoch_seen_);
  if (status.ok()) {
    doubted_.reset();
    return false;
  }
  if (absl::IsDataLoss(status) && Message(status) != hindrance_) {
    status = LossAfterSync(std::move(status));
    if (status.ok()) return true;
  }
  SetHindrance(std::move(status));
  return true;
}

// The nodes are read one by one, and `leader`, or a peer, may tell of an epoch that `epoch` itself
// does not yet show here. Lost is only what a reading that began after that still lacks. OK: not
// known yet; Act comes again.
absl::Status Election::LossAfterSync(absl::Status loss) {
  if (doubted_) loss = MayContend(View(), *doubted_);
  if (doubted_ && absl::IsDataLoss(loss)) return loss;
  doubted_ = highest_epoch_seen_;
  watch_->Refresh();  // nobody acts before everything is read again
  return absl::OkStatus();
}

void Election::SetHindrance(absl::Status hindrance) {
  const std::string text = hindrance.ok() ? std::string() : Message(hindrance);
  if (text == hindrance_) return;
  hindrance_ = text;
  if (hindrance.ok()) return;
  if (hindrance.code() != absl::StatusCode::kDataLoss) {
    return log::Warning("this replica cannot lead: {}", text);
  }
  log::Error(
      "nobody may lead below {}: {}. Its data was lost or set back, and an epoch that came again "
      "would let an older leader write. Run `baton recover-pointers`, which rebuilds it from the "
      "replicas' own disks; or restore the coordination service from a backup that is not older "
      "than the last failover; or, when every dispatcher and TaskManager is stopped, remove {} and "
      "every dispatcher's store.directory, and start anew",
      paths_.base(), text, paths_.base());
}

void Election::Contend() {
  Candidacy candidacy = MakeCandidacy(View(), paths_, executor_->WallNow());
  log::Info("contending replica={} epoch={} cause={}", self_.replica_id(), candidacy.record.epoch(),
            candidacy.record.cause());
  busy_ = true;
  attempt_began_ = executor_->Now();
  auto ops = candidacy.ops;
  client_->Multi(
      std::move(ops),
      IfAlive(weak_from_this(), [session_id = session_id_, candidacy = std::move(candidacy)](
                                    Election& election, const MultiResult& result) {
        election.OnElected(session_id, candidacy, result);
      }));
}

void Election::OnElected(int64_t session_id, Candidacy candidacy, const MultiResult& result) {
  if (session_id != session_id_ || stopped_) return;  // its `leader` went with the session
  busy_ = false;
  if (result.status.ok()) {
    watch_->NoteWon(candidacy.epoch, std::move(candidacy.leader), std::move(candidacy.members));
    records_ = ParseRecords(watch_->state());
    NoteEpochs();
    // Asked to stop meanwhile: the node goes with the session, or is resigned by Act.
    if (!stopping_) Grant(std::move(candidacy.record), candidacy.epoch.stat.version);
    return;
  }
  // Lost, or of unknown outcome (the tree tells: GrantFromTree); what was read is out of date.
  log::Info("not elected replica={} epoch={}: {}", self_.replica_id(), candidacy.record.epoch(),
            Describe(result.status));
  BackOff();
  if (connected_) watch_->Refresh();
}

void Election::BackOff() {
  failures_ = std::min(failures_ + 1, kMaxBackoffDoublings);
  StandBackFor(random_->Below(kFirstBackoff * (1 << failures_)));
}

void Election::StandBackFor(Duration span) {
  not_before_ = std::max(not_before_, executor_->Now() + span);
}

// `leader` is ours although no answer told so: the answer of the election was lost (T20), or it is
// the remainder of an epoch that this replica gave up.
void Election::GrantFromTree() {
  const auto& leader = records_.leader;
  const auto& epoch = records_.epoch;
  const bool won = leader && epoch && leader->incarnation() == self_.incarnation() &&
                   epoch->incarnation() == self_.incarnation() &&
                   epoch->epoch() == leader->epoch() && !epoch->handed_over() &&
                   epoch->epoch() > last_granted_.value;
  if (!won || stopping_) return Resign();
  Grant(*leader, watch_->state().epoch->stat.version);
}

void Election::Grant(pb::LeaderRecord record, int32_t epoch_version) {
  const FenceGrant grant{Epoch{record.epoch()}, epoch_version, attempt_began_};
  last_granted_ = grant.epoch;
  failures_ = 0;
  SetHindrance(absl::OkStatus());
  auto fence =
      NewManagedFence({client_, executor_, paths_, fence_limits_,
                       IfAlive(weak_from_this(),
                               [epoch = grant.epoch](Election& election, const absl::Status& why) {
                                 if (election.leading_ && election.leading_->epoch() == epoch)
                                   election.Revoke(why);
                               })},
                      grant);
  leading_ = Leading{.record = record, .fence = fence, .next_confirmation = executor_->Now()};
  if (!connected_) {
    leading_->paused = true;
    fence->Pause();
  }
  log::Info("leading replica={} epoch={} cause={}", self_.replica_id(), record.epoch(),
            record.cause());
  contender_->OnGrant(record, fence);
  ArmLeaderTick();
  PublishView();
}

void Election::CheckLeadership() {
  const uint64_t epoch = leading_->record.epoch();
  if (records_.epoch_value() != epoch || !records_.leader || records_.leader->epoch() != epoch ||
      !OwnsLeaderNode()) {
    return Revoke(Aborted("the node `leader` of epoch {} is gone", epoch));
  }
  if (!leading_->paused) return;
  leading_->paused = false;
  leading_->fence->Resume();
  log::Info("leader resumed epoch={}", epoch);
  ConfirmLeadership();  // what it held back while it was out of sight need not wait for the tick
}

void Election::Revoke(const absl::Status& why) {
  const Leading ended = *std::move(leading_);
  leading_.reset();
  log::Warning("no longer leading replica={} epoch={}: {}", self_.replica_id(),
               ended.record.epoch(), why.ok() ? "handed over" : Message(why));
  if (Broken(Break::kGrantAndRevokeReordered)) {
    executor_->PostAfter(std::chrono::seconds(1),
                         IfAlive(weak_from_this(), [epoch = ended.epoch(), why](Election& late) {
                           late.contender_->OnRevoke(epoch, why);
                         }));
  } else {
    contender_->OnRevoke(ended.epoch(), why);
  }
  ended.fence->Close(why);
  if (!why.ok()) FinishHandOver(why);
  PublishView();
  if (connected_ && registered_ && !stopped_) watch_->Refresh();
}

// Before the first election of a new cluster.
void Election::SearchStoredState() {
  busy_ = true;
  FindStoredState(
      client_, paths_,
      IfAlive(weak_from_this(), [session_id = session_id_](Election& election, auto found) {
        if (session_id == election.session_id_) election.OnStoredState(std::move(found));
      }));
}

void Election::OnStoredState(absl::StatusOr<std::string> found) {
  busy_ = false;
  if (!found.ok()) {
    BackOff();
  } else if (found->empty()) {
    nothing_stored_ = true;
  } else {
    SetHindrance(DataLoss("`epoch` {} although {} is there",
                          watch_->state().epoch ? "says 0" : "is missing", *found));
    StandBackFor(kRecheckDamage);
  }
  Wake();
}

void Election::MakeEpochNode() {
  busy_ = true;
  client_->Create(paths_.epoch(), pb::LeaderRecord().SerializeAsString(), NodeKind::kPersistent,
                  IfAlive(weak_from_this(), [session_id = session_id_](Election& election,
                                                                       const absl::Status& status) {
                    if (session_id != election.session_id_) return;
                    election.busy_ = false;
                    if (!status.ok()) election.BackOff();
                    if (election.connected_) election.watch_->Refresh();
                  }));
}

void Election::PublishView() {
  LeadershipView view;
  view.leader = records_.leader;
  if (records_.epoch) view.last_winner = *records_.epoch;
  if (records_.members) view.members = *records_.members;
  if (watch_) view.replicas = watch_->state().replicas;
  view.connected = connected_ && !stopped_;
  // A paused leader answers too, as long as its last confirmation is fresh (3.5): a reconnect
  // within that time interrupts nobody. What has to be committed waits in the fence meanwhile.
  const bool answers = leading_ && !leading_->handing_over;
  board_.Publish(std::move(view), answers ? leading_->fence : nullptr);
}

LeaderElectionPtr NewLeaderElection(LeaderElection::Dependencies dependencies) {
  return std::make_shared<Election>(std::move(dependencies));
}

}  // namespace baton
