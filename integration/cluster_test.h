// The fixtures of every test with real processes: ZooKeeper, three replicas, two TaskManagers and
// HAProxy, started once for the whole program: one such cluster on loopback and, when the first
// HostsTest comes, one with each process on a host of its own, so that the network can be cut, and
// with three ZooKeeper servers.
// Before and after each test whatever was killed, stopped or cut is running again and the cluster
// is calm; after one that has not failed it is seen to serve. A program with a failed test keeps
// the cluster's directory and says where it is; the processes end in any case.

#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/cluster/local_cluster.h"
#include "gtest/gtest.h"
#include "integration/http_exchange.h"
#include "integration/task_traces.h"

namespace baton::integration {

class LateWrites;

// Generous: what a test waits for comes much sooner, or never.
inline constexpr auto kPatience = std::chrono::seconds(30);
// For the answer of a process that may be stopped.
inline constexpr std::chrono::milliseconds kProbe = std::chrono::seconds(1);

// Asks until it holds; whether it did in time.
[[nodiscard]] bool Eventually(const std::function<bool()>& condition,
                              std::chrono::seconds patience = kPatience);

struct Leadership {
  uint64_t epoch = 0;
  std::string replica;  // empty: nobody leads, or nobody knows

  bool operator==(const Leadership&) const = default;
};

enum class Placement { kOneMachine, kHosts };

class ClusterTest : public testing::Test {
 public:
  explicit ClusterTest(Placement placement = Placement::kOneMachine) : placement_(placement) {}

 protected:
  void SetUp() override;
  void TearDown() override;

  // --- the processes; a step that fails ends the test

  static LocalCluster& cluster();
  static std::vector<std::string> Replicas();
  static std::vector<std::string> Standbys();

  void Kill(const std::string& name);  // SIGKILL
  void Signal(const std::string& name, int signal);
  // "exit 85", "SIGKILL"; empty: it did not end.
  std::string WaitForExit(const std::string& name);
  void Restart(const std::string& name, std::map<std::string, std::string> env = {});
  // Restarts a standby with this environment and hands the leadership to it; its name, or empty.
  std::string MakeLeaderWith(std::map<std::string, std::string> env);
  // Asks whoever leads to hand over, again if it had to come back: it stands back for a second, and
  // the one that is meant may be slower on a busy machine. False: it did not come to that.
  [[nodiscard]] static bool TransferUntil(const std::function<bool()>& condition);
  // Everything alive, one leader that all replicas agree on, every worker registered.
  static bool Calm();

  // --- what the cluster says

  static std::string Rest(const std::string& replica);  // "host:port"
  static std::string Balancer();
  static std::string StoreDirectory(const std::string& replica);
  // As the replica that knows of the newest epoch sees it.
  static Leadership Leader();
  static std::string JobState(const std::string& job);  // empty: no answer, or not found
  static absl::StatusOr<HttpReply> Put(const std::string& address, const std::string& job,
                                       std::string_view body);

  // --- what the tasks say

  static TaskTraces& traces();
  // Each of the tasks started once and ended once; waits for the job to be FINISHED first.
  void ExpectRanOnce(const std::string& job, size_t tasks = 1);
  // Lets the tasks of a held job end and looks at all they wrote: the processes that started are
  // those that ended.
  void ExpectUndisturbed(const std::string& job, size_t tasks);
  // Waits for `condition`, and looks all the while that of no subtask two attempts live (P4). Fails
  // the test at once when they do.
  [[nodiscard]] static bool EventuallyNeverTwice(const std::string& job,
                                                 const std::function<bool()>& condition,
                                                 std::chrono::seconds patience = kPatience);
  // After the fault (P3): what was acknowledged was so by a successor of `deposed`, and is so; what
  // was refused has not happened. The victim is a StartHeldJob(1).
  void ExpectFenced(LateWrites& writes, const Leadership& deposed);
  // What must hold once the last fault is over: exactly one replica says that it leads, and a new
  // job runs to its end.
  void ExpectServes();
  // For a HeldJob, which is released at the end, however the test went.
  std::string NewHeldJobId();
  // Submits through the balancer and waits until every task has started.
  std::string StartHeldJob(uint32_t tasks);
  // Submits through the balancer, again and again as a client would, until it is accepted; the job
  // runs once.
  void ExpectAccepted(std::chrono::seconds patience = kPatience);

 private:
  const Placement placement_;
  std::vector<std::string> held_;
};

// Making hosts needs the rights of root; without them these tests fail.
class HostsTest : public ClusterTest {
 protected:
  HostsTest() : ClusterTest(Placement::kHosts) {}

  // What they send to each other is lost in silence. Names as in LocalCluster::Cut.
  void Cut(const std::string& a, const std::string& b,
           CutDirection direction = CutDirection::kBothWays);
  void CutOff(const std::string& node);
  void Lose(int percent);
  void Heal(const std::string& a, const std::string& b);
  void HealAll();
  // Runs `action` as a program on that host would: the network it sees is the host's.
  static void RunOn(const std::string& host, const std::function<void()>& action);
};

}  // namespace baton::integration
