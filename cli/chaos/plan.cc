#include "cli/chaos/plan.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "base/status.h"

namespace baton {
namespace {

using std::chrono::milliseconds;

constexpr bool kSilent = true;
constexpr bool kNoQuorum = true;

}  // namespace

const std::vector<ChaosTrait>& AllChaos() {
  static const std::vector<ChaosTrait> traits = {
      {ChaosKind::kLeaderKill, "leader-kill", "F1", 1, false, false, 0.04, 0.6},
      {ChaosKind::kLeaderKillRestart, "leader-kill-restart", "F9", 1},
      {ChaosKind::kLeaderKillAgain, "leader-kill-again", "F5", 3, false, false, 0.04, 0.4},
      {ChaosKind::kLeaderAndSuccessor, "leader-and-successor-kill", "F6", 2, false, false, 0.04,
       0.6},
      {ChaosKind::kLeaderStop, "leader-stop", "F3", 1, kSilent, false, 0.5, 3},
      {ChaosKind::kLeaderTerm, "leader-term", "F4", 1, false, false, 0.04, 0.6},
      {ChaosKind::kLeaderTransfer, "leader-transfer", "F4", 1},
      {ChaosKind::kAllReplicasKill, "all-replicas-kill", "F7", 3, false, false, 0.04, 0.8},
      {ChaosKind::kAllButOneKill, "all-but-one-kill", "F8", 2, false, false, 0.2, 1},
      {ChaosKind::kLeaderStarved, "leader-starved", "F31", 1, false, false, 0.6, 1.2},
      {ChaosKind::kReplicaClock, "replica-clock", "F30", 1, false, false, 0.4, 0.8},
      {ChaosKind::kReplicaDisk, "replica-disk", "F29", 1, false, false, 0.04, 0.4},
      {ChaosKind::kLeaderSession, "leader-session-end", "F11", 1},
      {ChaosKind::kLeaderSubmission, "leader-submission-crash", "F2", 2, false, false, 0.04, 0.4},
      {ChaosKind::kLeaderDiskFull, "leader-disk-full", "F25", 2, false, false, 0.3, 0.8},
      {ChaosKind::kStandbyDiskFull, "standby-disk-full", "F25", 1, false, false, 0.4, 1.2},
      {ChaosKind::kWorkerKill, "worker-kill", "F10", 0, false, false, 0.04, 0.4},
      {ChaosKind::kWorkerStop, "worker-stop", "F10", 0, false, false, 0.2, 1},
      {ChaosKind::kGuardianKill, "guardian-kill", "F10", 0},
      {ChaosKind::kWorkerCut, "worker-cut", "F10", 0, false, false, 0.3, 1},
      {ChaosKind::kWorkerCutLong, "worker-cut-long", "F10", 0, false, false, 0, 0},
      {ChaosKind::kWorkerAndLeaderKill, "worker-and-leader-kill", "F10", 1, false, false, 0.04,
       0.4},
      {ChaosKind::kZooKeeperMember, "zookeeper-member-kill", "F12", 1, false, false, 0.2, 1},
      {ChaosKind::kZooKeeperLeader, "zookeeper-leader-kill", "F12", 1, false, false, 0.2, 1},
      {ChaosKind::kZooKeeperRolling, "zookeeper-rolling", "F12", 1},
      {ChaosKind::kZooKeeperQuorum, "zookeeper-quorum-lost", "F13", 1, false, kNoQuorum, 1.2, 1.8},
      {ChaosKind::kZooKeeperStop, "zookeeper-stop", "F14", 1, false, kNoQuorum, 0.2, 0.6},
      {ChaosKind::kZooKeeperSlow, "zookeeper-slow", "F14", 1, false, false, 0.6, 1.4},
      {ChaosKind::kLeaderCutZooKeeper, "leader-cut-zookeeper", "F18", 1, false, false, 0.4, 1.6},
      {ChaosKind::kLeaderCutWorkers, "leader-cut-workers", "F19", 0, false, false, 0.3, 1.2},
      {ChaosKind::kLeaderCutBalancer, "leader-cut-balancer", "F20", 0, false, false, 0.4, 1.2},
      {ChaosKind::kLeaderCutPeers, "leader-cut-peers", "F21", 1, false, false, 0.3, 1.2},
      {ChaosKind::kLeaderOneWay, "leader-one-way", "F22", 1, false, false, 0.3, 1.2},
      {ChaosKind::kLeaderHost, "leader-host-cut", "F24", 1, kSilent, false, 0.5, 2},
      {ChaosKind::kBridge, "bridge", "F22", 1, false, false, 0.3, 1.2},
      {ChaosKind::kHalves, "halves", "F22", 1, kSilent, kNoQuorum, 0.3, 1.2},
      {ChaosKind::kLoss, "loss", "F23", 1, false, false, 0.6, 1.4},
      {ChaosKind::kLeaderDelay, "leader-delay", "F23", 1, false, false, 0.6, 1.4},
  };
  return traits;
}

const ChaosTrait& TraitOf(ChaosKind kind) {
  return *std::find_if(AllChaos().begin(), AllChaos().end(),
                       [kind](const ChaosTrait& trait) { return trait.kind == kind; });
}

uint64_t EpochsOf(const std::string& name) {
  for (const ChaosTrait& trait : AllChaos()) {
    if (name == trait.name) return trait.epochs;
  }
  return 0;
}

std::vector<ChaosKind> AllChaosKinds() {
  std::vector<ChaosKind> kinds;
  for (const ChaosTrait& trait : AllChaos()) kinds.push_back(trait.kind);
  return kinds;
}

absl::StatusOr<std::vector<ChaosKind>> ChaosKindsNamed(const std::string& names) {
  std::vector<ChaosKind> kinds;
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    const auto trait = std::find_if(AllChaos().begin(), AllChaos().end(),
                                    [&name](const ChaosTrait& t) { return t.name == name; });
    if (trait == AllChaos().end()) {
      std::string known;
      for (const ChaosTrait& t : AllChaos())
        known += (known.empty() ? "" : ", ") + std::string(t.name);
      return InvalidArgument("there is no fault \"{}\"; there are: {}", name, known);
    }
    if (std::find(kinds.begin(), kinds.end(), trait->kind) == kinds.end()) {
      kinds.push_back(trait->kind);
    }
  }
  if (kinds.empty()) return InvalidArgument("no fault is named");
  return kinds;
}

std::string PlannedFault::Describe() const {
  return fmt::format("{} at {} ms for {} ms", TraitOf(kind).name, after.count(), lasts.count());
}

std::string PlannedRound::Describe() const {
  std::string text;
  for (const PlannedFault& fault : faults) {
    text += (text.empty() ? "" : ", ") + fault.Describe();
  }
  return text;
}

ChaosPlan::ChaosPlan(uint64_t seed, Times times, std::vector<ChaosKind> kinds)
    : random_(NewSeededRandom(seed)), times_(times), kinds_(std::move(kinds)) {}

ChaosKind ChaosPlan::Draw() {
  if (deck_.empty()) deck_ = kinds_;
  const size_t place = random_->Next() % deck_.size();
  const ChaosKind kind = deck_[place];
  deck_.erase(deck_.begin() + static_cast<std::ptrdiff_t>(place));
  return kind;
}

milliseconds ChaosPlan::Between(double least, double most, milliseconds unit) {
  const double share = static_cast<double>(random_->Next() % 1000) / 1000;
  return milliseconds(
      static_cast<int64_t>((least + (most - least) * share) * static_cast<double>(unit.count())));
}

PlannedFault ChaosPlan::Fault(ChaosKind kind, milliseconds after) {
  const ChaosTrait& trait = TraitOf(kind);
  PlannedFault fault{kind, after};
  fault.lasts = Between(trait.least, trait.most, times_.session);
  if (kind == ChaosKind::kWorkerCutLong) {
    fault.lasts = times_.lease + Between(0.1, 0.4, times_.lease);
  }
  fault.lot = random_->Next();
  return fault;
}

PlannedRound ChaosPlan::Next() {
  PlannedRound round;
  const uint64_t lot = random_->Next() % 10;
  const size_t faults = std::min<size_t>(lot < 5 ? 1 : lot < 8 ? 2 : 3, kinds_.size());
  for (size_t i = 0; i < faults; ++i) {
    const milliseconds after = i == 0 ? milliseconds(0) : Between(0, 0.5, times_.session);
    round.faults.push_back(Fault(Draw(), after));
  }
  std::stable_sort(round.faults.begin(), round.faults.end(),
                   [](const auto& a, const auto& b) { return a.after < b.after; });
  round.rest = Between(0.1, 0.4, times_.session);
  return round;
}

}  // namespace baton
