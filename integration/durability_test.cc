// What was acknowledged stays (P1), and runs once (P2).

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "integration/cluster_test.h"

namespace baton::integration {
namespace {

constexpr int kSlots = 32;

class DurabilityTest : public ClusterTest {};

// Most of them wait for a slot: without its graph none of those could ever run.
TEST_F(DurabilityTest, AHundredAcknowledgedJobsSurviveTheLeaderAndItsDisk) {
  const Leadership before = Leader();
  std::vector<std::string> jobs(100);
  for (std::string& job : jobs) job = NewHeldJobId();
  std::vector<std::thread> clients;
  std::atomic<int> acknowledged = 0;
  for (size_t c = 0; c < 10; ++c) {
    clients.emplace_back([&, c] {
      for (size_t i = c; i < jobs.size(); i += 10) {
        const auto reply = Put(Balancer(), jobs[i], HeldJob(1));
        if (reply.ok() && reply->status == 202) ++acknowledged;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  ASSERT_EQ(acknowledged, 100);
  const auto started = [&] {
    return std::count_if(jobs.begin(), jobs.end(),
                         [](const std::string& job) { return !traces().Starts(job).empty(); });
  };
  ASSERT_TRUE(Eventually([&] { return started() == kSlots; })) << started() << " run";

  Kill(before.replica);
  std::filesystem::remove_all(StoreDirectory(before.replica));
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  EXPECT_EQ(started(), kSlots);
  for (const std::string& job : jobs) traces().Release(job);
  for (const std::string& job : jobs) ExpectRanOnce(job);

  // It comes back with nothing and is a replica as any other.
  Restart(before.replica);
  EXPECT_TRUE(Eventually(Calm));
  const std::string job = NewJobId();
  const auto reply = Put(Rest(before.replica), job, QuickJob());
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->status, 202) << reply->body;
  ExpectRanOnce(job);
}

TEST_F(DurabilityTest, F33OneJobIdIsRetriedThroughDifferentReplicasAtOnce) {
  const Leadership before = Leader();
  const std::string job = NewJobId();
  const std::string body = QuickJob();
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  std::atomic<int> unanswered = 0;
  std::atomic<bool> enough = false;
  // A client whose replica is dead goes to the next one.
  const auto ask = [&](size_t first) {
    const auto replicas = Replicas();
    for (size_t r = 0; r < replicas.size(); ++r) {
      const auto reply = Put(Rest(replicas[(first + r) % replicas.size()]), job, body);
      if (!reply.ok()) continue;
      const bool success = reply->status == 202 || reply->status == 200;
      ++(success ? answered : refused);
      return;
    }
    ++unanswered;
  };
  std::vector<std::thread> clients;
  for (size_t c = 0; c < 10; ++c) {
    clients.emplace_back([&, c] {
      for (size_t i = 0; !enough; ++i) ask(c + i);
    });
  }
  EXPECT_TRUE(Eventually([&] { return answered >= 20; }));
  Kill(before.replica);
  EXPECT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  EXPECT_TRUE(Eventually([&, then = answered.load()] { return answered >= then + 20; }));
  enough = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(unanswered, 0);
  ExpectRanOnce(job);

  // After its end too.
  const auto again = Put(Balancer(), job, body);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->status, 200) << again->body;
  EXPECT_EQ(traces().Starts(job).size(), 1u);
}

TEST_F(DurabilityTest, AnotherJobUnderAKnownIdIsAConflict) {
  const std::string job = NewJobId();
  ASSERT_EQ(Put(Balancer(), job, QuickJob())->status, 202);
  ExpectRanOnce(job);
  const auto other = Put(Balancer(), job, QuickJob(2));
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(other->status, 409) << other->body;
  EXPECT_EQ(traces().Starts(job).size(), 1u);
}

}  // namespace
}  // namespace baton::integration
