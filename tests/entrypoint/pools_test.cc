// How the threads of a dispatcher end.

#include "entrypoint/pools.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/temporary_directory.h"

namespace baton {
namespace {

// The process ends under load: what the engine reads and writes is bound to executors of the pools,
// and the callbacks own the engine, as the journal and the blob store do. Whoever drops the last of
// them must not be a thread of the engine's, which would wait for itself for ever.
TEST(PoolsTest, TheEngineEndsAfterThePoolsStandStillAndBeforeTheyAreEmptied) {
  const TemporaryDirectory directory;
  for (int life = 0; life < 5; ++life) {
    std::weak_ptr<KvEngine> left;
    {
      Pools pools(1);
      auto engine = OpenRocksDbKvEngine(directory.path(), {"one"});
      ASSERT_TRUE(engine.ok()) << engine.status();
      left = *engine;
      Threads threads(pools, **engine);
      const ExecutorPtr executor = pools.shared.NewExecutor();
      for (int i = 0; i < 500; ++i) {
        (*engine)->Write({{"one", std::to_string(i), std::string(20'000, 'x')}},
                         BindTo(executor, [engine = *engine](const absl::Status&) {}));
        (*engine)->Get("one", std::to_string(i), BindTo(executor, [engine = *engine](auto) {}));
      }
    }
    EXPECT_TRUE(left.expired());
  }
}

}  // namespace
}  // namespace baton
