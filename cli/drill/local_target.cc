#include <csignal>
#include <utility>

#include "base/status.h"
#include "cli/cluster/readiness.h"
#include "cli/drill/target.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kWholeDeadline(120);

class LocalTarget final : public DrillTarget {
 public:
  explicit LocalTarget(std::unique_ptr<LocalCluster> cluster) : cluster_(std::move(cluster)) {}

  std::string server() const override { return cluster_->balancer_url(); }
  std::string shared_directory() const override { return cluster_->SharedDirectory(); }
  int64_t session_timeout_ms() const override {
    return cluster_->state().options.session_timeout.count();
  }

  absl::Status CheckFault(Fault fault) const override {
    if (fault == Fault::kHost && !cluster_->state().options.hosts) {
      return InvalidArgument(
          "--fault host needs processes on hosts of their own: start the cluster with --hosts");
    }
    if (fault == Fault::kWorker && Workers().empty()) {
      return InvalidArgument("--fault worker needs a TaskManager");
    }
    return absl::OkStatus();
  }

  std::vector<std::string> WatchUrls(const std::string& victim) const override {
    std::vector<std::string> urls;
    for (const ClusterNode* node : cluster_->state().OfKind(NodeKind::kReplica)) {
      if (node->name != victim) urls.push_back(node->Url());
    }
    return urls;
  }

  absl::Status WaitWhole() override { return cluster_->WaitReady(kWholeDeadline); }

  std::string Victim(Fault fault, const std::string& leader, int round) const override {
    if (fault == Fault::kZooKeeper) return "zookeeper";
    if (fault != Fault::kWorker) return leader;
    const auto workers = Workers();
    return workers[static_cast<size_t>(round) % workers.size()]->name;
  }

  std::string PlaceOf(const std::string& worker) const override {
    return cluster_->state().options.directory + "/" + worker;
  }

  absl::StatusOr<std::string> Inject(Fault fault, const std::string& victim) override {
    switch (fault) {
      case Fault::kKill:
      case Fault::kWorker:
        return Kill(victim);
      case Fault::kHang:
        return After(cluster_->Pause(victim), "SIGSTOP");
      case Fault::kTransfer:
        return After(TransferLeadership(server()), "transferred");
      case Fault::kHost:
        return After(cluster_->CutOff(victim), "cut off");
      case Fault::kZooKeeper:
        for (const std::string& name : ZooKeepers()) {
          if (auto how = Kill(name); !how.ok()) return how;
        }
        return "SIGKILL";
    }
    return Internal("unknown fault");
  }

  absl::Status Undo(Fault fault, const std::string& victim) override {
    switch (fault) {
      case Fault::kKill:
      case Fault::kWorker:
        return cluster_->Restart(victim);
      case Fault::kHang:
        return cluster_->Resume(victim);
      case Fault::kTransfer:
        return absl::OkStatus();
      case Fault::kHost:
        return cluster_->Heal(victim);
      case Fault::kZooKeeper:
        for (const std::string& name : ZooKeepers()) {
          if (auto status = cluster_->Restart(name); !status.ok()) return status;
        }
        return absl::OkStatus();
    }
    return Internal("unknown fault");
  }

 private:
  std::vector<const ClusterNode*> Workers() const {
    return cluster_->state().OfKind(NodeKind::kTaskManager);
  }
  // By name: the cluster reads its layout again at every step.
  std::vector<std::string> ZooKeepers() const {
    std::vector<std::string> names;
    for (const ClusterNode* node : cluster_->state().OfKind(NodeKind::kZooKeeper)) {
      names.push_back(node->name);
    }
    return names;
  }

  static absl::StatusOr<std::string> After(const absl::Status& status, const char* done) {
    if (!status.ok()) return status;
    return done;
  }

  absl::StatusOr<std::string> Kill(const std::string& name) {
    if (auto status = cluster_->Kill(name); !status.ok()) return status;
    auto how = cluster_->WaitForExit(name, std::chrono::seconds(10));
    // No child of this process: nobody tells its status, but it lived until it got the signal.
    if (how.ok() && *how == "ended") return "SIGKILL";
    return how;
  }

  const std::unique_ptr<LocalCluster> cluster_;
};

}  // namespace

std::unique_ptr<DrillTarget> NewLocalTarget(std::unique_ptr<LocalCluster> cluster) {
  return std::make_unique<LocalTarget>(std::move(cluster));
}

}  // namespace baton
