#include "taskmanager/guardian/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <sstream>
#include <string_view>

#include "fmt/format.h"
#include "taskmanager/guardian/boot_time.h"

namespace baton::guardian {
namespace {

constexpr size_t kMaxProcFileBytes = 4 << 20;

std::optional<std::string> ReadProcFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::string content;
  char chunk[4096];
  ssize_t n;
  while ((n = read(fd, chunk, sizeof chunk)) > 0 && content.size() < kMaxProcFileBytes) {
    content.append(chunk, static_cast<size_t>(n));
  }
  close(fd);
  if (n < 0) return std::nullopt;
  return content;
}

// Numeric entries of a directory of /proc.
std::vector<pid_t> ListNumbers(const char* path) {
  std::vector<pid_t> numbers;
  DIR* dir = opendir(path);
  if (dir == nullptr) return numbers;
  while (const dirent* entry = readdir(dir)) {
    const std::string_view name = entry->d_name;
    pid_t number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc() && end == name.data() + name.size()) numbers.push_back(number);
  }
  closedir(dir);
  return numbers;
}

// /proc/self/task/<tid>/children, where the kernel was built with it (CONFIG_PROC_CHILDREN): one
// short read instead of one for every process of the host. Only we reap our children, so the file
// is complete.
bool ListChildrenFast(std::vector<pid_t>* children) {
  for (pid_t thread : ListNumbers("/proc/self/task")) {
    const auto text = ReadProcFile(fmt::format("/proc/self/task/{}/children", thread));
    if (!text) return false;
    std::istringstream in(*text);
    pid_t pid;
    while (in >> pid) children->push_back(pid);
  }
  return true;
}

}  // namespace

std::optional<ProcessStat> ReadProcessStat(pid_t pid) {
  const auto text = ReadProcFile(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  // The command's name, in parentheses, may hold anything: count the fields behind the last ')'.
  const size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text->substr(name_end + 1));
  ProcessStat stat;
  std::string field;
  for (int number = 3; fields >> field; ++number) {
    if (number == 3) stat.state = field[0];
    if (number == 4) stat.parent = std::atoi(field.c_str());
    if (number == 22) stat.start_ticks = std::strtoull(field.c_str(), nullptr, 10);
    if (number == 42) stat.block_io_ticks = std::atoll(field.c_str());
  }
  return stat;
}

std::optional<std::string> ReadEnvironment(pid_t pid, const std::string& name) {
  const auto text = ReadProcFile(fmt::format("/proc/{}/environ", pid));
  if (!text) return std::nullopt;
  const std::string start = name + "=";
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view entry = rest.substr(0, rest.find('\0'));
    if (entry.starts_with(start)) return std::string(entry.substr(start.size()));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
  }
  return std::nullopt;
}

std::vector<pid_t> ListProcesses() { return ListNumbers("/proc"); }

std::vector<pid_t> ListChildren() {
  std::vector<pid_t> children;
  static const bool fast = ListChildrenFast(&children);
  if (fast) {
    children.clear();
    ListChildrenFast(&children);
    return children;
  }
  const pid_t self = getpid();
  for (pid_t pid : ListProcesses()) {
    const auto stat = ReadProcessStat(pid);
    if (stat && stat->parent == self) children.push_back(pid);
  }
  return children;
}

void BecomeSubreaper() { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

bool KillAndReapAllChildren(Duration limit) {
  const TimePoint deadline = BootNow() + limit;
  while (true) {
    for (pid_t child : ListChildren()) kill(child, SIGKILL);
    pid_t reaped;
    do {
      reaped = waitpid(-1, nullptr, WNOHANG);
    } while (reaped > 0);
    if (reaped < 0 && errno == ECHILD) return true;
    if (BootNow() >= deadline) return false;
    poll(nullptr, 0, 1);  // the kernel ends them; their orphans arrive here meanwhile
  }
}

bool KillAndAwait(pid_t pid, uint64_t start_ticks, Duration limit) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return errno == ESRCH;
  // Only now does the pidfd hold the pid: compare after opening.
  const auto stat = ReadProcessStat(pid);
  bool gone = !stat || stat->start_ticks != start_ticks;
  if (!gone && syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0) == 0) {
    pollfd ended{.fd = fd, .events = POLLIN};
    gone = poll(&ended, 1, static_cast<int>(ToMillis(limit))) == 1;
  }
  close(fd);
  return gone;
}

}  // namespace baton::guardian
