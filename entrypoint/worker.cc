#include "entrypoint/worker.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>
#include <utility>

#include "base/config_options.h"
#include "base/log.h"
#include "base/status.h"
#include "entrypoint/daemon.h"
#include "entrypoint/directories.h"
#include "entrypoint/host_name.h"
#include "rpc/asio_frame_transport.h"

namespace baton {
namespace {

// Beyond the grace of the tasks; then the guardian ends them.
constexpr Duration kStopMargin = std::chrono::seconds(5);

absl::StatusOr<GuardianOptions> GuardianOptionsFrom(const Config& config, const std::string& id) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Unavailable("/proc/self/exe: {}", error.message());
  GuardianOptions guardian;
  guardian.binary = self.parent_path() / "baton-guardian";
  guardian.name = id;
  guardian.work_directory = TaskDirectoryOf(config);
  guardian.liveness_address = config.Get(options::kLivenessAddress);
  guardian.log_max_bytes = config.Get(options::kTaskLogMaxBytes).value;
  guardian.kill_grace = config.Get(options::kKillGrace);
  return guardian;
}

uint32_t SlotsFrom(const Config& config) {
  const auto configured = static_cast<uint32_t>(config.Get(options::kTaskSlots));
  return configured != 0 ? configured : std::max(1U, std::thread::hardware_concurrency());
}

TaskExecutorOptions TaskExecutorOptionsFrom(const Config& config) {
  TaskExecutorOptions executor;
  executor.cluster_id = config.Get(options::kClusterId);
  std::string id = config.Get(options::kTaskManagerId);
  if (id.empty()) {
    id = HostName() + ":" + TaskDirectoryOf(config);
    std::ranges::replace(id, '/', '_');  // it is a part of a znode's path
  }
  executor.id = TaskManagerId(id);
  executor.dispatchers = SplitList(config.Get(options::kDispatchers));
  executor.slots = SlotsFrom(config);
  executor.host = config.Get(options::kTaskManagerHost);
  executor.cpu_cores = std::thread::hardware_concurrency();
  executor.memory_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                          static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  executor.shared_directory = config.Get(options::kSharedDirectory);
  if (!executor.shared_directory.empty()) {
    executor.shared_directory = std::filesystem::absolute(executor.shared_directory);
  }
  const char* home = std::getenv("HOME");
  executor.environment = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                          {"HOME", home == nullptr ? "/" : home},
                          {"LANG", "C.UTF-8"}};
  executor.lease = config.Get(options::kLease);
  executor.heartbeat_interval = config.Get(options::kHeartbeatInterval);
  executor.kill_grace = config.Get(options::kKillGrace);
  return executor;
}

}  // namespace

absl::StatusOr<WorkerSettings> WorkerSettingsFrom(const Config& config) {
  WorkerSettings settings;
  settings.executor = TaskExecutorOptionsFrom(config);
  auto secrets = LoadClusterSecrets(config);
  if (!secrets.ok()) return secrets.status();
  settings.executor.secrets = *std::move(secrets);
  auto guardian = GuardianOptionsFrom(config, settings.executor.id.value());
  if (!guardian.ok()) return guardian.status();
  settings.guardian = *std::move(guardian);
  return settings;
}

absl::StatusOr<std::unique_ptr<Worker>> Worker::Start(ThreadPool& pool, WorkerSettings settings,
                                                      OnRegistered on_registered) {
  if (settings.executor.dispatchers.empty()) {
    return InvalidArgument("taskmanager.dispatchers names no dispatcher");
  }
  std::unique_ptr<Worker> worker(new Worker());
  worker->id_ = settings.executor.id;
  worker->slots_ = settings.executor.slots;
  worker->stop_limit_ = settings.executor.kill_grace + kStopMargin;
  worker->executor_ = pool.NewExecutor();
  if (settings.executor.secrets) KeepFresh(settings.executor.secrets, pool.NewExecutor());
  auto launcher =
      GuardianLauncher::Create(settings.guardian, worker->executor_, pool.NewExecutor());
  if (!launcher.ok()) return launcher.status();
  worker->launcher_ = *std::move(launcher);
  worker->task_executor_ =
      TaskExecutor::Create({.executor = worker->executor_,
                            .transport = NewAsioFrameTransport(pool),
                            .launcher = worker->launcher_,
                            .random = NewSystemRandom(),
                            .options = std::move(settings.executor)},
                           [worker = worker.get(), on_registered] { on_registered(*worker); });
  worker->executor_->Post([task_executor = worker->task_executor_] { task_executor->Start(); });
  log::Info("worker started id={} slots={} liveness={}", worker->id_.value(), worker->slots_,
            worker->liveness_address());
  return worker;
}

void Worker::Stop() {
  auto stopped = std::make_shared<std::promise<void>>();
  executor_->Post([task_executor = task_executor_, stopped] {
    task_executor->Stop([stopped] { stopped->set_value(); });
  });
  if (stopped->get_future().wait_for(stop_limit_) != std::future_status::ready) {
    log::Warning("tasks take too long to end; the guardian ends them");
  }
}

}  // namespace baton
