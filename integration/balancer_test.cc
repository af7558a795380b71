// Behind the balancer, with the shipped configuration: whatever it cannot reach or does not know
// yet, its clients get answers.

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <memory>
#include <set>
#include <thread>

#include "fmt/core.h"
#include "integration/cluster_test.h"

namespace baton::integration {
namespace {

// Several clients at once, so that every replica gets some of them.
constexpr size_t kClients = 9;

class BalancerHostsTest : public HostsTest {
 protected:
  // Submits through the balancer, all at once; each must be answered with success.
  std::vector<std::string> SubmitAtOnce() {
    std::vector<std::string> jobs;
    std::vector<std::future<absl::StatusOr<HttpReply>>> replies;
    for (size_t i = 0; i < kClients; ++i) {
      jobs.push_back(NewJobId());
      replies.push_back(std::async(
          std::launch::async, [job = jobs.back()] { return Put(Balancer(), job, QuickJob()); }));
    }
    for (auto& future : replies) {
      const auto reply = future.get();
      EXPECT_TRUE(reply.ok()) << reply.status();
      if (!reply.ok()) continue;
      EXPECT_EQ(reply->status / 100, 2) << reply->head << reply->body;
    }
    return jobs;
  }
};

TEST_F(BalancerHostsTest, F20TheLeaderIsCutOffFromTheBalancerOnly) {
  const Leadership before = Leader();
  // Idle connections from the balancer to every replica: some requests will go into the void.
  for (const std::string& job : SubmitAtOnce()) ExpectRanOnce(job);
  Cut("haproxy", before.replica);
  for (int round = 0; round < 2; ++round) {
    for (const std::string& job : SubmitAtOnce()) ExpectRanOnce(job);
  }
  // To the others it is as well as before: nobody takes its baton.
  EXPECT_EQ(Leader(), before);
  Heal("haproxy", before.replica);
  EXPECT_TRUE(Eventually(Calm));
}

TEST_F(BalancerHostsTest, F24TheBalancerHoldsALeaderThatIsLostForAHealthInterval) {
  const Leadership before = Leader();
  SubmitAtOnce();
  CutOff(before.replica);
  // At once: the balancer has not looked yet, and nobody leads.
  const std::vector<std::string> jobs = SubmitAtOnce();
  EXPECT_GT(Leader().epoch, before.epoch);
  for (const std::string& job : jobs) ExpectRanOnce(job);
  HealAll();
  EXPECT_TRUE(Eventually(Calm));
}

class BalancerTest : public ClusterTest {
 protected:
  // Whether the balancer asks each of them in turn.
  static bool EveryReplicaIsAsked() {
    std::set<std::string> asked;
    for (size_t i = 0; i < Replicas().size(); ++i) {
      asked.insert(Get(Balancer(), "/health").value_or(HttpReply{}).Header("X-Baton-Replica"));
    }
    return asked.size() == Replicas().size();
  }

  // The most that one of the open connections to the REST port of `replica` has carried to it.
  static int64_t MostReceived(const std::string& replica) {
    const std::string address = Rest(replica);
    FILE* output = popen(
        fmt::format("ss -tinHO 'sport = :{}'", address.substr(address.rfind(':') + 1)).c_str(),
        "r");
    if (output == nullptr) return -1;
    constexpr std::string_view kField = "bytes_received:";
    int64_t most = 0;
    char line[4096];
    while (std::fgets(line, sizeof line, output) != nullptr) {
      const char* field = std::strstr(line, kField.data());
      if (field != nullptr) most = std::max<int64_t>(most, std::atoll(field + kField.size()));
    }
    return pclose(output) == 0 ? most : -1;
  }
};

TEST_F(BalancerTest, F24TheBalancerHoldsADeadLeaderForAHealthInterval) {
  const Leadership before = Leader();
  Kill(before.replica);
  std::vector<std::string> jobs;
  for (int i = 0; i < 6; ++i) {
    jobs.push_back(NewJobId());
    const auto reply = Put(Balancer(), jobs.back(), QuickJob());
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status / 100, 2) << reply->head << reply->body;
  }
  for (const std::string& job : jobs) ExpectRanOnce(job);
}

// Too large to be kept and sent again by the balancer: the client repeats it under its id. Of three
// at once, one is sent to the leader, which has half of it when it dies.
TEST_F(BalancerTest, ALargeUploadIsRepeatedThroughAFailover) {
  constexpr uint32_t kTasks = 60;
  const Leadership before = Leader();
  const std::string body = LargeJob(kTasks);
  ASSERT_TRUE(Eventually([] { return EveryReplicaIsAsked(); }));
  std::vector<std::string> jobs;
  std::vector<std::future<absl::StatusOr<HttpReply>>> replies;
  std::atomic<bool> go_on = false;
  // However the test ends, before the replies wait for their threads.
  const std::shared_ptr<void> release(nullptr, [&](void*) { go_on = true; });
  for (size_t i = 0; i < Replicas().size(); ++i) {
    jobs.push_back(NewJobId());
    replies.push_back(std::async(std::launch::async, [&, job = jobs.back()] {
      const std::string request = RequestBytes("PUT", "/v1/jobs/" + job, body);
      return ExchangeInTwoParts(Balancer(), request, request.size() / 2, go_on);
    }));
  }
  ASSERT_TRUE(Eventually([&] { return MostReceived(before.replica) > 1'000'000; }));
  Kill(before.replica);
  go_on = true;
  int broken = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    int status = replies[i].get().value_or(HttpReply{}).status;
    if (status / 100 != 2) ++broken;
    EXPECT_TRUE(Eventually([&] {
      if (status / 100 == 2) return true;
      const auto again = Put(Balancer(), jobs[i], body);
      status = again.ok() ? again->status : 0;
      return status / 100 == 2;
    })) << status;
  }
  EXPECT_GE(broken, 1) << "the leader that died had none in its hands";
  for (const std::string& job : jobs) {
    ExpectRanOnce(job, kTasks);
    EXPECT_EQ(Put(Balancer(), job, body)->status, 200) << "one job, however often it was sent";
    EXPECT_EQ(traces().Starts(job).size(), kTasks);
  }
}

TEST_F(BalancerTest, AFollowedLogIsWholeThroughAFailover) {
  constexpr int kLines = 60;
  const std::string job = NewJobId();
  const auto reply =
      Put(Balancer(), job,
          fmt::format(
              R"({{"name":"talks","vertices":[{{"id":"task","command":["sh","-c",)"
              R"("i=0; while [ $i -lt {} ]; do echo line $i; i=$((i+1)); sleep 0.1; done"]}}]}})",
              kLines));
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_EQ(reply->status, 202) << reply->body;
  // A log is there when its task is.
  ASSERT_TRUE(Eventually([&] {
    const auto log =
        Get(Balancer(), "/v1/jobs/" + job + "/vertices/task/subtasks/0/attempts/0/stdout");
    return log.ok() && log->status == 200 && log->body.starts_with("line 0\n");
  }));

  const std::string baton = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "baton";
  FILE* output = popen(
      fmt::format("{} --server http://{} logs {} --follow 2>&1", baton, Balancer(), job).c_str(),
      "r");
  ASSERT_NE(output, nullptr);
  std::string expected, all;
  for (int i = 0; i < kLines; ++i) expected += fmt::format("line {}\n", i);
  char line[256];
  for (int i = 0; std::fgets(line, sizeof line, output) != nullptr; ++i) {
    all += line;
    if (i == 10) Kill(Leader().replica);
  }
  EXPECT_EQ(pclose(output), 0);
  EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace baton::integration
