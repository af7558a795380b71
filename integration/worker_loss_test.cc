// A TaskManager dies: its tasks end with it, and run again elsewhere (P4).

#include <algorithm>
#include <map>
#include <set>

#include "integration/cluster_test.h"
#include "nlohmann/json.hpp"

namespace baton::integration {
namespace {

class WorkerLossTest : public ClusterTest {
 protected:
  // Subtasks by the TaskManager that holds them.
  static std::map<std::string, std::set<uint32_t>> Placement(const std::string& job) {
    std::map<std::string, std::set<uint32_t>> placement;
    const auto reply = Get(Balancer(), "/v1/jobs/" + job + "/vertices/task");
    if (!reply.ok() || reply->status != 200) return placement;
    const auto vertex = nlohmann::json::parse(reply->body);
    for (const auto& subtask : vertex.at("subtasks")) {
      placement[subtask.at("taskmanager-id")].insert(subtask.at("subtask").get<uint32_t>());
    }
    return placement;
  }

  static std::string Busiest(const std::map<std::string, std::set<uint32_t>>& placement) {
    return std::max_element(
               placement.begin(), placement.end(),
               [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); })
        ->first;
  }
};

TEST_F(WorkerLossTest, ItsTasksRunElsewhereAndNoProcessOfItIsLeft) {
  constexpr size_t kTasks = 6;
  const std::string job = StartHeldJob(kTasks);
  const auto placement = Placement(job);
  ASSERT_FALSE(placement.empty());
  const std::string victim = Busiest(placement);
  const std::set<uint32_t>& lost = placement.at(victim);
  std::set<int64_t> dead;
  for (const TraceLine& start : traces().Starts(job)) {
    if (lost.contains(start.subtask)) dead.insert(start.pid);
  }

  Kill(victim);
  // Before a second attempt begins, the first is over.
  ASSERT_TRUE(EventuallyNeverTwice(
      job, [&] { return traces().Starts(job).size() == kTasks + lost.size(); }));
  for (const int64_t pid : ProcessesOf(job)) EXPECT_FALSE(dead.contains(pid)) << pid;
  for (const TraceLine& start : traces().Starts(job)) {
    if (start.attempt > 0) {
      EXPECT_TRUE(lost.contains(start.subtask)) << start.subtask;
    }
  }

  traces().Release(job);
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "FINISHED"; })) << JobState(job);
  EXPECT_EQ(traces().Ends(job).size(), kTasks);
  EXPECT_TRUE(ProcessesOf(job).empty());
}

TEST_F(WorkerLossTest, ACancelledJobLeavesNoProcessAndStaysCancelled) {
  const std::string job = StartHeldJob(4);
  const auto reply =
      Exchange(Balancer(), RequestBytes("PATCH", "/v1/jobs/" + job + "?mode=cancel", ""));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 202) << reply->body;
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "CANCELED"; })) << JobState(job);
  EXPECT_TRUE(ProcessesOf(job).empty());

  const Leadership before = Leader();
  Kill(before.replica);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  ASSERT_TRUE(Eventually([&] { return JobState(job) == "CANCELED"; })) << JobState(job);
  EXPECT_EQ(traces().Starts(job).size(), 4u);
}

}  // namespace
}  // namespace baton::integration
