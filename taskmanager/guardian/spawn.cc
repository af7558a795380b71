#include "taskmanager/guardian/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/status.h"

namespace baton::guardian {
namespace {

constexpr int kExecResultInChild = 3;

enum class Step : int { kDirectory, kExec };

struct Failure {
  Step step;
  int error;
};

rlimit descriptor_limit_of_tasks{};

struct Pipe {
  int read_end = -1;
  int write_end = -1;

  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read_end = ends[0], write_end = ends[1];
    fcntl(read_end, F_SETFL, O_NONBLOCK);
    return true;
  }
  void CloseRead() {
    if (read_end >= 0) close(read_end);
    read_end = -1;
  }
  void CloseWrite() {
    if (write_end >= 0) close(write_end);
    write_end = -1;
  }
};

struct Pipes {
  Pipe exec_result, out, err;

  bool Open() { return exec_result.Open() && out.Open() && err.Open(); }
  void CloseAll() {
    for (Pipe* pipe : {&exec_result, &out, &err}) pipe->CloseRead(), pipe->CloseWrite();
  }
};

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) pointers.push_back(const_cast<char*>(s.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

void OpenOnlyStandardStreams(const Pipes& pipes) {
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(null, STDIN_FILENO);
  dup2(pipes.out.write_end, STDOUT_FILENO);
  dup2(pipes.err.write_end, STDERR_FILENO);
  if (pipes.exec_result.write_end != kExecResultInChild) {
    dup3(pipes.exec_result.write_end, kExecResultInChild, O_CLOEXEC);
  }
  close_range(kExecResultInChild + 1, ~0U, 0);
}

void ResetSignals() {
  for (int signal_number = 1; signal_number < NSIG; ++signal_number) {
    signal(signal_number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The kernel's out-of-memory killer shall prefer a task to the guardian.
void VolunteerForOom() {
  const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t n = write(fd, "500", 3);
  close(fd);
}

[[noreturn]] void Fail(Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const ssize_t n = write(kExecResultInChild, &failure, sizeof failure);
  _exit(127);
}

[[noreturn]] void RunChild(const SpawnPlan& plan, const Pipes& pipes, pid_t guardian) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The guardian may have died before prctl: then nobody sends that signal.
  if (getppid() != guardian) _exit(127);
  setsid();
  // A task that changed its user by a setuid program could not be killed any more.
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  VolunteerForOom();
  OpenOnlyStandardStreams(pipes);
  setrlimit(RLIMIT_NOFILE, &descriptor_limit_of_tasks);
  umask(022);
  if (chdir(plan.directory.c_str()) != 0) Fail(Step::kDirectory);
  auto arguments = Pointers(plan.command);
  auto environment = Pointers(plan.environment);
  environ = environment.data();  // execvp searches the PATH of the task, not ours
  ResetSignals();
  execvp(arguments[0], arguments.data());
  Fail(Step::kExec);
}

}  // namespace

void PrepareToSpawn() {
  getrlimit(RLIMIT_NOFILE, &descriptor_limit_of_tasks);
  rlimit raised = descriptor_limit_of_tasks;
  raised.rlim_cur = raised.rlim_max;
  setrlimit(RLIMIT_NOFILE, &raised);
  signal(SIGPIPE, SIG_IGN);
}

absl::StatusOr<Spawned> Spawn(const SpawnPlan& plan) {
  Pipes pipes;
  if (!pipes.Open()) {
    const int error = errno;
    pipes.CloseAll();
    return ResourceExhausted("pipe: {}", std::strerror(error));
  }
  const pid_t guardian = getpid();
  const pid_t pid = fork();
  if (pid == 0) RunChild(plan, pipes, guardian);
  if (pid < 0) {
    const int error = errno;
    pipes.CloseAll();
    return ResourceExhausted("fork: {}", std::strerror(error));
  }
  for (Pipe* pipe : {&pipes.exec_result, &pipes.out, &pipes.err}) pipe->CloseWrite();
  return Spawned{pid, pipes.exec_result.read_end, pipes.out.read_end, pipes.err.read_end};
}

ExecState ReadExecState(int exec_result, const std::string& command, std::string* failure) {
  Failure read_failure;
  const ssize_t n = read(exec_result, &read_failure, sizeof read_failure);
  if (n < 0) return ExecState::kPending;
  if (n != sizeof read_failure) return ExecState::kRunning;
  const char* step = read_failure.step == Step::kExec ? "exec " : "enter the directory of ";
  *failure = step + command + ": " + std::strerror(read_failure.error);
  return ExecState::kFailed;
}

}  // namespace baton::guardian
