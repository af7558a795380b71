// Faults of several steps, and the end of each.

#include <time.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/status.h"
#include "cli/chaos/injector.h"
#include "cli/chaos/starvation.h"
#include "cli/cluster/delay_line.h"
#include "cli/cluster/host_network.h"
#include "cli/cluster/readiness.h"
#include "rest/client/wait.h"

namespace baton {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::chrono::seconds kBetweenWipes(90);
constexpr std::chrono::seconds kElection(5);  // so long a fault waits for the next leader

// libfaketime (Debian: libfaketime); empty: not installed.
std::string FakeTimeLibrary() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib", error)) {
    const auto library = entry.path() / "faketime/libfaketimeMT.so.1";
    if (fs::exists(library, error)) return library;
  }
  return "";
}

// By less than results are kept: their age is the one thing that wall clocks are asked for. And
// back by less than the machine is up: libfaketime shifts timers that are set by the time since
// boot, too, so that what was to fire at once (Asio says: 1 ns after the boot) would fire days
// later, and every timer behind it.
int64_t UptimeS() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return now.tv_sec;
}

std::optional<pid_t> GuardianOf(pid_t worker) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    if (!std::getline(file, text) || text.find("(baton-guardian)") == std::string::npos) continue;
    char state = 0;
    pid_t parent = 0;
    if (std::sscanf(text.c_str() + text.rfind(')') + 1, " %c %d", &state, &parent) == 2 &&
        parent == worker) {
      return static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
    }
  }
  return std::nullopt;
}

}  // namespace

absl::Status ChaosInjector::KillAgain(ActiveFault* active) {
  for (int i = 0; i < 3; ++i) {
    const std::string leader = LeaderOr(static_cast<uint64_t>(i));
    if (auto status = Kill(leader, active); !status.ok()) return status;
    RestUntil(Clock::now() + milliseconds(1000));
    if (auto status = cluster_->Restart(leader); !status.ok()) return status;
    RestUntil(Clock::now() + milliseconds(1000));
  }
  return absl::OkStatus();
}

absl::Status ChaosInjector::KillSuccessor(const std::string& leader, ActiveFault* active) {
  if (auto status = Kill(leader, active); !status.ok()) return status;
  std::string successor;
  // As soon as it says that it leads: its recovery has just begun.
  WaitUntil(
      [&] {
        const auto now = cluster_->Leader();
        if (now.ok()) successor = *now;
        return now.ok();
      },
      Clock::now() + kElection, milliseconds(1));
  return successor.empty() ? absl::OkStatus() : Kill(successor, active);
}

absl::Status ChaosInjector::KillGuardian(const std::string& worker, ActiveFault* active) {
  const auto guardian = GuardianOf(cluster_->state().Find(worker)->process.pid);
  active->done += fmt::format(" {}'s guardian gets SIGKILL", worker);
  const auto start = guardian ? StartTimeOf(*guardian) : std::nullopt;
  absl::Status status =
      start ? SendSignal({*guardian, *start}, SIGKILL) : NotFound("{} has no guardian", worker);
  if (!absl::IsNotFound(status)) return status;
  // Its worker is dead: another fault was faster, and says itself whom it harmed.
  active->harmed.erase(worker);
  return active->LeaveOut("there is none");
}

// A replica that is started with a clock of its own, which then jumps by days.
absl::Status ChaosInjector::JumpClock(const PlannedFault& fault, ActiveFault* active) {
  const auto replicas = Names(NodeKind::kReplica);
  const std::string& replica = replicas[fault.lot % replicas.size()];
  const std::string library = FakeTimeLibrary();
  if (library.empty()) return NotFound("libfaketime is not installed (./dev setup)");
  active->clock_file = cluster_->state().options.directory + "/" + replica + "/clock";
  std::ofstream(active->clock_file) << "+0";
  // Only the wall clock: the clocks that count since boot do not jump on any machine.
  RestartOptions options;
  options.env = {{"LD_PRELOAD", library},
                 {"FAKETIME_TIMESTAMP_FILE", active->clock_file},
                 {"FAKETIME_NO_CACHE", "1"},
                 {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}};
  if (auto status = cluster_->Restart(replica, options); !status.ok()) return status;
  const std::string jump = (fault.lot / 8) % 2 == 0 ? "+1d" : fmt::format("-{}", UptimeS() / 2);
  RestUntil(Clock::now() + milliseconds(1000));
  active->done += fmt::format(" {}'s clock jumps by {}", replica, jump);
  std::ofstream(active->clock_file) << jump;
  return absl::OkStatus();
}

absl::Status ChaosInjector::WipeDisk(const PlannedFault& fault, ActiveFault* active) {
  const auto replicas = Names(NodeKind::kReplica);
  const std::string& replica = replicas[fault.lot % replicas.size()];
  // Two disks lost before the first is filled again are more than what is promised.
  if (last_wipe_ && Clock::now() - *last_wipe_ < kBetweenWipes) {
    return active->LeaveOut("the last one is too near");
  }
  last_wipe_ = Clock::now();
  if (auto status = Kill(replica, active); !status.ok()) return status;
  std::error_code error;
  // The directory itself may be where a disk is mounted.
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(cluster_->StoreDirectory(replica), error)) {
    files.push_back(entry);
  }
  for (const fs::path& file : files) {
    if (!error) fs::remove_all(file, error);
  }
  active->done += " and lost its disk";
  return error ? Internal("{}: {}", replica, error.message()) : absl::OkStatus();
}

absl::Status ChaosInjector::RestartZooKeepers() {
  for (const std::string& server : Names(NodeKind::kZooKeeper)) {
    if (auto status = cluster_->Restart(server); !status.ok()) return status;
    WaitUntil([&] { return ZooKeeperMode(*cluster_->state().Find(server)).ok(); },
              Clock::now() + std::chrono::seconds(15), milliseconds(100));
  }
  return absl::OkStatus();
}

absl::Status ChaosInjector::SplitInHalves(uint64_t lot, ActiveFault* active) {
  HarmAll(active);
  std::vector<std::string> sides[2];
  for (const ClusterNode& node : cluster_->state().nodes) {
    sides[lot & 1].push_back(node.name);
    lot >>= 1;
  }
  for (const std::string& one : sides[0]) {
    if (auto status = CutFrom(one, sides[1], active); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ChaosInjector::DelayLeader(const std::string& leader, uint64_t lot,
                                        ActiveFault* active) {
  if (!delay_.expired()) {
    return active->LeaveOut("another one is under way");
  }
  // Whoever asks here who leads has the patience of a second, for two round trips.
  const milliseconds delay(50 + static_cast<int64_t>(lot % 150));
  const HostNetwork network(cluster_->state().network);
  auto line = DelayLine::Insert({network.NamespaceFile("switch"), leader, delay});
  if (!line.ok()) return line.status();
  active->delay = *std::move(line);
  delay_ = active->delay;
  active->done += fmt::format(" {} is {} ms away from everybody", leader, delay.count());
  return absl::OkStatus();
}

absl::Status ChaosInjector::End(const ActiveFault& fault) {
  if (fault.starvation != nullptr) fault.starvation->End();
  if (fault.delay != nullptr) {
    if (auto status = fault.delay->Remove(); !status.ok()) return status;
  }
  if (fault.filled) {
    if (auto status = FreeDisk(); !status.ok()) return status;
  }
  if (!fault.armed.empty()) {
    if (auto status = Disarm(fault); !status.ok()) return status;
  }
  if (!fault.clock_file.empty()) std::ofstream(fault.clock_file) << "+0";
  if (fault.loss) {
    if (auto status = cluster_->Lose(0); !status.ok()) return status;
  }
  for (const auto& [a, b] : fault.cuts) {
    if (auto status = cluster_->Heal(a, b); !status.ok()) return status;
  }
  for (const std::string& name : fault.stopped) {
    stopped_.erase(name);
    const absl::Status status = cluster_->Resume(name);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  for (const std::string& name : fault.killed) {
    if (cluster_->Alive(name) && !fault.terminating) continue;  // another fault's end was faster
    if (auto status = cluster_->Restart(name); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ChaosInjector::HealAll() {
  if (auto status = cluster_->HealAll(); !status.ok()) return status;
  stopped_.clear();
  std::vector<std::string> names;
  for (const ClusterNode& node : cluster_->state().nodes) names.push_back(node.name);
  for (const std::string& name : names) {
    absl::Status status =
        cluster_->Alive(name) ? cluster_->Signal(name, SIGCONT) : cluster_->Restart(name);
    if (absl::IsNotFound(status)) status = cluster_->Restart(name);  // it ended a moment ago
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status ChaosInjector::CheckServing() {
  for (const ClusterNode* node : cluster_->state().OfKind(NodeKind::kZooKeeper)) {
    if (auto mode = ZooKeeperMode(*node); !mode.ok()) return mode.status();
  }
  for (const ClusterNode* node : cluster_->state().OfKind(NodeKind::kReplica)) {
    auto client = ProbeClient(node->Url());
    if (!client.ok()) return client.status();
    auto health = (*client)->Get("/health");
    if (!health.ok()) return At(node->name, health.status());
    if (health->status != 200) return Unavailable("{} answers {}", node->name, health->status);
  }
  return absl::OkStatus();
}

}  // namespace baton
