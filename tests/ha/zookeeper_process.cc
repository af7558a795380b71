#include "tests/ha/zookeeper_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/status.h"

namespace baton::testing {
namespace {

constexpr char kJava[] = "/usr/bin/java";
constexpr char kServerJar[] = "/usr/share/java/zookeeper.jar";
constexpr char kClassPath[] = "/usr/share/java/zookeeper.jar:/usr/share/java/*";
constexpr auto kStartLimit = std::chrono::seconds(60);
constexpr int kPollMillis = 20;
constexpr int kPortAttempts = 5;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// Free now; somebody else may take it before the server does.
uint16_t FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) std::abort();
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) std::abort();
  close(fd);
  return ntohs(address.sin_port);
}

// Whether a ZooKeeper server that serves answers there.
bool Serves(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  char answer[64] = {};
  bool serves = false;
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      send(fd, "srvr", 4, MSG_NOSIGNAL) == 4) {
    pollfd readable{fd, POLLIN, 0};
    serves = poll(&readable, 1, 1000) == 1 && recv(fd, answer, sizeof(answer) - 1, 0) > 0 &&
             std::string(answer).starts_with("Zookeeper version");
  }
  close(fd);
  return serves;
}

}  // namespace

ZooKeeperProcess::~ZooKeeperProcess() {
  Kill();
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

std::string ZooKeeperProcess::address() const { return fmt::format("127.0.0.1:{}", port_); }

absl::Status ZooKeeperProcess::Start() {
  if (access(kJava, X_OK) != 0) return FailedPrecondition("there is no {}", kJava);
  if (access(kServerJar, R_OK) != 0) return FailedPrecondition("there is no {}", kServerJar);
  absl::Status status;
  for (int attempt = 0; attempt < kPortAttempts; ++attempt) {
    port_ = FreePort();
    status = Prepare();
    if (status.ok()) status = Launch();
    if (status.ok()) return status;
  }
  return status;
}

absl::Status ZooKeeperProcess::Restart() { return Launch(); }

absl::Status ZooKeeperProcess::Prepare() {
  if (directory_.empty()) {
    std::string pattern = (std::filesystem::temp_directory_path() / "zookeeper-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return Unavailable("cannot make {}", pattern);
    directory_ = pattern;
  }
  std::ofstream config(directory_ + "/zoo.cfg");
  config << "tickTime=200\n"
         << "dataDir=" << directory_ << "/data\n"
         << "clientPort=" << port_ << "\n"
         << "clientPortAddress=127.0.0.1\n"
         << "admin.enableServer=false\n"
         << "4lw.commands.whitelist=*\n"
         << "maxClientCnxns=0\n";
  config.close();
  return config ? absl::OkStatus() : Unavailable("cannot write {}/zoo.cfg", directory_);
}

absl::Status ZooKeeperProcess::Launch() {
  const std::string config = directory_ + "/zoo.cfg";
  const std::string log = directory_ + "/server.log";
  std::vector<const char*> arguments = {kJava,
                                        "-Xmx128m",
                                        "-XX:+UseSerialGC",
                                        "-XX:TieredStopAtLevel=1",
                                        "-XX:-UsePerfData",
                                        "-cp",
                                        kClassPath,
                                        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                                        config.c_str(),
                                        nullptr};
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) return Unavailable("cannot fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(kJava, const_cast<char**>(arguments.data()));
    _exit(127);
  }
  return WaitUntilItServes();
}

absl::Status ZooKeeperProcess::WaitUntilItServes() {
  const int pid_fd = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  const auto deadline = std::chrono::steady_clock::now() + kStartLimit;
  absl::Status status = DeadlineExceeded("ZooKeeper did not serve within a minute");
  while (std::chrono::steady_clock::now() < deadline) {
    if (Serves(port_)) {
      status = absl::OkStatus();
      break;
    }
    pollfd ended{pid_fd, POLLIN, 0};
    if (poll(&ended, 1, kPollMillis) == 1) {
      status = Unavailable("ZooKeeper ended at its start (port {})", port_);
      break;
    }
  }
  close(pid_fd);
  if (!status.ok()) Kill();
  return status;
}

void ZooKeeperProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ZooKeeperProcess::Pause() { kill(pid_, SIGSTOP); }
void ZooKeeperProcess::Resume() { kill(pid_, SIGCONT); }

}  // namespace baton::testing
