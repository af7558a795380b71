#include "tests/simulation/leadership_judge.h"

#include <algorithm>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "rpc/messages.pb.h"

namespace baton {
namespace {

// A confirmation is good for 3 s by the clock of who got it, which may be slow by one percent.
constexpr Duration kOrdersEnd = std::chrono::milliseconds(3050);
// Silence of 2 s, an answer about it within 1 s that holds for 1 s, and the election's own time.
constexpr Duration kSilenceCounts = std::chrono::seconds(5);

}  // namespace

LeadershipJudge::LeadershipJudge(ExecutorPtr executor, SimulatedNetworkPtr network,
                                 std::shared_ptr<const TreeJudge> tree, OnViolation on_violation)
    : executor_(std::move(executor)),
      network_(std::move(network)),
      tree_(std::move(tree)),
      violated_(std::move(on_violation)) {}

void LeadershipJudge::OnStarted(const std::string& replica) {
  replicas_[replica].incarnation.clear();
  OnResumed(replica);
}

void LeadershipJudge::OnResumed(const std::string& replica) {
  replicas_[replica].runs = true;
  replicas_[replica].runs_since = executor_->Now();
}

void LeadershipJudge::OnJitter(Duration more) {
  if (slow_) slow_until_ = executor_->Now();
  slow_ = more > Duration::zero();
}

void LeadershipJudge::OnElected(const pb::LeaderRecord& winner, const std::string& previous) {
  began_.emplace(winner.epoch(), executor_->Now());
  if (winner.cause() == "silence" && !MayNotBeHeard(previous)) {
    const auto deaf = std::ranges::count_if(tree_->member_ids(), [&](const std::string& member) {
      return member != previous && MayNotHear(member, previous);
    });
    if (static_cast<size_t>(deaf) <= tree_->members() / 2) {
      violated_("L4", fmt::format("{} replaces {} as silent, whom {} of {} members cannot hear",
                                  winner.replica_id(), previous, deaf, tree_->members()));
    }
  }
  // Perhaps of a process that is dead by now: what it had sent is carried out all the same.
  replicas_[winner.replica_id()].leads_as = winner.incarnation();
}

bool LeadershipJudge::IsRecent(TimePoint then) const {
  return executor_->Now() - then < kSilenceCounts;
}

bool LeadershipJudge::MayNotBeHeard(const std::string& leader) const {
  const auto found = replicas_.find(leader);
  if (found == replicas_.end() || !found->second.runs) return true;
  // Another process of that name leads nothing.
  return found->second.incarnation != found->second.leads_as ||
         IsRecent(found->second.runs_since) || slow_ || IsRecent(slow_until_);
}

bool LeadershipJudge::MayNotHear(const std::string& member, const std::string& leader) const {
  for (const auto& cut : {network_->LastCut(leader, member), network_->LastCut(member, leader)}) {
    if (cut && IsRecent(*cut)) return true;
  }
  const auto found = replicas_.find(member);
  return found != replicas_.end() && found->second.runs && IsRecent(found->second.runs_since);
}

void LeadershipJudge::OnFrame(const std::string& from, const std::string& to,
                              const std::string& frame) {
  const auto sender = replicas_.find(from);
  if (sender == replicas_.end()) return;
  std::string& incarnation = sender->second.incarnation;
  if (replicas_.contains(to) && !incarnation.empty()) return;
  pb::Envelope envelope;
  if (!envelope.ParseFromString(frame)) return;
  if (envelope.has_hello()) incarnation = envelope.hello().incarnation();
  // Also of whoever leads now: it may have led before, and something of that time may live on.
  if (!envelope.has_deploy_tasks() && !envelope.has_cancel_tasks()) return;
  const auto next = began_.find(envelope.epoch() + 1);
  if (next == began_.end() || executor_->Now() - next->second <= kOrdersEnd) return;
  violated_("I4",
            fmt::format("{} gives orders to {} in the name of epoch {}, {} ms after the next "
                        "one began",
                        from, to, envelope.epoch(), ToMillis(executor_->Now() - next->second)));
}

}  // namespace baton
