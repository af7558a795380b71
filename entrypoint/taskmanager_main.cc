// baton-taskmanager: one worker. It starts baton-guardian, which stands beside it.

#include <unistd.h>

#include <utility>

#include "base/asio_executor.h"
#include "base/config_options.h"
#include "base/log.h"
#include "base/status.h"
#include "entrypoint/daemon.h"
#include "entrypoint/worker.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

int Fail(const absl::Status& why) {
  log::Error("baton-taskmanager cannot start: {}", Message(why));
  return 1;
}

// It serves when a leader has registered it for the first time; said once.
void WriteReady(const Config& config, const Worker& worker) {
  const nlohmann::json ready = {
      {"pid", getpid()}, {"id", worker.id().value()}, {"liveness", worker.liveness_address()}};
  if (auto status = WriteReadyFile(config.Get(options::kReadyFile), ready.dump()); !status.ok()) {
    log::Warning("{}", Message(status));
  }
}

int Serve(const Config& config) {
  auto settings = WorkerSettingsFrom(config);
  if (!settings.ok()) return Fail(settings.status());
  ThreadPool pool(static_cast<size_t>(config.Get(options::kIoThreads)));
  auto worker =
      Worker::Start(pool, *std::move(settings), [config, done = false](const Worker& self) mutable {
        if (!std::exchange(done, true)) WriteReady(config, self);
      });
  if (!worker.ok()) return Fail(worker.status());

  log::Info("stopping signal={}", WaitForSignal());
  (*worker)->Stop();
  pool.Stop();
  log::Info("stopped");
  return 0;  // dropping the worker ends what is left
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  return baton::Serve(
      baton::StartDaemon("baton-taskmanager", "A worker of Baton: runs tasks.", argc, argv));
}
