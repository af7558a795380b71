#include "cli/chaos/injector.h"

#include <algorithm>
#include <csignal>

#include "base/status.h"
#include "cli/chaos/starvation.h"
#include "cli/cluster/readiness.h"
#include "cli/drill/target.h"

namespace baton {
namespace {

// What a commit waits where ZooKeeper's disk is slow. Less than what its ensemble bears (five ticks
// of a tenth of a session), and with an election of several commits still less than a lease.
constexpr Starvation::Pace kSlowDisk{std::chrono::milliseconds(700),
                                     std::chrono::milliseconds(100)};

const std::string& Chosen(const std::vector<std::string>& names, uint64_t lot) {
  return names[lot % names.size()];
}

// What overlaps may have been done already.
absl::Status UnlessGone(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace

absl::Status ActiveFault::LeaveOut(const std::string& why) {
  left_out = true;
  done += " left out: " + why;
  return absl::OkStatus();
}

std::vector<std::string> ChaosInjector::Names(NodeKind kind) const {
  std::vector<std::string> names;
  for (const ClusterNode* node : cluster_->state().OfKind(kind)) names.push_back(node->name);
  return names;
}

std::vector<std::string> ChaosInjector::Others(const std::string& replica) const {
  auto names = Names(NodeKind::kReplica);
  std::erase(names, replica);
  return names;
}

std::string ChaosInjector::LeaderOr(uint64_t lot) {
  if (auto leader = cluster_->Leader(); leader.ok()) return *leader;
  auto names = Names(NodeKind::kReplica);
  std::erase_if(names, [this](const std::string& name) { return !cluster_->Alive(name); });
  return names.empty() ? Chosen(Names(NodeKind::kReplica), lot) : Chosen(names, lot);
}

std::string ChaosInjector::ZooKeeperLeader(bool leads, uint64_t lot) const {
  std::vector<std::string> fitting;
  for (const ClusterNode* node : cluster_->state().OfKind(NodeKind::kZooKeeper)) {
    const auto mode = ZooKeeperMode(*node);
    if (mode.ok() && (*mode == "leader") == leads) fitting.push_back(node->name);
  }
  return Chosen(fitting.empty() ? Names(NodeKind::kZooKeeper) : fitting, lot);
}

void ChaosInjector::HarmAll(ActiveFault* active) const {
  for (const std::string& worker : Names(NodeKind::kTaskManager)) active->harmed.insert(worker);
}

absl::StatusOr<ActiveFault> ChaosInjector::Begin(const PlannedFault& fault) {
  ActiveFault active;
  active.done = std::string(TraitOf(fault.kind).name) + ":";
  if (auto status = Do(fault, &active); !status.ok()) {
    return At(TraitOf(fault.kind).name, status);
  }
  return active;
}

absl::Status ChaosInjector::Do(const PlannedFault& fault, ActiveFault* active) {
  if (fault.kind <= ChaosKind::kReplicaDisk) return DoToLeader(fault, active);
  if (fault.kind <= ChaosKind::kStandbyDiskFull) return DoInSteps(fault, active);
  if (fault.kind <= ChaosKind::kWorkerAndLeaderKill) return DoToWorker(fault, active);
  if (fault.kind <= ChaosKind::kZooKeeperSlow) return DoToZooKeeper(fault, active);
  return DoToNetwork(fault, active);
}

absl::Status ChaosInjector::DoToLeader(const PlannedFault& fault, ActiveFault* active) {
  const std::string leader = LeaderOr(fault.lot);
  switch (fault.kind) {
    case ChaosKind::kLeaderKillRestart:
      if (auto status = Kill(leader, active); !status.ok()) return status;
      return cluster_->Restart(leader);
    case ChaosKind::kLeaderKillAgain:
      return KillAgain(active);
    case ChaosKind::kLeaderAndSuccessor:
      return KillSuccessor(leader, active);
    case ChaosKind::kLeaderStop:
      return Stop(leader, active);
    case ChaosKind::kLeaderTerm:
      active->done += fmt::format(" {} got SIGTERM", leader);
      active->killed.push_back(leader);
      active->terminating = true;
      return UnlessGone(cluster_->Signal(leader, SIGTERM));
    case ChaosKind::kLeaderTransfer: {
      // Refused where faults overlap: then nobody hands over.
      const absl::Status status = TransferLeadership(cluster_->RestUrl(leader));
      active->done += fmt::format(" {} {}", leader, status.ok() ? "hands over" : "was asked to");
      return status.ok() ? status : active->LeaveOut("it refuses to hand over");
    }
    case ChaosKind::kAllReplicasKill:
    case ChaosKind::kAllButOneKill: {
      auto victims = Names(NodeKind::kReplica);
      if (fault.kind == ChaosKind::kAllButOneKill) {
        victims.erase(victims.begin() + static_cast<std::ptrdiff_t>(fault.lot % victims.size()));
      }
      for (const std::string& victim : victims) {
        if (auto status = Kill(victim, active); !status.ok()) return status;
      }
      return absl::OkStatus();
    }
    case ChaosKind::kLeaderStarved:
      active->starvation = std::make_shared<Starvation>(cluster_->state().Find(leader)->process,
                                                        Starvation::kTwentieth);
      active->done += fmt::format(" {} gets a twentieth of a processor", leader);
      return absl::OkStatus();
    case ChaosKind::kReplicaClock:
      return JumpClock(fault, active);
    case ChaosKind::kReplicaDisk:
      return WipeDisk(fault, active);
    default:
      return Kill(leader, active);
  }
}

absl::Status ChaosInjector::DoToWorker(const PlannedFault& fault, ActiveFault* active) {
  const std::string worker = Chosen(Names(NodeKind::kTaskManager), fault.lot);
  active->harmed.insert(worker);
  switch (fault.kind) {
    case ChaosKind::kWorkerStop:
      return Stop(worker, active);
    case ChaosKind::kGuardianKill:
      return KillGuardian(worker, active);
    case ChaosKind::kWorkerCut:
    case ChaosKind::kWorkerCutLong:
      return CutFrom(worker, Names(NodeKind::kReplica), active);
    case ChaosKind::kWorkerAndLeaderKill: {
      const std::string leader = LeaderOr(fault.lot);
      // Both at once: no wait for the end of the first.
      (void)cluster_->Signal(leader, SIGKILL);
      if (auto status = Kill(worker, active); !status.ok()) return status;
      return Kill(leader, active);
    }
    default:
      return Kill(worker, active);
  }
}

absl::Status ChaosInjector::DoToZooKeeper(const PlannedFault& fault, ActiveFault* active) {
  const auto servers = Names(NodeKind::kZooKeeper);
  switch (fault.kind) {
    case ChaosKind::kZooKeeperMember:
      return Kill(ZooKeeperLeader(false, fault.lot), active);
    case ChaosKind::kZooKeeperLeader:
      return Kill(ZooKeeperLeader(true, fault.lot), active);
    case ChaosKind::kZooKeeperRolling:
      active->done += " one after the other";
      return RestartZooKeepers();
    case ChaosKind::kZooKeeperQuorum:
      for (size_t i = 0; i < servers.size(); ++i) {
        if (i == fault.lot % servers.size()) continue;
        if (auto status = Kill(servers[i], active); !status.ok()) return status;
      }
      return absl::OkStatus();
    case ChaosKind::kZooKeeperSlow: {
      const std::string server = ZooKeeperLeader(true, fault.lot);
      active->starvation =
          std::make_shared<Starvation>(cluster_->state().Find(server)->process, kSlowDisk);
      active->done +=
          fmt::format(" {} stands for {} of every {} ms", server, kSlowDisk.stands.count(),
                      (kSlowDisk.stands + kSlowDisk.goes).count());
      return absl::OkStatus();
    }
    default:
      for (const std::string& server : servers) {
        if (auto status = Stop(server, active); !status.ok()) return status;
      }
      return absl::OkStatus();
  }
}

absl::Status ChaosInjector::DoToNetwork(const PlannedFault& fault, ActiveFault* active) {
  const std::string leader = LeaderOr(fault.lot);
  const auto replicas = Names(NodeKind::kReplica);
  switch (fault.kind) {
    case ChaosKind::kLeaderCutZooKeeper:
      return CutFrom(leader, Names(NodeKind::kZooKeeper), active);
    case ChaosKind::kLeaderCutWorkers:
      HarmAll(active);
      return CutFrom(leader, Names(NodeKind::kTaskManager), active);
    case ChaosKind::kLeaderCutBalancer:
      return CutFrom(leader, {"haproxy"}, active);
    case ChaosKind::kLeaderCutPeers:
      return CutFrom(leader, Others(leader), active);
    case ChaosKind::kLeaderOneWay: {
      auto targets = Others(leader);
      for (const std::string& server : Names(NodeKind::kZooKeeper)) targets.push_back(server);
      return Cut(leader, Chosen(targets, fault.lot), CutDirection::kOneWay, active);
    }
    case ChaosKind::kLeaderHost: {
      std::vector<std::string> all = {kMachineHost};
      for (const ClusterNode& node : cluster_->state().nodes) {
        if (node.name != leader) all.push_back(node.name);
      }
      return CutFrom(leader, all, active);
    }
    case ChaosKind::kBridge: {
      const std::string& one = Chosen(replicas, fault.lot);
      return CutFrom(one, {Chosen(Others(one), fault.lot / replicas.size())}, active);
    }
    case ChaosKind::kHalves:
      return SplitInHalves(fault.lot, active);
    case ChaosKind::kLeaderDelay:
      return DelayLeader(leader, fault.lot, active);
    default: {
      const int percent = 2 + static_cast<int>(fault.lot % 9);
      active->loss = true;
      active->done += fmt::format(" {} of 100 packets", percent);
      return cluster_->Lose(percent);
    }
  }
}

absl::Status ChaosInjector::Kill(const std::string& name, ActiveFault* active) {
  active->killed.push_back(name);
  active->done += fmt::format(" {} got SIGKILL", name);
  return UnlessGone(cluster_->Kill(name));
}

absl::Status ChaosInjector::Stop(const std::string& name, ActiveFault* active) {
  active->stopped.push_back(name);
  stopped_.insert(name);
  active->done += fmt::format(" {} got SIGSTOP", name);
  return UnlessGone(cluster_->Pause(name));
}

absl::Status ChaosInjector::Cut(const std::string& a, const std::string& b, CutDirection direction,
                                ActiveFault* active) {
  active->cuts.emplace_back(a, b);
  active->done += fmt::format(" {}{}{}", a, direction == CutDirection::kOneWay ? ">" : "/", b);
  return cluster_->Cut(a, b, direction);
}

absl::Status ChaosInjector::CutFrom(const std::string& a, const std::vector<std::string>& others,
                                    ActiveFault* active) {
  for (const std::string& b : others) {
    if (auto status = Cut(a, b, CutDirection::kBothWays, active); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace baton
