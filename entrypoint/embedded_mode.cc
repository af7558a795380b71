#include "entrypoint/embedded_mode.h"

#include <filesystem>
#include <future>
#include <utility>

#include "base/config_options.h"
#include "base/log.h"
#include "base/status.h"
#include "entrypoint/directories.h"
#include "entrypoint/replica_config.h"
#include "entrypoint/sole_member.h"
#include "fmt/format.h"
#include "store/kv_journal.h"
#include "store/store_directory.h"

namespace baton {
namespace {

constexpr char kDefaultName[] = "local";
constexpr Duration kClaimLimit = std::chrono::seconds(30);
constexpr Duration kLeaderPoll = std::chrono::milliseconds(20);

std::string OwnWorkerId(const Config& config) {
  const std::string configured = config.Get(options::kTaskManagerId);
  return configured.empty() ? kDefaultName : configured;
}

template <class F>
void WhenLeading(const std::shared_ptr<Replica>& replica, const ExecutorPtr& executor, F then) {
  if (replica->View().self_leads) return then();
  executor->PostAfter(kLeaderPoll,
                      [weak = std::weak_ptr(replica), executor, then = std::move(then)]() mutable {
                        if (auto alive = weak.lock()) WhenLeading(alive, executor, std::move(then));
                      });
}

}  // namespace

ReplicaSettings EmbeddedReplicaSettingsFrom(const Config& config) {
  ReplicaSettings settings = ReplicaSettingsFrom(config);
  if (config.Get(options::kReplicaId).empty()) settings.id = ReplicaId(kDefaultName);
  // Nobody but the worker inside has to find it, so no port has to be agreed on.
  if (!config.IsSet(options::kRpcPort)) {
    settings.rpc_bind_address = fmt::format("{}:0", config.Get(options::kRpcAddress));
  }
  settings.store.replicas = ReplicaSet::kAlone;
  return settings;
}

absl::StatusOr<std::unique_ptr<EmbeddedMode>> EmbeddedMode::Open(const Config& config,
                                                                 ThreadPool& pool,
                                                                 const KvEnginePtr& engine) {
  std::promise<absl::StatusOr<EmbeddedCoordinationServerPtr>> recovered;
  const JournalPtr journal = NewKvJournal(engine);
  RecoverEmbeddedCoordination(pool.NewExecutor(), journal,
                              [&](auto server) { recovered.set_value(std::move(server)); });
  auto server = recovered.get_future().get();
  if (absl::IsDataLoss(server.status())) {
    return DataLoss("{}. {}", Message(server.status()),
                    AdviceForLoneStore(StoreDirectoryOf(config)));
  }
  if (!server.ok()) return server.status();
  std::unique_ptr<EmbeddedMode> mode(new EmbeddedMode(config, pool));
  mode->server_ = *std::move(server);
  return mode;
}

CoordinationClientPtr EmbeddedMode::NewClient(ExecutorPtr executor) const {
  return NewEmbeddedClient(server_, std::move(executor),
                           config_.Get(options::kZooKeeperSessionTimeout));
}

absl::Status EmbeddedMode::Join(const std::shared_ptr<Replica>& replica, OnReady on_ready) {
  if (auto status = Claim(*replica); !status.ok()) return status;
  if (config_.Get(options::kEmbeddedTaskManager)) {
    return StartWorker(replica->rpc_address(), std::move(on_ready));
  }
  const ExecutorPtr executor = pool_.NewExecutor();
  executor->Post([replica, executor, on_ready = std::move(on_ready)]() mutable {
    WhenLeading(replica, executor, [on_ready = std::move(on_ready)] { on_ready(0); });
  });
  return absl::OkStatus();
}

absl::Status EmbeddedMode::Claim(const Replica& replica) {
  SoleMember member;
  member.self.set_replica_id(EmbeddedReplicaSettingsFrom(config_).id.value());
  member.self.set_rpc_address(replica.rpc_address());
  member.own_worker = OwnWorkerId(config_);
  const CoordinationPaths paths(config_.Get(options::kZooKeeperRoot),
                                config_.Get(options::kClusterId));
  auto claimed = std::make_shared<std::promise<absl::Status>>();
  const CoordinationClientPtr client = NewClient(pool_.NewExecutor());
  client->Start([client = client.get(), paths, member, claimed,
                 asked = false](const SessionEvent& event) mutable {
    if (event.state != SessionState::kConnected || std::exchange(asked, true)) return;
    ClaimMembership(*client, paths, member,
                    [claimed](absl::Status status) { claimed->set_value(std::move(status)); });
  });
  auto future = claimed->get_future();
  const bool answered = future.wait_for(kClaimLimit) == std::future_status::ready;
  client->Close();
  return answered ? future.get() : DeadlineExceeded("the journal does not answer");
}

absl::Status EmbeddedMode::StartWorker(const std::string& dispatcher, OnReady on_ready) {
  auto settings = WorkerSettingsFrom(config_);
  if (!settings.ok()) return settings.status();
  settings->executor.id = TaskManagerId(OwnWorkerId(config_));
  settings->guardian.name = settings->executor.id.value();
  settings->executor.dispatchers = {dispatcher};
  const std::string shared = OwnSharedDirectoryOf(config_);
  std::error_code error;
  std::filesystem::create_directories(shared, error);
  if (error) return Unavailable("cannot make the directory {}: {}", shared, error.message());
  settings->executor.shared_directory = shared;
  auto worker =
      Worker::Start(pool_, *std::move(settings),
                    [on_ready = std::move(on_ready), done = false](const Worker& self) mutable {
                      if (!std::exchange(done, true)) on_ready(self.slots());
                    });
  if (!worker.ok()) return At("the worker", worker.status());
  worker_ = *std::move(worker);
  return absl::OkStatus();
}

void EmbeddedMode::Stop() {
  if (worker_) worker_->Stop();
}

}  // namespace baton
