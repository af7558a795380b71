// baton-dispatcher: one replica.

#include <unistd.h>

#include <filesystem>
#include <future>

#include "base/asio_executor.h"
#include "base/config_options.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "entrypoint/daemon.h"
#include "entrypoint/replica.h"
#include "entrypoint/replica_config.h"
#include "fmt/format.h"
#include "ha/zookeeper_client.h"
#include "rest/beast_server.h"
#include "rest/beast_transport.h"
#include "rpc/asio_frame_transport.h"

namespace baton {
namespace {

constexpr Duration kDrain = std::chrono::seconds(5);
constexpr Duration kStopLimit = std::chrono::seconds(20);

int Fail(const absl::Status& why) {
  log::Error("baton-dispatcher cannot start: {}", Message(why));
  return 1;
}

// Runs `body` on the executor and waits for what it returns.
template <class F>
auto RunOn(const ExecutorPtr& executor, F body) {
  std::promise<decltype(body())> promise;
  executor->Post([&] { promise.set_value(body()); });
  return promise.get_future().get();
}

void WaitAtMost(std::future<void> future, const char* what) {
  if (future.wait_for(kStopLimit) != std::future_status::ready) {
    log::Warning("{} takes too long; the process ends without it", what);
    _exit(1);  // as a crash would: the others take over
  }
}

Replica::Dependencies Wire(const Config& config, ThreadPool& pool, KvEnginePtr engine) {
  Replica::Dependencies deps;
  deps.ha_executor = pool.NewExecutor();
  deps.rest_executor = pool.NewExecutor();
  deps.new_executor = [&pool] { return pool.NewExecutor(); };
  deps.coordination =
      NewZooKeeperClient({config.Get(options::kZooKeeperQuorum),
                          config.Get(options::kZooKeeperSessionTimeout), deps.ha_executor});
  deps.frames = NewAsioFrameTransport(pool);
  deps.http = NewBeastHttpTransport(pool, {});
  deps.engine = std::move(engine);
  deps.random = NewSystemRandom();
  return deps;
}

absl::StatusOr<KvEnginePtr> OpenStore(const Config& config) {
  const std::string directory = config.Get(options::kStoreDirectory);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return Unavailable("store.directory {}: {}", directory, error.message());
  return OpenRocksDbKvEngine(directory, BlobFamilies());
}

int Serve(const Config& config) {
  if (config.Get(options::kHaType) != "zookeeper") {
    return Fail(InvalidArgument(
        "high-availability.type none is not supported yet; set high-availability.type: zookeeper "
        "and high-availability.zookeeper.quorum"));
  }
  auto engine = OpenStore(config);
  if (!engine.ok()) return Fail(engine.status());
  ThreadPool pool(static_cast<size_t>(config.Get(options::kIoThreads)));
  Replica::Dependencies deps = Wire(config, pool, *std::move(engine));
  const ExecutorPtr executor = deps.ha_executor;
  const std::shared_ptr<Replica> replica =
      Replica::New(std::move(deps), ReplicaSettingsFrom(config));

  auto server = StartHttpServer(
      pool, fmt::format("{}:{}", config.Get(options::kRestAddress), config.Get(options::kRestPort)),
      HttpServerLimitsFrom(config), replica->rest());
  if (!server.ok()) return Fail(server.status());
  std::string rest_address = config.Get(options::kRestAdvertisedAddress);
  if (rest_address.empty()) rest_address = (*server)->address();
  const absl::Status started = RunOn(executor, [&] { return replica->Start(rest_address); });
  if (!started.ok()) return Fail(started);
  const absl::Status ready = WriteReadyFile(
      config.Get(options::kReadyFile), fmt::format(R"({{"pid":{},"rest":"{}","rpc":"{}"}})",
                                                   getpid(), rest_address, replica->rpc_address()));
  if (!ready.ok()) log::Warning("{}", Message(ready));

  log::Info("stopping signal={}", WaitForSignal());
  std::promise<void> left, drained;
  executor->Post([&] { replica->Stop([&] { left.set_value(); }); });
  WaitAtMost(left.get_future(), "leaving the cluster");
  (*server)->Stop(kDrain, [&] { drained.set_value(); });
  WaitAtMost(drained.get_future(), "finishing the requests");
  log::Info("stopped");
  return 0;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  return baton::Serve(
      baton::StartDaemon("baton-dispatcher", "A replica of Baton's dispatcher.", argc, argv));
}
