#include "ha/candidacy.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/deliberate_break.h"
#include "base/status.h"

namespace baton {
namespace {

constexpr size_t kMaxDeaths = 64;

template <class Record>
std::optional<Record> Parse(const std::optional<NodeData>& node) {
  Record record;
  if (!node || !record.ParseFromString(node->data)) return std::nullopt;
  return record;
}

constexpr char kSilence[] = "silence";

std::string Cause(const CandidateView& view) {
  const auto& last = view.records.epoch;
  if (!last || last->epoch() == 0) return "first";
  if (last->handed_over()) return "hand-over";
  if (view.state.leader && view.leader_is_silent && !LeaderIsDead(view)) return kSilence;
  // Its next life stands here: with one process nobody else could have seen it die.
  const bool own_earlier_life = last->replica_id() == view.self.replica_id() &&
                                last->incarnation() != view.self.incarnation();
  if (view.state.leader || own_earlier_life || view.deaths.Contains(last->incarnation())) {
    return "process-death";
  }
  return "session-expired";
}

}  // namespace

ClusterRecords ParseRecords(const ClusterState& state) {
  ClusterRecords records{Parse<pb::LeaderRecord>(state.epoch),
                         Parse<pb::LeaderRecord>(state.leader),
                         Parse<pb::MemberList>(state.members)};
  // A leader without an epoch is nobody (a zero-length or foreign node).
  if (records.leader && records.leader->epoch() == 0) records.leader.reset();
  return records;
}

bool IsMember(const pb::MemberList& members, const std::string& replica_id,
              const std::string& rpc_address) {
  return std::any_of(members.members().begin(), members.members().end(), [&](const auto& member) {
    return member.replica_id() == replica_id && member.rpc_address() == rpc_address;
  });
}

bool HasSuccessor(const ClusterState& state, const ClusterRecords& records,
                  const pb::ReplicaRecord& self) {
  return records.members &&
         std::any_of(state.replicas.begin(), state.replicas.end(), [&](const auto& replica) {
           return replica.replica_id() != self.replica_id() &&
                  IsMember(*records.members, replica.replica_id(), replica.rpc_address());
         });
}

void DeathList::Add(const Incarnation& incarnation) {
  if (Contains(incarnation.value())) return;
  if (dead_.size() == kMaxDeaths) dead_.pop_front();
  dead_.push_back({incarnation.value()});
}

void DeathList::NoteLeader(const pb::LeaderRecord& leader) {
  for (Death& death : dead_) {
    if (death.incarnation == leader.incarnation() && death.epoch == 0) death.epoch = leader.epoch();
  }
  std::erase_if(dead_, [&](const Death& death) {
    return death.incarnation == leader.incarnation() && death.epoch < leader.epoch();
  });
}

bool DeathList::Contains(const std::string& incarnation) const {
  return std::any_of(dead_.begin(), dead_.end(),
                     [&](const Death& death) { return death.incarnation == incarnation; });
}

void SilenceRecord::Report(const LeaderIdentity& leader, TimePoint now) {
  leader_ = leader;
  reported_ = now;
}

void SilenceRecord::NoteEpochRecord(const pb::LeaderRecord& record, TimePoint now) {
  if (record.last_silence_epoch() == last_epoch_) return;
  last_epoch_ = record.last_silence_epoch();
  last_epoch_read_ = now;
}

bool SilenceRecord::IsSilent(const pb::LeaderRecord& leader, TimePoint now) const {
  return leader_ && leader_->epoch.value == leader.epoch() &&
         leader_->incarnation.value() == leader.incarnation() && now - reported_ <= kLife;
}

Duration SilenceRecord::RestLeft(TimePoint now) const {
  if (last_epoch_ == 0) return Duration::zero();
  return std::max(last_epoch_read_ + kRest - now, Duration::zero());
}

bool LeaderIsLost(const CandidateView& view) {
  return LeaderIsDead(view) || (view.state.leader && view.leader_is_silent);
}

bool LeaderIsDead(const CandidateView& view) {
  if (!view.state.leader) return false;
  const auto& record = view.records.leader;
  // No leader's node: it would block every election, and no session takes it away (F16).
  if (!record || view.state.leader->stat.ephemeral_owner == 0) return true;
  if (view.state.leader->stat.ephemeral_owner == view.session_id) return false;
  // This process in a session that it gave up: whoever would lead by it is asking.
  if (record->incarnation() == view.self.incarnation()) return true;
  // An earlier life of this replica: its port is ours now. Only before this one has led, so that
  // two processes that were given one id and address do not depose each other for ever (T12).
  const bool earlier_life = record->replica_id() == view.self.replica_id() &&
                            record->rpc_address() == view.self.rpc_address();
  return (earlier_life && !view.has_led) || view.deaths.Contains(record->incarnation());
}

absl::Status MayContend(const CandidateView& view, Epoch highest_epoch_seen) {
  const ClusterRecords& records = view.records;
  if (view.state.epoch && !records.epoch) return DataLoss("the record in `epoch` is unreadable");
  if (records.epoch_value() < highest_epoch_seen.value) {
    return DataLoss("`epoch` says {} although epoch {} was seen", records.epoch_value(),
                    highest_epoch_seen.value);
  }
  if (view.state.members && !records.members) {
    return DataLoss("the record in `members` is unreadable");
  }
  if (!records.members) {
    if (records.epoch_value() == 0) return absl::OkStatus();
    return DataLoss("`members` is missing although epoch {} was led", records.epoch_value());
  }
  if (!IsMember(*records.members, view.self.replica_id(), view.self.rpc_address()) &&
      !Broken(Break::kNonMembersContend)) {
    return FailedPrecondition("replica {} at {} is not among the members", view.self.replica_id(),
                              view.self.rpc_address());
  }
  return absl::OkStatus();
}

Candidacy MakeCandidacy(const CandidateView& view, const CoordinationPaths& paths, WallMillis now) {
  Candidacy candidacy;
  pb::LeaderRecord& record = candidacy.record;
  const uint64_t last = view.records.epoch_value();
  record.set_epoch(last > 0 && Broken(Break::kEpochNumberRepeats) ? last : last + 1);
  record.set_replica_id(view.self.replica_id());
  record.set_incarnation(view.self.incarnation());
  record.set_rest_address(view.self.rest_address());
  record.set_rpc_address(view.self.rpc_address());
  record.set_since_ms(now);
  record.set_cause(Cause(view));
  const uint64_t last_silence = view.records.epoch ? view.records.epoch->last_silence_epoch() : 0;
  record.set_last_silence_epoch(record.cause() == kSilence ? record.epoch() : last_silence);
  const std::string data = record.SerializeAsString();

  auto& ops = candidacy.ops;
  if (view.state.members) {
    ops.push_back(CoordinationOp::Check(paths.members(), view.state.members->stat.version));
  } else {
    pb::MemberList members;
    members.set_version(1);
    members.add_members()->set_replica_id(view.self.replica_id());
    members.mutable_members(0)->set_rpc_address(view.self.rpc_address());
    candidacy.members = NodeData{members.SerializeAsString(), {}};
    ops.push_back(CoordinationOp::Create(paths.members(), candidacy.members->data));
  }
  assert(view.state.epoch);
  const int32_t version = view.state.epoch->stat.version;
  const int32_t expected = Broken(Break::kElectionsUnconditional) ? kAnyVersion : version;
  ops.push_back(CoordinationOp::Set(paths.epoch(), data, expected));
  candidacy.epoch = NodeData{data, {.version = version + 1}};
  if (view.state.leader) {
    ops.push_back(CoordinationOp::Delete(paths.leader(), view.state.leader->stat.version));
  }
  ops.push_back(CoordinationOp::Create(paths.leader(), data, NodeKind::kEphemeral));
  candidacy.leader = NodeData{data, {.version = 0, .ephemeral_owner = view.session_id}};
  return candidacy;
}

std::vector<CoordinationOp> MakeResignation(const ClusterState& state,
                                            const ClusterRecords& records,
                                            const std::string& own_incarnation,
                                            const CoordinationPaths& paths) {
  assert(state.epoch && state.leader);
  std::vector<CoordinationOp> ops;
  // Guarded by the version of `epoch`: a replica that took over has changed it, and its node, which
  // has the same version as ours had, is not deleted in place of ours.
  const int32_t version = state.epoch->stat.version;
  if (records.epoch && records.epoch->incarnation() == own_incarnation) {
    pb::LeaderRecord record = *records.epoch;
    record.set_handed_over(true);
    ops.push_back(CoordinationOp::Set(paths.epoch(), record.SerializeAsString(), version));
  } else {
    ops.push_back(CoordinationOp::Check(paths.epoch(), version));
  }
  ops.push_back(CoordinationOp::Delete(paths.leader(), state.leader->stat.version));
  return ops;
}

}  // namespace baton
