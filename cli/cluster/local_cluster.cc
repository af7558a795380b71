#include "cli/cluster/local_cluster.h"

#include <csignal>
#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "cli/cluster/node_files.h"
#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

// A thread that waits for its disk stops when that has answered.
constexpr std::chrono::seconds kStopDeadline(10);

absl::Status CheckOptions(const ClusterOptions& options) {
  if (options.directory.empty()) return InvalidArgument("a cluster needs a directory (--dir)");
  if (options.replicas < 1 || options.replicas > 7) {
    return InvalidArgument("replicas: must be 1..7");
  }
  if (options.task_managers < 0 || options.task_managers > 64) {
    return InvalidArgument("taskmanagers: must be 0..64");
  }
  if (options.slots < 1) return InvalidArgument("slots: must be at least 1");
  if (options.zookeepers != 1 && options.zookeepers != 3) {
    return InvalidArgument("zookeepers: must be 1 or 3");
  }
  if (options.session_timeout < std::chrono::seconds(1)) {
    return InvalidArgument("session-timeout: must be at least 1 s");
  }
  return absl::OkStatus();
}

bool SameShape(const ClusterOptions& a, const ClusterOptions& b) {
  return a.replicas == b.replicas && a.task_managers == b.task_managers &&
         a.zookeepers == b.zookeepers && a.hosts == b.hosts;
}

// The layout of an earlier cluster in this directory, or a new one.
absl::StatusOr<ClusterState> PrepareState(const ClusterOptions& options,
                                          std::function<void()>* release) {
  auto earlier = LoadClusterState(options.directory);
  if (absl::IsNotFound(earlier.status())) return NewClusterState(options, release);
  if (!earlier.ok()) return earlier;
  for (const ClusterNode& node : earlier->nodes) {
    if (!IsAlive(node.process)) continue;
    return FailedPrecondition(
        "a cluster runs in {} already; take it down first: baton cluster down --dir {}",
        options.directory, options.directory);
  }
  if (!SameShape(earlier->options, options)) {
    return FailedPrecondition(
        "{} holds a cluster with {} replicas, {} TaskManagers and {} ZooKeeper servers, {} hosts "
        "of "
        "their own: ask for the same, or take another directory",
        options.directory, earlier->options.replicas, earlier->options.task_managers,
        earlier->options.zookeepers, earlier->options.hosts ? "on" : "without");
  }
  earlier->options = options;
  for (ClusterNode& node : earlier->nodes) node.process = {};
  return earlier;
}

std::string LastLines(const std::string& text, size_t lines) {
  size_t from = text.size();
  for (size_t i = 0; i <= lines && from != 0; ++i) {
    const size_t newline = text.rfind('\n', from - 1);
    if (newline == std::string::npos) return text;
    from = newline;
  }
  return text.substr(from == 0 ? 0 : from + 1);
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Launch(ClusterOptions options) {
  if (auto status = CheckOptions(options); !status.ok()) return status;
  std::error_code error;
  fs::create_directories(options.directory, error);
  if (error) return Internal("{}: {}", options.directory, error.message());
  options.directory = fs::canonical(options.directory, error);
  std::function<void()> release = [] {};
  auto state = PrepareState(options, &release);
  if (!state.ok()) return state.status();
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(*std::move(state)));
  if (auto status = cluster->MakeHosts(); !status.ok()) return status;
  if (auto status = cluster->WriteFiles(); !status.ok()) {
    (void)cluster->Down();
    return status;
  }
  release();
  for (ClusterNode& node : cluster->state_.nodes) {
    if (auto status = cluster->StartNode(&node, {}); !status.ok()) {
      (void)cluster->Down();
      return status;
    }
  }
  return cluster;
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Up(ClusterOptions options,
                                                               std::chrono::seconds deadline) {
  auto cluster = Launch(std::move(options));
  if (!cluster.ok()) return cluster.status();
  if (auto status = (*cluster)->WaitReady(deadline); !status.ok()) {
    const std::string tails = (*cluster)->LogTails();
    (void)(*cluster)->Down();
    return DeadlineExceeded("the cluster did not come up: {}\n{}", Message(status), tails);
  }
  return cluster;
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Open(const std::string& directory) {
  auto state = LoadClusterState(directory);
  if (!state.ok()) return state.status();
  return std::unique_ptr<LocalCluster>(new LocalCluster(*std::move(state)));
}

absl::Status LocalCluster::WaitReady(std::chrono::seconds deadline) {
  Refresh();
  absl::Status status;
  WaitUntil(
      [&] {
        status = CheckReady(state_);
        return status.ok() || absl::IsAborted(status);
      },
      Clock::now() + deadline, std::chrono::milliseconds(50));
  return status;
}

absl::Status LocalCluster::WriteFiles() const {
  if (auto status = WriteNodeFiles(state_); !status.ok()) return status;
  return SaveLayout(state_);
}

absl::Status LocalCluster::StartNode(ClusterNode* node, const RestartOptions& options) {
  auto spec = CommandOf(state_, *node);
  if (!spec.ok()) return spec.status();
  spec->env = options.env;
  std::error_code error;
  fs::remove(spec->directory + "/ready.json", error);
  auto process = Spawn(*spec);
  if (!process.ok()) return At(node->name, process.status());
  node->process = *process;
  ends_.erase(node->name);
  return SaveProcesses(state_);
}

void LocalCluster::Refresh() {
  auto now = LoadClusterState(state_.options.directory);
  if (!now.ok()) return;
  const ClusterOptions options = state_.options;  // the lifetime is this object's
  state_ = *std::move(now);
  state_.options = options;
}

absl::StatusOr<ClusterNode*> LocalCluster::FindNode(const std::string& node) {
  auto name = Resolve(node);
  if (!name.ok()) return name.status();
  return state_.Find(*name);
}

absl::StatusOr<std::string> LocalCluster::Resolve(std::string node) {
  Refresh();
  if (node == "leader") return FindLeader(state_);
  if (state_.Find(node) != nullptr) return node;
  std::string names;
  for (const ClusterNode& known : state_.nodes) names += known.name + " ";
  return NotFound("no process is called \"{}\" here; there are: {}and \"leader\"", node, names);
}

absl::Status LocalCluster::Signal(const std::string& node, int signal) {
  auto found = FindNode(node);
  if (!found.ok()) return found.status();
  const ProcessId process = (*found)->process;
  absl::Status sent = SendSignal(process, signal);
  if (!sent.ok() || signal != SIGSTOP) return At((*found)->name, sent);
  // What is done next is done to a process that has stopped: on a busy machine it may go on for
  // long enough to take a submission and to commit it.
  const bool stopped = WaitUntil([&] { return IsStopped(process) || !IsAlive(process); },
                                 Clock::now() + kStopDeadline, std::chrono::milliseconds(1));
  if (stopped) return absl::OkStatus();
  (void)SendSignal(process, SIGCONT);  // what was not done is not done later either
  return DeadlineExceeded("{} does not stop", (*found)->name);
}

absl::Status LocalCluster::Kill(const std::string& node) {
  auto name = Resolve(node);
  if (!name.ok()) return name.status();
  if (auto status = Signal(*name, SIGKILL); !status.ok()) return status;
  return WaitForExit(*name, std::chrono::seconds(10)).status();
}

absl::Status LocalCluster::Pause(const std::string& node) { return Signal(node, SIGSTOP); }

absl::Status LocalCluster::Resume(const std::string& node) { return Signal(node, SIGCONT); }

absl::StatusOr<std::string> LocalCluster::WaitForExit(const std::string& node,
                                                      std::chrono::seconds deadline) {
  auto found = FindNode(node);
  if (!found.ok()) return found.status();
  const ClusterNode& ending = **found;
  if (auto known = ends_.find(ending.name); known != ends_.end()) return known->second;
  std::optional<std::string> how;
  const bool gone = WaitUntil(
      [&] {
        how = ReapIfEnded(ending.process);
        return how.has_value() || !IsAlive(ending.process);
      },
      Clock::now() + deadline, std::chrono::milliseconds(1));
  if (!gone) return DeadlineExceeded("{} still runs", ending.name);
  // It may have become a zombie between the two questions.
  if (!how) how = ReapIfEnded(ending.process);
  return ends_[ending.name] = how.value_or("ended");
}

absl::Status LocalCluster::Restart(const std::string& node, const RestartOptions& options) {
  auto found = FindNode(node);
  if (!found.ok()) return found.status();
  if (auto status = StopNodes({*found}, std::chrono::seconds(15)); !status.ok()) return status;
  return StartNode(*found, options);
}

absl::Status LocalCluster::StopNodes(const std::vector<ClusterNode*>& nodes,
                                     std::chrono::seconds grace) {
  const auto all_gone = [&nodes] {
    bool gone = true;
    for (const ClusterNode* node : nodes) {
      (void)ReapIfEnded(node->process);
      gone = gone && !IsAlive(node->process);
    }
    return gone;
  };
  for (const ClusterNode* node : nodes) {
    (void)SendSignal(node->process, SIGTERM);
    (void)SendSignal(node->process, SIGCONT);  // a paused process hears nothing else
  }
  if (WaitUntil(all_gone, Clock::now() + grace)) return absl::OkStatus();
  for (const ClusterNode* node : nodes) (void)SendSignal(node->process, SIGKILL);
  if (WaitUntil(all_gone, Clock::now() + std::chrono::seconds(10))) return absl::OkStatus();
  return Internal("a process does not end, even after SIGKILL");
}

absl::Status LocalCluster::Down() {
  Refresh();
  std::vector<ClusterNode*> first;
  std::vector<ClusterNode*> last;  // without ZooKeeper a dispatcher cannot hand over
  for (ClusterNode& node : state_.nodes) {
    (node.kind == NodeKind::kZooKeeper ? last : first).push_back(&node);
  }
  if (auto status = StopNodes(first, std::chrono::seconds(15)); !status.ok()) return status;
  if (auto status = StopNodes(last, std::chrono::seconds(10)); !status.ok()) return status;
  if (state_.network >= 0) {
    if (auto status = HostNetwork(state_.network).Remove(); !status.ok()) return status;
  }
  return RemoveProcesses(state_);
}

bool LocalCluster::Alive(const std::string& node) const {
  const ClusterNode* found = state_.Find(node);
  return found != nullptr && IsAlive(found->process);
}

absl::StatusOr<std::string> LocalCluster::Leader() const { return FindLeader(state_); }

std::string LocalCluster::balancer_url() const {
  return state_.OfKind(NodeKind::kHaproxy).front()->Url();
}

std::string LocalCluster::RestUrl(const std::string& replica) const {
  const ClusterNode* node = state_.Find(replica);
  return node == nullptr ? "" : node->Url();
}

std::string LocalCluster::StoreDirectory(const std::string& replica) const {
  return state_.options.directory + "/" + replica + "/store";
}

std::string LocalCluster::LogTails(size_t lines) const {
  std::string tails;
  for (const ClusterNode& node : state_.nodes) {
    auto log = ReadFile(state_.LogFile(node.name));
    if (!log.ok() || log->empty()) continue;
    tails += fmt::format("--- {}\n{}", state_.LogFile(node.name), LastLines(*log, lines));
  }
  return tails;
}

}  // namespace baton
