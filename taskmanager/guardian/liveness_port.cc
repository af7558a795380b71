#include "taskmanager/guardian/liveness_port.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/status.h"

namespace baton::guardian {
namespace {

constexpr int kMaxAnswersAtOnce = 64;
constexpr int kBacklog = 128;

uint16_t BoundPort(int fd) {
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                           : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
}

int Listen(const addrinfo& candidate) {
  const int fd = socket(candidate.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, candidate.ai_addr, candidate.ai_addrlen) == 0 && listen(fd, kBacklog) == 0) {
    return fd;
  }
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

LivenessPort::~LivenessPort() {
  if (fd_ >= 0) close(fd_);
}

absl::Status LivenessPort::Open(const std::string& address, const std::string& incarnation) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return InvalidArgument("'{}' is no host:port", address);
  const std::string host = address.substr(0, colon), port = address.substr(colon + 1);
  std::string bare = host;  // [::1] without its brackets
  if (bare.size() > 2 && bare.front() == '[') bare = bare.substr(1, bare.size() - 2);
  addrinfo hints{.ai_flags = AI_PASSIVE, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(bare.c_str(), port.c_str(), &hints, &found); error != 0) {
    return InvalidArgument("liveness address {}: {}", address, gai_strerror(error));
  }
  fd_ = Listen(*found);
  const int error = errno;
  freeaddrinfo(found);
  if (fd_ < 0) return Unavailable("cannot listen on {}: {}", address, std::strerror(error));
  address_ = fmt::format("{}:{}", host, BoundPort(fd_));
  answer_ = std::string(3, '\0') + static_cast<char>(incarnation.size()) + incarnation;
  return absl::OkStatus();
}

void LivenessPort::Answer() {
  for (int i = 0; i < kMaxAnswersAtOnce; ++i) {
    const int peer = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (peer < 0) return;
    // A few bytes into an empty buffer: never short, never blocking.
    send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
    close(peer);
  }
}

}  // namespace baton::guardian
