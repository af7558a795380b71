// Whether the leader is silent, by the word of a majority (3.4): a process that is stopped,
// a host that is lost or cut off, an event loop that hangs. None of them refuses a connection.
//
// Heard: the leader's process answered a ping of this replica, from the strand on which it leads.
// That its kernel accepts connections is no answer.
//
// Silent to one: no answer for 2 s, in all of which this replica itself was awake. Its own timer
// that comes more than two pings late shows that it was stopped or starved; then it begins to
// listen anew, and tells others until then that it cannot agree. So none takes its own deafness
// for the leader's silence.
//
// Silent to the cluster: more than half of `members` say so at once. The asker counts as one, the
// silent leader counts among the members and never agrees, and so does whoever does not answer
// within a second: of 3 members both others are needed, of 5 three of the other four. With one of
// two standbys dead, or of 2 members, there is no majority without the leader: the end of its
// session with ZooKeeper decides then, because nobody can tell whose link it is that is broken.
//
// An answer is bound to the leader's epoch and incarnation and to the round in which it was asked
// for: neither a late one nor one about a predecessor ever counts against a successor.
//
// What follows from it, and how often, is the election's business (LeaderElection::ReportSilence).
//
// Lives on the executor of the election: every method there, every callback there. Owned by the
// replica; Stop or its last reference ends it.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/executor.h"
#include "ha/leader_election.h"
#include "ha/peer_monitor.h"

namespace baton {

class SilenceWatch : public std::enable_shared_from_this<SilenceWatch> {
 public:
  static constexpr Duration kSilence = std::chrono::seconds(2);

  struct Dependencies {
    ExecutorPtr executor;
    PeerMonitorPtr peers;  // lends the links to the other members
    ReplicaId self;
    // Repeated while the silence lasts.
    std::function<void(const LeaderIdentity&)> on_silent;
  };

  explicit SilenceWatch(Dependencies dependencies);

  void Start();
  void Stop();

  void OnView(const LeadershipView& view);
  void OnPong(const Incarnation& incarnation, const pb::Pong& pong);

  // Another member asks.
  pb::LeaderHeardReply Answer(const pb::LeaderHeardQuery& query) const;

 private:
  // One question to all members.
  struct Round {
    uint64_t id = 0;
    TimePoint deadline;
    size_t awaited = 0;
    size_t agree = 1;  // this replica
  };

  void ListenAnew();
  void ArmTick();
  void OnTick();
  void BeginRound();
  void OnAnswer(uint64_t round, const absl::StatusOr<pb::Envelope>& reply);
  bool IsSilentToSelf() const;
  bool IsAwake() const;
  // Members are asked where they are members: at another address it is another one (3.6).
  bool IsAskedMember(const ReplicaId& id) const;
  size_t Majority() const;

  const Dependencies deps_;
  bool running_ = false;
  std::optional<LeaderIdentity> leader_;  // another replica
  pb::MemberList members_;
  std::vector<pb::ReplicaRecord> replicas_;
  TimePoint last_tick_;
  TimePoint quiet_since_;  // the last answer of leader_, or when listening to it began
  bool asked_ = false;     // since then; the log says it once
  std::optional<Round> round_;
  uint64_t last_round_ = 0;
};

}  // namespace baton
