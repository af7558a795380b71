#include "cli/cluster/process.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/status.h"

namespace baton {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  void Reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> MergedEnvironment(const std::map<std::string, std::string>& added) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text(*entry);
    if (!added.contains(text.substr(0, text.find('=')))) merged.push_back(text);
  }
  for (const auto& [name, value] : added) merged.push_back(name + "=" + value);
  return merged;
}

// Everything the child needs, made before the fork: this process has other threads, so the child
// may only make system calls until it executes.
struct ChildPlan {
  std::vector<char*> argv;
  std::vector<char*> env;
  const char* directory;
  int null_fd;
  int log_fd;
  int error_fd;
  int network_fd;  // -1: stay in this network
  pid_t parent;
  Lifetime lifetime;
};

[[noreturn]] void RunChild(const ChildPlan& plan) {
  const auto give_up = [&plan] {
    const int error = errno;
    (void)!write(plan.error_fd, &error, sizeof error);
    _exit(127);
  };
  if (plan.lifetime == Lifetime::kWithThisProcess) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != plan.parent) _exit(127);  // it died before prctl
  }
  if (plan.network_fd >= 0 && setns(plan.network_fd, CLONE_NEWNET) != 0) give_up();
  setsid();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) ::signal(signal, SIG_DFL);
  }
  if (chdir(plan.directory) != 0) give_up();
  if (dup2(plan.null_fd, 0) < 0 || dup2(plan.log_fd, 1) < 0 || dup2(plan.log_fd, 2) < 0) give_up();
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execve(plan.argv[0], plan.argv.data(), plan.env.data());
  give_up();
  _exit(127);
}

// The fields of a stat file of /proc from the third on (the second, the name, may contain
// anything).
std::optional<std::vector<std::string>> StatFields(const std::filesystem::path& directory) {
  std::ifstream file(directory / "stat");
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return std::nullopt;
  const std::string line = text.str();
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream rest(line.substr(name_end + 1));
  std::vector<std::string> fields;
  for (std::string field; rest >> field;) fields.push_back(field);
  return fields;
}

std::optional<std::vector<std::string>> StatFields(pid_t pid) {
  return StatFields("/proc/" + std::to_string(pid));
}

// The start time, also of a zombie.
std::optional<uint64_t> RawStartTime(pid_t pid) {
  const auto fields = StatFields(pid);
  if (!fields || fields->size() < 20) return std::nullopt;
  return std::stoull((*fields)[19]);
}

}  // namespace

absl::StatusOr<ProcessId> Spawn(const SpawnSpec& spec) {
  const std::vector<std::string> env = MergedEnvironment(spec.env);
  Fd null_fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  Fd log_fd(open(spec.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (log_fd.get() < 0) return Internal("{}: {}", spec.log_file, std::strerror(errno));
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return Internal("pipe: {}", std::strerror(errno));
  Fd read_end(pipe_fds[0]);
  Fd write_end(pipe_fds[1]);
  Fd network_fd(spec.network_namespace.empty()
                    ? -1
                    : open(spec.network_namespace.c_str(), O_RDONLY | O_CLOEXEC));
  if (network_fd.get() < 0 && !spec.network_namespace.empty()) {
    return FailedPrecondition("its host {} is gone: {}", spec.network_namespace,
                              std::strerror(errno));
  }
  const ChildPlan plan{Pointers(spec.argv), Pointers(env), spec.directory.c_str(),
                       null_fd.get(),       log_fd.get(),  write_end.get(),
                       network_fd.get(),    getpid(),      spec.lifetime};
  const pid_t pid = fork();
  if (pid < 0) return Internal("fork: {}", std::strerror(errno));
  if (pid == 0) RunChild(plan);
  write_end.Reset();
  int error = 0;
  ssize_t got;
  do {
    got = read(read_end.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof error) {
    waitpid(pid, nullptr, 0);
    return error == ENOENT ? NotFound("cannot execute {}: no such file", spec.argv[0])
                           : Internal("cannot execute {}: {}", spec.argv[0], std::strerror(error));
  }
  return ProcessId{pid, RawStartTime(pid).value_or(0)};
}

ProcessId ThisProcess() { return {getpid(), RawStartTime(getpid()).value_or(0)}; }

std::optional<uint64_t> StartTimeOf(pid_t pid) {
  const auto fields = StatFields(pid);
  if (!fields || fields->size() < 20) return std::nullopt;
  // The first thread of a process becomes a zombie before the others have ended: until then its
  // ports and locks are still held.
  const bool last_thread = std::stoul((*fields)[17]) <= 1;
  if (((*fields)[0] == "Z" && last_thread) || (*fields)[0] == "X") return std::nullopt;
  return std::stoull((*fields)[19]);
}

bool IsAlive(const ProcessId& process) {
  return process.pid > 0 && StartTimeOf(process.pid) == process.start_time;
}

absl::Status SendSignal(const ProcessId& process, int signal) {
  // The descriptor pins whoever has the pid now; only then is the start time compared, so that no
  // reuse of the pid can slip in between.
  Fd handle(static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)));
  if (handle.get() < 0 || !IsAlive(process)) {
    return NotFound("process {} is not running any more", process.pid);
  }
  if (syscall(SYS_pidfd_send_signal, handle.get(), signal, nullptr, 0) != 0) {
    return Internal("{} to process {}: {}", SignalName(signal), process.pid, std::strerror(errno));
  }
  return absl::OkStatus();
}

bool IsStopped(const ProcessId& process) {
  if (!IsAlive(process)) return false;
  std::error_code error;
  const std::string threads = "/proc/" + std::to_string(process.pid) + "/task";
  for (const auto& thread : std::filesystem::directory_iterator(threads, error)) {
    const auto fields = StatFields(thread.path());
    if (!fields || fields->empty()) continue;  // it has ended
    const std::string& state = fields->front();
    if (state != "T" && state != "Z" && state != "X") return false;
  }
  return !error;
}

std::optional<std::string> ReapIfEnded(const ProcessId& process) {
  if (RawStartTime(process.pid) != process.start_time) return std::nullopt;
  int status = 0;
  if (waitpid(process.pid, &status, WNOHANG) != process.pid) return std::nullopt;
  if (WIFSIGNALED(status)) return SignalName(WTERMSIG(status));
  return fmt::format("exit {}", WEXITSTATUS(status));
}

std::string SignalName(int signal) {
  const char* name = sigabbrev_np(signal);
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

}  // namespace baton
