// baton-dispatcher: one replica; without ZooKeeper the whole cluster in one process.

#include <unistd.h>

#include <future>

#include "absl/strings/match.h"
#include "base/asio_executor.h"
#include "base/config_options.h"
#include "base/directory_lock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "entrypoint/daemon.h"
#include "entrypoint/directories.h"
#include "entrypoint/embedded_mode.h"
#include "entrypoint/force_admission.h"
#include "entrypoint/pools.h"
#include "entrypoint/replica.h"
#include "entrypoint/replica_config.h"
#include "entrypoint/version.h"
#include "entrypoint/watchdog.h"
#include "fmt/format.h"
#include "ha/zookeeper_client.h"
#include "rest/beast_server.h"
#include "rest/beast_transport.h"
#include "rpc/asio_frame_transport.h"
#include "store/kv_journal.h"
#include "store/store_directory.h"

namespace baton {
namespace {

constexpr Duration kDrain = std::chrono::seconds(5);
// Links, connections to other replicas, the store.
constexpr uint64_t kOtherFiles = 4'000;
constexpr Duration kStopLimit = std::chrono::seconds(20);
constexpr int kHungExitCode = 86;

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

bool IsEmbedded(const Config& config) { return config.Get(options::kHaType) == "none"; }

absl::StatusOr<KvEnginePtr> OpenStore(const Config& config) {
  std::vector<std::string> families = StoreFamilies();
  families.push_back(JournalFamily());
  const bool is_alone = IsEmbedded(config);
  return OpenStoreDirectory(StoreDirectoryOf(config), families,
                            is_alone ? WhenDamaged::kRefuse : WhenDamaged::kSetAside);
}

Replica::Dependencies Wire(Pools& pools, const KvEnginePtr& engine) {
  Replica::Dependencies deps;
  deps.ha_executor = pools.punctual.NewExecutor();
  deps.store_executor = pools.shared.NewExecutor();
  deps.rest_executor = pools.shared.NewExecutor();
  deps.large_bodies = pools.aside.NewExecutor();
  deps.new_executor = [&pool = pools.shared] { return pool.NewExecutor(); };
  deps.frames = NewAsioFrameTransport(pools.punctual);
  deps.http = NewBeastHttpTransport(pools.shared, {});
  deps.engine = engine;
  deps.random = NewSystemRandom();
  return deps;
}

[[noreturn]] void EndHungProcess() {
  log::Error("the event loop hangs: the process ends, so that another one leads");
  _exit(kHungExitCode);
}

std::shared_ptr<Watchdog> StartWatchdog(ThreadPool& pool, const std::shared_ptr<Replica>& replica) {
  auto watchdog = std::make_shared<Watchdog>(
      pool.NewExecutor(), [replica](Task done) { replica->PassThroughStrands(std::move(done)); },
      EndHungProcess);
  watchdog->Start();
  return watchdog;
}

// The commonest reason not to start: something listens there already.
absl::Status WithAdvice(const absl::Status& why, std::string_view key) {
  if (!absl::StrContains(why.message(), "in use")) return why;
  return Unavailable(
      "{}: another process has the port; stop it, or choose another one with -D {}=N "
      "(0: any free one)",
      Message(why), key);
}

// What a person needs who started it with no configuration at all.
void Welcome(const Config& config, const std::string& rest_address, uint32_t slots) {
  fmt::print(
      "\nBaton {} is ready.\n\n"
      "  REST       http://{}\n"
      "  data       {}\n"
      "  slots      {}\n\n"
      "Submit a job:\n"
      "  baton submit job.json --wait{}\n"
      "  curl http://{}/v1/jobs -H 'Content-Type: application/json' --data-binary @job.json\n\n"
      "Ctrl-C stops it and its tasks; jobs that have not ended go on when it is started again.\n\n",
      kVersion, rest_address, WorkingDirectoryOf(config), slots,
      rest_address == "127.0.0.1:8081" ? "" : " --server http://" + rest_address, rest_address);
  std::fflush(stdout);
}

void WriteReady(const Config& config, const std::string& rest, const std::string& rpc) {
  const absl::Status ready =
      WriteReadyFile(config.Get(options::kReadyFile),
                     fmt::format(R"({{"pid":{},"rest":"{}","rpc":"{}"}})", getpid(), rest, rpc));
  if (!ready.ok()) log::Warning("{}", Message(ready));
}

void StopAll(const ExecutorPtr& executor, const std::shared_ptr<Replica>& replica,
             HttpServer& server, EmbeddedMode* embedded) {
  std::promise<void> left, drained;
  executor->Post([&] { replica->Stop([&] { left.set_value(); }); });
  WaitAtMost(left.get_future(), "leaving the cluster");
  // Behind the end of the leadership: to the next one its tasks are lost with this process, not
  // failed or cancelled.
  if (embedded != nullptr) embedded->Stop();
  server.Stop(kDrain, [&] { drained.set_value(); });
  WaitAtMost(drained.get_future(), "finishing the requests");
}

// Its session with ZooKeeper; without, with the tree in this process, which is returned.
absl::StatusOr<std::unique_ptr<EmbeddedMode>> Coordinate(const Config& config, Pools& pools,
                                                         Replica::Dependencies& deps) {
  if (!IsEmbedded(config)) {
    deps.coordination =
        NewZooKeeperClient({config.Get(options::kZooKeeperQuorum),
                            config.Get(options::kZooKeeperSessionTimeout), deps.ha_executor});
    return nullptr;
  }
  auto embedded = EmbeddedMode::Open(config, pools.shared, deps.engine);
  if (embedded.ok()) deps.coordination = (*embedded)->NewClient(deps.ha_executor);
  return embedded;
}

ReplicaSettings SettingsFrom(const Config& config, ClusterSecretsPtr secrets) {
  ReplicaSettings settings =
      IsEmbedded(config) ? EmbeddedReplicaSettingsFrom(config) : ReplicaSettingsFrom(config);
  settings.secrets = std::move(secrets);
  return settings;
}

// Whoever waits for this process hears that it serves; embedded, once there is a worker too.
absl::Status Announce(const Config& config, const std::shared_ptr<Replica>& replica,
                      const std::string& rest_address, EmbeddedMode* embedded) {
  if (embedded == nullptr) {
    WriteReady(config, rest_address, replica->rpc_address());
    return absl::OkStatus();
  }
  return embedded->Join(replica,
                        [&config, rpc = replica->rpc_address(), rest_address](uint32_t slots) {
                          WriteReady(config, rest_address, rpc);
                          Welcome(config, rest_address, slots);
                        });
}

int Serve(const Config& config) {
  const bool is_embedded = IsEmbedded(config);
  // First of all: with a second process in it, the worker would end the tasks of the first.
  std::unique_ptr<DirectoryLock> lock;
  if (is_embedded) {
    auto taken = DirectoryLock::Take(WorkingDirectoryOf(config), options::kWorkingDirectory.key);
    if (!taken.ok()) return Fail(taken.status());
    lock = *std::move(taken);
  }
  // Not with tasks of its own: they would inherit it, and what uses select() misbehaves then.
  if (!is_embedded) {
    RaiseFileLimit(static_cast<uint64_t>(config.Get(options::kRestMaxConnections)) + kOtherFiles);
  }
  auto secrets = LoadClusterSecrets(config);
  if (!secrets.ok()) return Fail(secrets.status());
  Pools pools(static_cast<size_t>(config.Get(options::kIoThreads)));
  auto engine = OpenStore(config);
  if (!engine.ok()) return Fail(engine.status());
  Threads threads(pools, **engine);
  Replica::Dependencies deps = Wire(pools, *engine);
  const ExecutorPtr executor = deps.ha_executor;
  const auto embedded = Coordinate(config, pools, deps);
  if (!embedded.ok()) return Fail(embedded.status());
  if (*secrets) KeepFresh(*secrets, pools.aside.NewExecutor());
  const std::shared_ptr<Replica> replica =
      Replica::New(std::move(deps), SettingsFrom(config, *secrets));

  auto server = StartHttpServer(
      pools.shared,
      fmt::format("{}:{}", config.Get(options::kRestAddress), config.Get(options::kRestPort)),
      HttpServerLimitsFrom(config), replica->rest());
  // What was made since stands on the threads.
  const auto fail = [&threads](const absl::Status& why) {
    threads.Stop();
    return Fail(why);
  };
  if (!server.ok()) return fail(WithAdvice(server.status(), options::kRestPort.key));
  std::string rest_address = config.Get(options::kRestAdvertisedAddress);
  if (rest_address.empty()) rest_address = (*server)->address();
  const absl::Status started = RunOn(executor, [&] { return replica->Start(rest_address); });
  if (!started.ok()) return fail(WithAdvice(started, options::kRpcPort.key));
  const absl::Status announced = Announce(config, replica, rest_address, embedded->get());
  if (!announced.ok()) return fail(announced);

  auto watchdog = StartWatchdog(pools.watchdog, replica);
  log::Info("stopping signal={}", WaitForSignal());
  watchdog = nullptr;  // how long stopping may take, WaitAtMost says
  StopAll(executor, replica, **server, embedded->get());
  threads.Stop();
  log::Info("stopped");
  return 0;
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  bool force_admission = false;
  const baton::DaemonFlag flag = {
      "--force-admission",
      "write this replica into the list of members and end (see `baton replica admit --help`)",
      &force_admission};
  const baton::Config config = baton::StartDaemon(
      "baton-dispatcher", "A replica of Baton's dispatcher.", argc, argv, {&flag, 1});
  return force_admission ? baton::RunForcedAdmission(config) : baton::Serve(config);
}
