// Workers die in other ways than by themselves: with the leader, stopped, without their guardian.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "integration/cluster_test.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

// On one machine, or with each process on a host of its own.
template <class Cluster>
class WithWorkers : public Cluster {
 protected:
  // The worker with most tasks of the job, and which subtasks those are.
  static std::pair<std::string, std::set<uint32_t>> Busiest(const std::string& job) {
    std::map<std::string, std::set<uint32_t>> placement;
    const auto reply = Get(Cluster::Balancer(), "/v1/jobs/" + job + "/vertices/task");
    if (!reply.ok() || reply->status != 200) return {};
    const Json vertex = Json::parse(reply->body);
    for (const Json& subtask : vertex.at("subtasks")) {
      placement[subtask.at("taskmanager-id")].insert(subtask.at("subtask").get<uint32_t>());
    }
    std::pair<std::string, std::set<uint32_t>> busiest;
    for (const auto& [worker, subtasks] : placement) {
      if (subtasks.size() > busiest.second.size()) busiest = {worker, subtasks};
    }
    return busiest;
  }

  static std::set<int64_t> PidsOf(const std::string& job, const std::set<uint32_t>& subtasks) {
    std::set<int64_t> pids;
    for (const TraceLine& start : Cluster::traces().Starts(job)) {
      if (subtasks.contains(start.subtask)) pids.insert(start.pid);
    }
    return pids;
  }

  static bool AnyAlive(const std::string& job, const std::set<int64_t>& pids) {
    for (const int64_t pid : ProcessesOf(job)) {
      if (pids.contains(pid)) return true;
    }
    return false;
  }

  // Every subtask in `lost` runs again, the others go on, and the job ends.
  void ExpectRunsAgain(const std::string& job, size_t tasks, const std::set<uint32_t>& lost) {
    Cluster::traces().Release(job);
    ASSERT_TRUE(Eventually([&] { return Cluster::JobState(job) == "FINISHED"; }))
        << Cluster::JobState(job);
    EXPECT_EQ(Cluster::traces().Ends(job).size(), tasks);
    EXPECT_EQ(Cluster::traces().Starts(job).size(), tasks + lost.size());
    EXPECT_TRUE(ProcessesOf(job).empty());
  }

  static bool AllSlotsAreFree() {
    const auto reply = Get(Cluster::Balancer(), "/v1/overview");
    if (!reply.ok() || reply->status != 200) return false;
    const Json overview = Json::parse(reply->body, nullptr, false);
    return overview.is_object() && overview.at("taskmanagers") == 2 &&
           overview.at("slots-total") == overview.at("slots-available");
  }

  static std::optional<pid_t> GuardianOf(const std::string& worker) {
    const pid_t parent = Cluster::cluster().state().Find(worker)->process.pid;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "stat");
      std::string text;
      if (!std::getline(file, text) || text.find("(baton-guardian)") == std::string::npos) continue;
      char state = 0;
      pid_t its_parent = 0;
      if (std::sscanf(text.c_str() + text.rfind(')') + 1, " %c %d", &state, &its_parent) == 2 &&
          its_parent == parent) {
        return static_cast<pid_t>(std::atoi(entry.path().filename().c_str()));
      }
    }
    return std::nullopt;
  }
};

using WorkerFaultsTest = WithWorkers<ClusterTest>;
using WorkerNetworkTest = WithWorkers<HostsTest>;

TEST_F(WorkerFaultsTest, F10TheLeaderAndAWorkerDieAtOnce) {
  constexpr size_t kTasks = 6;
  const std::string job = StartHeldJob(kTasks);
  const auto [victim, lost] = Busiest(job);
  ASSERT_FALSE(lost.empty());
  const std::set<int64_t> dead = PidsOf(job, lost);
  const Leadership before = Leader();
  Signal(victim, SIGKILL);
  Signal(before.replica, SIGKILL);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  ASSERT_TRUE(EventuallyNeverTwice(
      job, [&, lost = lost] { return traces().Starts(job).size() == kTasks + lost.size(); }));
  EXPECT_FALSE(AnyAlive(job, dead));
  ExpectRunsAgain(job, kTasks, lost);
}

// SIGSTOP and cut off: the TaskManager renews no lease and hears nobody. Its guardian ends its
// tasks when the lease is over; the leader gives them away after that, and takes the worker back
// when it wakes up.
TEST_F(WorkerNetworkTest, F10AStoppedTaskManagerThatIsCutOffHasNoTaskAliveASecondAfterItsLease) {
  constexpr auto kLease = std::chrono::seconds(20);
  constexpr size_t kTasks = 6;
  const std::string job = StartHeldJob(kTasks);
  const auto [victim, lost] = Busiest(job);
  ASSERT_FALSE(lost.empty());
  const std::set<int64_t> old = PidsOf(job, lost);
  Signal(victim, SIGSTOP);
  CutOff(victim);
  const auto stopped = Clock::now();
  const bool ended = EventuallyNeverTwice(
      job, [&] { return !AnyAlive(job, old); }, kLease + std::chrono::seconds(9));
  const auto took = Clock::now() - stopped;
  ASSERT_TRUE(ended);
  EXPECT_LE(took, kLease + std::chrono::seconds(1));
  ASSERT_TRUE(EventuallyNeverTwice(
      job, [&, lost = lost] { return traces().Starts(job).size() == kTasks + lost.size(); }));
  Signal(victim, SIGCONT);
  HealAll();
  ExpectRunsAgain(job, kTasks, lost);
  ASSERT_TRUE(Eventually([] { return AllSlotsAreFree(); }));  // I10: it is back, with its slots
  const std::string next = StartHeldJob(32);                  // all of them
  traces().Release(next);
  ExpectRanOnce(next, 32);
}

// The leader sees ZooKeeper and its peers, but no worker: their leases end, for it might lead on
// without them. What it deploys after that, it deploys once.
TEST_F(WorkerNetworkTest, F19TheLeaderIsCutOffFromTheWorkersOnly) {
  constexpr size_t kTasks = 4;
  const std::string job = StartHeldJob(kTasks);
  std::set<int64_t> old;
  for (const TraceLine& start : traces().Starts(job)) old.insert(start.pid);
  const Leadership before = Leader();
  for (const std::string worker : {"taskmanager-1", "taskmanager-2"}) Cut(before.replica, worker);
  ASSERT_TRUE(EventuallyNeverTwice(job, [&] { return !AnyAlive(job, old); }));
  HealAll();
  ASSERT_TRUE(EventuallyNeverTwice(job, [&] { return traces().Starts(job).size() == 2 * kTasks; }));
  EXPECT_FALSE(AnyAlive(job, old));
  traces().Release(job);
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "FINISHED"; })) << JobState(job);
  EXPECT_EQ(traces().Starts(job).size(), 2 * kTasks);
  EXPECT_EQ(traces().Ends(job).size(), kTasks);
  EXPECT_TRUE(Eventually([] { return AllSlotsAreFree(); }));
}

TEST_F(WorkerFaultsTest, F10AGuardianDiesAndItsTasksRunAgain) {
  constexpr size_t kTasks = 4;
  const std::string job = StartHeldJob(kTasks);
  const auto [victim, lost] = Busiest(job);
  ASSERT_FALSE(lost.empty());
  const std::set<int64_t> dead = PidsOf(job, lost);
  const auto guardian = GuardianOf(victim);
  ASSERT_TRUE(guardian.has_value()) << victim;
  ASSERT_EQ(kill(*guardian, SIGKILL), 0);
  ASSERT_TRUE(EventuallyNeverTwice(
      job, [&, lost = lost] { return traces().Starts(job).size() == kTasks + lost.size(); }));
  EXPECT_FALSE(AnyAlive(job, dead));
  ExpectRunsAgain(job, kTasks, lost);
  EXPECT_TRUE(Eventually([] { return AllSlotsAreFree(); }));
}

}  // namespace
}  // namespace baton::integration
