// What operators ask of the leader: drain and forget TaskManagers, retire and admit replicas.

#include <gtest/gtest.h>

#include "base/status.h"
#include "tests/rest/fakes.h"

namespace baton {
namespace {

TEST(OperatorRoutesTest, ADrainHasADeadlineOrNone) {
  EndpointWorld world;
  auto gateway = world.SelfLeads(1);
  EXPECT_EQ(world.Ask("POST", "/v1/taskmanagers/tm-1/drain").status, 202);
  EXPECT_EQ(world.Ask("POST", "/v1/taskmanagers/h%3A1%2Fx/drain?deadline=10%20min").status, 202);
  EXPECT_EQ(world.Ask("DELETE", "/v1/taskmanagers/tm-1/drain").status, 202);
  ASSERT_EQ(gateway->drains.size(), 3u);
  EXPECT_EQ(gateway->drains[0].task_manager, "tm-1");
  EXPECT_FALSE(gateway->drains[0].deadline.has_value());
  EXPECT_EQ(gateway->drains[1].task_manager, "h:1/x");
  EXPECT_EQ(gateway->drains[1].deadline, std::chrono::minutes(10));
  EXPECT_EQ(gateway->drains[2].action, DrainRequest::Action::kCancel);
  const HttpResponse bad = world.Ask("POST", "/v1/taskmanagers/tm-1/drain?deadline=soon");
  EXPECT_EQ(bad.status, 400);
  EXPECT_NE(ErrorOf(bad).find("deadline"), std::string::npos);
  EXPECT_EQ(gateway->drains.size(), 3u);
}

TEST(OperatorRoutesTest, EachIsAskedOfTheLeaderAndItsRefusalIsTold) {
  EndpointWorld world;
  auto gateway = world.SelfLeads(1);
  EXPECT_EQ(world.Ask("POST", "/v1/taskmanagers/tm-1/forget").status, 202);
  EXPECT_EQ(world.Ask("POST", "/v1/replicas/r-1/retire").status, 202);
  EXPECT_EQ(world.Ask("POST", "/v1/replicas/r-2/admit").status, 202);
  EXPECT_EQ(gateway->forgotten, std::vector<std::string>{"tm-1"});
  EXPECT_EQ(gateway->retired, std::vector<std::string>{"r-1"});
  EXPECT_EQ(gateway->admitted, std::vector<std::string>{"r-2"});
  gateway->error = FailedPrecondition("TaskManager tm-1 is alive");
  const HttpResponse refused = world.Ask("POST", "/v1/taskmanagers/tm-1/forget");
  EXPECT_EQ(refused.status, 409);
  EXPECT_NE(ErrorOf(refused).find("TaskManager tm-1 is alive"), std::string::npos);
  gateway->error = NotFound("there is no replica x");
  EXPECT_EQ(world.Ask("POST", "/v1/replicas/x/retire").status, 404);
  EXPECT_EQ(world.Ask("GET", "/v1/replicas/x/retire").status, 405);
}

}  // namespace
}  // namespace baton
