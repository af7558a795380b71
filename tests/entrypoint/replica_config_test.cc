#include "entrypoint/replica_config.h"

#include <gtest/gtest.h>

#include "base/config.h"

namespace baton {
namespace {

// Whoever starts a server without a configuration gets what an empty one says.
TEST(ReplicaConfigTest, TheServersDefaultsAreThoseOfTheOptions) {
  const auto config = Config::Load("");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(HttpServerLimitsFrom(*config) == HttpServerLimits{});
}

}  // namespace
}  // namespace baton
