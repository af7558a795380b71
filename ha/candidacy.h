// The rules of the election as functions of what was read: who may contend, when a leader counts as
// dead, and the multi that wins (docs/protocols.md, 3.2, 3.4, 3.6). No state, no calls.

#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "base/time.h"
#include "ha/cluster_watch.h"
#include "ha/leader_election.h"
#include "ha/paths.h"
#include "rpc/records.pb.h"

namespace baton {

// The records in the tree; none where a node is missing or unreadable.
struct ClusterRecords {
  std::optional<pb::LeaderRecord> epoch;
  std::optional<pb::LeaderRecord> leader;
  std::optional<pb::MemberList> members;

  uint64_t epoch_value() const { return epoch ? epoch->epoch() : 0; }
};
ClusterRecords ParseRecords(const ClusterState& state);

// A member is id + address (3.6).
bool IsMember(const pb::MemberList& members, const std::string& replica_id,
              const std::string& rpc_address);
// A replica is alive and a member, other than `self`: somebody to hand over to.
bool HasSuccessor(const ClusterState& state, const ClusterRecords& records,
                  const pb::ReplicaRecord& self);

// Incarnations that are dead for certain; bounded, newest last. Should a report be false all the
// same, it deposes its victim once: who wins another epoch after it is not dead (no storm, L4).
class DeathList {
 public:
  void Add(const Incarnation& incarnation);
  void NoteLeader(const pb::LeaderRecord& leader);
  bool Contains(const std::string& incarnation) const;

 private:
  struct Death {
    std::string incarnation;
    uint64_t epoch = 0;  // the one that it was seen to lead; 0: none yet
  };
  std::deque<Death> dead_;
};

// A leader that a majority found silent, and when this replica may act on it (3.4). The record is
// bound to an epoch and an incarnation, the permission to the whole cluster.
class SilenceRecord {
 public:
  // One take-over from a silent leader a minute.
  static constexpr Duration kRest = std::chrono::minutes(1);
  // How long a report holds; it is repeated while the silence lasts.
  static constexpr Duration kLife = std::chrono::seconds(1);

  void Report(const LeaderIdentity& leader, TimePoint now);
  // To be called with every record read from `epoch`: others' take-overs count as much as own ones.
  void NoteEpochRecord(const pb::LeaderRecord& record, TimePoint now);

  bool IsSilent(const pb::LeaderRecord& leader, TimePoint now) const;
  // Zero: at once.
  Duration RestLeft(TimePoint now) const;

 private:
  std::optional<LeaderIdentity> leader_;
  TimePoint reported_;
  uint64_t last_epoch_ = 0;  // as the newest record in `epoch` says
  TimePoint last_epoch_read_;
};

// Who asks. It refers to what the election holds: made for one call, and not kept beyond it.
struct CandidateView {
  const ClusterState& state;
  const ClusterRecords& records;
  const pb::ReplicaRecord& self;
  int64_t session_id;
  const DeathList& deaths;
  bool has_led;           // in this incarnation
  bool leader_is_silent;  // and this may be acted on now
};

// `leader` stands there, and its process is dead for certain, or it is no leader's node at all.
bool LeaderIsDead(const CandidateView& view);
// `leader` stands there, and may be deleted: it is dead, or silent.
bool LeaderIsLost(const CandidateView& view);

// Not OK: contending is wrong although nobody leads, and why. `highest_epoch_seen`: by anybody this
// replica heard of.
absl::Status MayContend(const CandidateView& view, Epoch highest_epoch_seen);

// The multi of 3.2, and what stands in the tree once it is applied.
struct Candidacy {
  pb::LeaderRecord record;
  std::vector<CoordinationOp> ops;
  NodeData epoch;
  NodeData leader;
  std::optional<NodeData> members;  // made by this multi
};
// `epoch` was read and is there: the multi is conditional on its version, and does not make it.
Candidacy MakeCandidacy(const CandidateView& view, const CoordinationPaths& paths, WallMillis now);

// What takes the own `leader` node away; the next leader reads from `epoch` that it was a
// hand-over. Both nodes were read and are there, and `leader` is the asker's own.
std::vector<CoordinationOp> MakeResignation(const ClusterState& state,
                                            const ClusterRecords& records,
                                            const std::string& own_incarnation,
                                            const CoordinationPaths& paths);

}  // namespace baton
