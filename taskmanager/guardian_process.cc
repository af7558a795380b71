#include "taskmanager/guardian_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/random.h"
#include "base/status.h"
#include "taskmanager/earlier_incarnation.h"
#include "taskmanager/guardian/guardian.pb.h"

namespace baton {
namespace {

constexpr int kSocketInGuardian = 3;
constexpr int kHelloTimeoutMs = 10'000;

// 0, or the errno.
int SpawnBinary(const GuardianOptions& options, int socket, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, socket, kSocketInGuardian);
  posix_spawn_file_actions_addclosefrom_np(&actions, kSocketInGuardian + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::string program = "baton-guardian", name = options.name;
  char* arguments[] = {program.data(), name.data(), nullptr};
  const int error =
      posix_spawn(pid, options.binary.c_str(), &actions, &attributes, arguments, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

absl::Status Configure(const GuardianOptions& options, GuardianProcess* process) {
  pb::GuardianRequest request;
  auto& configure = *request.mutable_configure();
  configure.set_task_root(options.task_root());
  configure.set_liveness_address(options.liveness_address);
  configure.set_incarnation(process->incarnation.value());
  configure.set_log_max_bytes(options.log_max_bytes);
  configure.set_kill_grace_ms(static_cast<uint64_t>(ToMillis(options.kill_grace)));
  if (auto status = process->socket->Queue(request.SerializeAsString()); !status.ok()) {
    return status;
  }
  return process->socket->Flush();
}

absl::Status AwaitHello(GuardianProcess* process) {
  std::optional<pb::GuardianHello> hello;
  while (!hello) {
    pollfd readable{.fd = process->socket->fd(), .events = POLLIN};
    if (poll(&readable, 1, kHelloTimeoutMs) != 1) return Unavailable("it does not answer");
    auto status = process->socket->Receive([&](std::string_view message) {
      pb::GuardianEvent event;
      event.ParseFromArray(message.data(), static_cast<int>(message.size()));
      if (event.has_hello()) hello = event.hello();
    });
    if (!status.ok()) return status;
  }
  if (!hello->failure().empty()) return Unavailable("{}", hello->failure());
  process->liveness_address = hello->liveness_address();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GuardianProcess> StartGuardian(const GuardianOptions& options) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return Unavailable("socketpair: {}", std::strerror(errno));
  }
  GuardianProcess process;
  process.incarnation = NewSystemRandom()->NewIncarnation();
  process.socket = std::make_unique<guardian::MessageSocket>(ends[0]);
  const int error = SpawnBinary(options, ends[1], &process.pid);
  close(ends[1]);
  if (error != 0) return Unavailable("cannot start {}: {}", options.binary, std::strerror(error));
  absl::Status status = Configure(options, &process);
  if (status.ok()) status = AwaitHello(&process);
  // Written before the first task: a later incarnation finds what this one leaves.
  if (status.ok())
    status = RecordGuardian(options.work_directory, process.pid, process.incarnation);
  if (!status.ok()) {
    kill(process.pid, SIGKILL);
    waitpid(process.pid, nullptr, 0);
    return Unavailable("guardian: {}", Message(status));
  }
  return process;
}

}  // namespace baton
