// A network that loses packets, while leaders die (the rest of F23, delay, duplication and
// reordering of messages, needs a traffic shaper: the simulation has it).

#include "integration/cluster_test.h"
#include "integration/steady_client.h"

namespace baton::integration {
namespace {

class LossyNetworkTest : public HostsTest {};

TEST_F(LossyNetworkTest, F23OneOfTenPacketsIsLostWhileTheLeaderDies) {
  const std::string held = StartHeldJob(3);
  Lose(10);
  const Leadership before = Leader();
  ASSERT_FALSE(before.replica.empty());
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

}  // namespace
}  // namespace baton::integration
