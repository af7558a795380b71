// A network that loses packets, while leaders die, and one that is slow (the rest of F23,
// duplication and reordering of messages, needs a traffic shaper: the simulation has it).

#include "cli/cluster/delay_line.h"
#include "cli/cluster/host_network.h"
#include "integration/cluster_test.h"
#include "integration/steady_client.h"

namespace baton::integration {
namespace {

class LossyNetworkTest : public HostsTest {};

TEST_F(LossyNetworkTest, F23OneOfTenPacketsIsLostWhileTheLeaderDies) {
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();  // a question may be lost, too
  Lose(10);
  SteadyClient client(Balancer());
  ASSERT_TRUE(Eventually([&] { return client.acknowledged_so_far() > 10; }));
  Kill(before.replica);
  ASSERT_TRUE(Eventually([&] { return Leader().epoch > before.epoch; }));
  ASSERT_TRUE(Eventually([&, count = client.acknowledged_so_far()] {
    return client.acknowledged_so_far() > count + 10;
  }));
  HealAll();
  client.Stop();
  Restart(before.replica);
  ASSERT_TRUE(Eventually(Calm));
  for (const std::string& error : client.errors()) ADD_FAILURE() << error;
  for (const std::string& job : client.acknowledged()) ExpectRanOnce(job);
  ExpectServes();
  ExpectUndisturbed(held, 3);
}

// Three round trips a submission, and nobody takes it for silence; large frames come through whole.
TEST_F(LossyNetworkTest, F23TheLeaderIsFarAwayFromEverybody) {
  constexpr std::chrono::milliseconds kDelay(200);
  const std::string held = StartHeldJob(3);
  const Leadership before = Leader();
  auto line = DelayLine::Insert(
      {HostNetwork(cluster().state().network).NamespaceFile("switch"), before.replica, kDelay});
  ASSERT_TRUE(line.ok()) << line.status();
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(Get(Rest(before.replica), "/health").ok());
  // There and back to connect, there and back for the answer.
  EXPECT_GE(std::chrono::steady_clock::now() - start, 4 * kDelay);
  for (const size_t bytes : {size_t{500}, size_t{60} << 10}) {
    const std::string job = NewJobId();
    const auto reply = Put(Balancer(), job, QuickJob(1, bytes));
    ASSERT_TRUE(reply.ok()) << reply.status();
    EXPECT_EQ(reply->status / 100, 2) << reply->body;
    ExpectRanOnce(job);
  }
  EXPECT_EQ(Leader(), before);
  EXPECT_TRUE((*line)->Remove().ok());
  ASSERT_TRUE(Eventually(Calm));
  EXPECT_EQ(Leader(), before);
  ExpectUndisturbed(held, 3);
}

}  // namespace
}  // namespace baton::integration
