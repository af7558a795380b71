// baton-taskmanager: one worker. It starts baton-guardian, which stands beside it.

#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "base/asio_executor.h"
#include "base/config_options.h"
#include "base/log.h"
#include "base/status.h"
#include "entrypoint/daemon.h"
#include "nlohmann/json.hpp"
#include "rpc/asio_frame_transport.h"
#include "taskmanager/guardian_launcher.h"
#include "taskmanager/task_executor.h"

namespace baton {
namespace {

// Beyond the grace of the tasks; then the guardian ends them.
constexpr Duration kStopMargin = std::chrono::seconds(5);

int Fail(const absl::Status& why) {
  log::Error("baton-taskmanager cannot start: {}", Message(why));
  return 1;
}

std::string HostName() {
  char name[256] = "localhost";
  gethostname(name, sizeof name - 1);
  return name;
}

std::vector<std::string> SplitAddresses(const std::string& list) {
  std::vector<std::string> addresses;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    std::string address = list.substr(begin, end - begin);
    std::erase(address, ' ');
    if (!address.empty()) addresses.push_back(std::move(address));
    begin = end + 1;
  }
  return addresses;
}

absl::StatusOr<GuardianOptions> GuardianOptionsFrom(const Config& config, const std::string& id) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return Unavailable("/proc/self/exe: {}", error.message());
  GuardianOptions guardian;
  guardian.binary = self.parent_path() / "baton-guardian";
  guardian.name = id;
  guardian.work_directory = std::filesystem::absolute(config.Get(options::kWorkDirectory));
  guardian.liveness_address = config.Get(options::kLivenessAddress);
  guardian.log_max_bytes = config.Get(options::kTaskLogMaxBytes).value;
  guardian.kill_grace = config.Get(options::kKillGrace);
  return guardian;
}

absl::StatusOr<TaskExecutorOptions> TaskExecutorOptionsFrom(const Config& config) {
  TaskExecutorOptions executor;
  executor.cluster_id = config.Get(options::kClusterId);
  std::string id = config.Get(options::kTaskManagerId);
  if (id.empty()) {
    id = HostName() + ":" + std::filesystem::absolute(config.Get(options::kWorkDirectory)).string();
  }
  executor.id = TaskManagerId(id);
  executor.dispatchers = SplitAddresses(config.Get(options::kDispatchers));
  if (executor.dispatchers.empty()) {
    return InvalidArgument("taskmanager.dispatchers names no dispatcher");
  }
  executor.slots = static_cast<uint32_t>(config.Get(options::kTaskSlots));
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

// Says once that it serves: when a leader has registered it for the first time.
std::function<void()> ReadyOnce(const Config& config, const std::string& id,
                                std::weak_ptr<GuardianLauncher> launcher) {
  return [file = config.Get(options::kReadyFile), id, launcher, done = false]() mutable {
    const auto alive = launcher.lock();
    if (!alive || std::exchange(done, true)) return;
    const nlohmann::json ready = {
        {"pid", getpid()}, {"id", id}, {"liveness", alive->liveness_address()}};
    if (auto status = WriteReadyFile(file, ready.dump()); !status.ok()) {
      log::Warning("{}", Message(status));
    }
  };
}

void StopAndWait(const ExecutorPtr& executor, const std::shared_ptr<TaskExecutor>& task_executor,
                 Duration limit) {
  auto stopped = std::make_shared<std::promise<void>>();
  executor->Post(
      [task_executor, stopped] { task_executor->Stop([stopped] { stopped->set_value(); }); });
  if (stopped->get_future().wait_for(limit) != std::future_status::ready) {
    log::Warning("tasks take too long to end; the guardian ends them");
  }
}

int Serve(const Config& config) {
  auto executor_options = TaskExecutorOptionsFrom(config);
  if (!executor_options.ok()) return Fail(executor_options.status());
  const std::string id = executor_options->id.value();
  auto guardian_options = GuardianOptionsFrom(config, id);
  if (!guardian_options.ok()) return Fail(guardian_options.status());

  ThreadPool pool(static_cast<size_t>(config.Get(options::kIoThreads)));
  const ExecutorPtr executor = pool.NewExecutor();
  auto launcher = GuardianLauncher::Create(*guardian_options, executor, pool.NewExecutor());
  if (!launcher.ok()) return Fail(launcher.status());
  auto task_executor = TaskExecutor::Create({.executor = executor,
                                             .transport = NewAsioFrameTransport(pool),
                                             .launcher = *launcher,
                                             .random = NewSystemRandom(),
                                             .options = *executor_options},
                                            ReadyOnce(config, id, *launcher));
  executor->Post([task_executor] { task_executor->Start(); });
  log::Info("started id={} slots={} liveness={}", id, executor_options->slots,
            (*launcher)->liveness_address());

  log::Info("stopping signal={}", WaitForSignal());
  StopAndWait(executor, task_executor, executor_options->kill_grace + kStopMargin);
  pool.Stop();
  log::Info("stopped");
  return 0;  // dropping the launcher ends what is left
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  return baton::Serve(
      baton::StartDaemon("baton-taskmanager", "A worker of Baton: runs tasks.", argc, argv));
}
