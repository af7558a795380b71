#include "integration/http_exchange.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "base/status.h"

namespace baton::integration {
namespace {

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

absl::StatusOr<Socket> Connect(const std::string& address, std::chrono::milliseconds timeout) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return InvalidArgument("no port in \"{}\"", address);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string host = address.substr(0, colon);
  if (getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found) != 0) {
    return InvalidArgument("cannot resolve \"{}\"", address);
  }
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // The one timeout that a blocking connect knows; an address that is cut off never answers.
  const timeval most{timeout.count() / 1000, timeout.count() % 1000 * 1000};
  setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
  const int result = connect(socket.fd(), found->ai_addr, found->ai_addrlen);
  const int error = errno;
  freeaddrinfo(found);
  if (result != 0 && error == EINPROGRESS) return DeadlineExceeded("{} is silent", address);
  if (result != 0) return Unavailable("connect {}: {}", address, std::strerror(error));
  return socket;
}

// Reads what has come; false at the end of the stream.
absl::StatusOr<bool> ReadSome(int fd, std::string* received) {
  char buffer[65536];
  const ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (n > 0) {
    received->append(buffer, static_cast<size_t>(n));
    return true;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (n == 0) return false;
  return Unavailable("read: {}", std::strerror(errno));
}

// Empty until the response is whole.
std::optional<HttpReply> Parse(const std::string& received, bool ended) {
  const size_t head_end = received.find("\r\n\r\n");
  if (head_end == std::string::npos || received.size() < 12) return std::nullopt;
  HttpReply reply;
  reply.head = received.substr(0, head_end + 2);
  std::from_chars(received.data() + 9, received.data() + 12, reply.status);
  reply.body = received.substr(head_end + 4);
  const std::string length_text = reply.Header("Content-Length");
  size_t length = 0;
  const auto [end, error] =
      std::from_chars(length_text.data(), length_text.data() + length_text.size(), length);
  if (error != std::errc() || length_text.empty()) {
    if (!ended) return std::nullopt;  // the end of the stream ends the body
    return reply;
  }
  if (reply.body.size() < length) return std::nullopt;
  reply.body.resize(length);
  return reply;
}

}  // namespace

std::string HttpReply::Header(std::string_view name) const {
  size_t line = 0;
  while ((line = head.find("\r\n", line)) != std::string::npos) {
    line += 2;
    const size_t end = head.find("\r\n", line);
    const size_t colon = head.find(':', line);
    if (end == std::string::npos || colon == std::string::npos || colon > end) continue;
    if (colon - line != name.size() ||
        strncasecmp(head.data() + line, name.data(), name.size()) != 0) {
      continue;
    }
    const size_t value = head.find_first_not_of(' ', colon + 1);
    return value < end ? head.substr(value, end - value) : "";
  }
  return "";
}

absl::StatusOr<HttpReply> Exchange(const std::string& address, std::string_view bytes,
                                   std::chrono::milliseconds timeout) {
  return ExchangeInTwoParts(address, bytes, bytes.size(), true, timeout);
}

absl::StatusOr<HttpReply> ExchangeInTwoParts(const std::string& address, std::string_view bytes,
                                             size_t part, const std::atomic<bool>& go_on,
                                             std::chrono::milliseconds timeout) {
  auto socket = Connect(address, timeout);
  if (!socket.ok()) return socket.status();
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::string received;
  size_t sent = 0;
  bool sending = true;
  while (std::chrono::steady_clock::now() < deadline) {
    sending = sending && sent < bytes.size();
    const size_t now = go_on ? bytes.size() : part;
    const bool may_send = sending && sent < now;
    pollfd poller{socket->fd(), static_cast<short>(POLLIN | (may_send ? POLLOUT : 0)), 0};
    if (poll(&poller, 1, 50) <= 0) continue;
    if (may_send && (poller.revents & POLLOUT)) {
      const size_t chunk = std::min<size_t>(now - sent, 256 << 10);
      const ssize_t n = send(socket->fd(), bytes.data() + sent, chunk, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) sent += static_cast<size_t>(n);
      // The server stopped reading; its answer may have come all the same.
      if (n < 0 && errno != EAGAIN && errno != EINTR) sending = false;
    }
    if (!(poller.revents & (POLLIN | POLLHUP | POLLERR))) continue;
    auto more = ReadSome(socket->fd(), &received);
    if (auto reply = Parse(received, !more.ok() || !*more)) return *reply;
    if (!more.ok()) return more.status();
    if (!*more) return Unavailable("{} closed the connection without an answer", address);
  }
  return DeadlineExceeded("{} did not answer", address);
}

std::string RequestBytes(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view headers) {
  std::string bytes;
  bytes.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n");
  bytes.append("Connection: close\r\n").append(headers);
  bytes.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
  return bytes.append(body);
}

absl::StatusOr<HttpReply> Get(const std::string& address, std::string_view target,
                              std::chrono::milliseconds timeout) {
  return Exchange(address, RequestBytes("GET", target, "", ""), timeout);
}

}  // namespace baton::integration
