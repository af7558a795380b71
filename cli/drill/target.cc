#include "cli/drill/target.h"

#include <sys/wait.h>

#include <cstdlib>
#include <functional>
#include <utility>

#include "base/status.h"
#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

constexpr std::chrono::seconds kMendDeadline(120);

class LocalTarget final : public DrillTarget {
 public:
  explicit LocalTarget(std::unique_ptr<LocalCluster> cluster) : cluster_(std::move(cluster)) {}

  std::string server() const override { return cluster_->balancer_url(); }
  std::string shared_directory() const override { return cluster_->SharedDirectory(); }
  int64_t session_timeout_ms() const override {
    return cluster_->state().options.session_timeout.count();
  }

  std::vector<std::string> WatchUrls(const std::string& killed) const override {
    std::vector<std::string> urls;
    for (const ClusterNode* node : cluster_->state().OfKind(NodeKind::kReplica)) {
      if (node->name != killed) urls.push_back(node->Url());
    }
    return urls;
  }

  absl::Status WaitWhole() override { return cluster_->WaitReady(kMendDeadline); }

  absl::StatusOr<std::string> KillLeader(const std::string& replica) override {
    if (auto status = cluster_->Kill(replica); !status.ok()) return status;
    auto how = cluster_->WaitForExit(replica, std::chrono::seconds(10));
    // No child of this process: nobody tells its status, but it lived until it got the signal.
    if (how.ok() && *how == "ended") return "SIGKILL";
    return how;
  }

  absl::Status Mend(const std::string& replica) override {
    if (auto status = cluster_->Restart(replica); !status.ok()) return status;
    return cluster_->WaitReady(kMendDeadline);
  }

 private:
  const std::unique_ptr<LocalCluster> cluster_;
};

class CommandTarget final : public DrillTarget {
 public:
  explicit CommandTarget(CommandTargetOptions options) : options_(std::move(options)) {}

  std::string server() const override { return options_.server; }
  std::string shared_directory() const override { return options_.shared_directory; }
  int64_t session_timeout_ms() const override { return options_.session_timeout_ms; }

  std::vector<std::string> WatchUrls(const std::string&) const override {
    return {options_.server};
  }

  absl::Status WaitWhole() override {
    return WaitFor([this] { return Whole(""); });
  }

  absl::StatusOr<std::string> KillLeader(const std::string& replica) override {
    setenv("BATON_LEADER", replica.c_str(), 1);
    const std::string command =
        fmt::format("sh -c '{}' kill-leader \"$BATON_LEADER\"", Quoted(options_.kill_command));
    const int status = std::system(command.c_str());
    if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      return Internal("the command that kills {} failed: {}", replica, options_.kill_command);
    }
    return "killed by command";
  }

  absl::Status Mend(const std::string& replica) override {
    return WaitFor([&] { return Whole(replica); });
  }

 private:
  static std::string Quoted(const std::string& text) {
    std::string quoted;
    for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return quoted;
  }

  static absl::Status WaitFor(const std::function<absl::Status()>& check) {
    absl::Status status;
    WaitUntil([&] { return (status = check()).ok(); }, Clock::now() + kMendDeadline,
              std::chrono::milliseconds(100));
    return status;
  }

  // Somebody leads; and `replica`, where one is named, is among the living members again.
  absl::Status Whole(const std::string& replica) const {
    auto client = ProbeClient(options_.server);
    if (!client.ok()) return client.status();
    auto leader = (*client)->Leader();
    if (!leader.ok()) return leader.status();
    if (leader->value.replica.empty()) return Unavailable("nobody leads");
    if (replica.empty()) return absl::OkStatus();
    auto rows = (*client)->Replicas();
    if (!rows.ok()) return rows.status();
    for (const ReplicaRow& row : rows->value) {
      if (row.id == replica && row.member && row.alive) return absl::OkStatus();
    }
    return Unavailable("{} is not back yet", replica);
  }

  const CommandTargetOptions options_;
};

}  // namespace

std::unique_ptr<DrillTarget> NewLocalTarget(std::unique_ptr<LocalCluster> cluster) {
  return std::make_unique<LocalTarget>(std::move(cluster));
}

std::unique_ptr<DrillTarget> NewCommandTarget(CommandTargetOptions options) {
  return std::make_unique<CommandTarget>(std::move(options));
}

}  // namespace baton
