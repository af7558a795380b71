#include "cli/cluster/ports.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <utility>

#include "base/status.h"

namespace baton {
namespace {

constexpr int kLowest = 10'000;
constexpr int kAttempts = 2'000;

int FirstEphemeralPort() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  int first = 32'768;
  file >> first;
  return first;
}

// A socket bound to the port, or -1. Port 0: the kernel chooses.
int BindLoopback(uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // No SO_REUSEADDR: a port that anybody still uses in any way is not taken.
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

absl::StatusOr<PortReservation> PortReservation::Take(int count) {
  PortReservation taken;
  const int end = FirstEphemeralPort();
  const int begin = std::max(kLowest, end - 20'000);
  if (end - begin < 1'000) {
    return FailedPrecondition(
        "the kernel's range for outgoing connections begins at {}: no room for servers below it",
        end);
  }
  std::mt19937 random(std::random_device{}());
  std::uniform_int_distribution<int> any(begin, end - 1);
  for (int i = 0; i < kAttempts && std::ssize(taken.ports_) < count; ++i) {
    const auto port = static_cast<uint16_t>(any(random));
    const int fd = BindLoopback(port);
    if (fd < 0) continue;
    taken.ports_.push_back(port);
    taken.sockets_.push_back(fd);
  }
  if (std::ssize(taken.ports_) < count) return ResourceExhausted("no free ports on 127.0.0.1");
  return taken;
}

PortReservation::PortReservation(PortReservation&& other) noexcept
    : ports_(std::move(other.ports_)), sockets_(std::move(other.sockets_)) {
  other.sockets_.clear();
}

void PortReservation::Release() {
  for (const int fd : sockets_) close(fd);
  sockets_.clear();
}

}  // namespace baton
