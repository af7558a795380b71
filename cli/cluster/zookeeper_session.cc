#include "cli/cluster/zookeeper_session.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fstream>

#include "base/status.h"

namespace baton {
namespace {

constexpr size_t kPasswordBytes = 16;
constexpr size_t kReplyHead = 4 + 4 + 8;  // protocol version, timeout, session id

// What java.util.Random draws. The server does not keep passwords: it draws them again from the
// session's id (ZooKeeperServer.generatePasswd).
std::string PasswordOf(int64_t session_id) {
  constexpr uint64_t kMask = (uint64_t{1} << 48) - 1;
  constexpr uint64_t kMultiplier = 0x5DEECE66D;
  constexpr uint64_t kServerSecret = 0xB3415C00;
  uint64_t state = (static_cast<uint64_t>(session_id) ^ kServerSecret ^ kMultiplier) & kMask;
  std::string password;
  while (password.size() < kPasswordBytes) {
    state = (state * kMultiplier + 0xB) & kMask;
    auto drawn = static_cast<int32_t>(state >> 16);
    for (int i = 0; i < 4; ++i, drawn >>= 8) password.push_back(static_cast<char>(drawn));
  }
  return password;
}

std::string BigEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

std::string Frame(const std::string& body) { return BigEndian(body.size(), 4) + body; }

int Connect(const std::string& address, std::chrono::seconds patience) {
  const auto colon = address.rfind(':');
  addrinfo* found = nullptr;
  if (getaddrinfo(address.substr(0, colon).c_str(), address.substr(colon + 1).c_str(), nullptr,
                  &found) != 0) {
    return -1;
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{.tv_sec = patience.count(), .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);  // of the connection too
  const bool connected = connect(fd, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (connected) return fd;
  close(fd);
  return -1;
}

// `bytes` bytes, or fewer when the server closes or is silent.
std::string Read(int fd, size_t bytes) {
  std::string text(bytes, '\0');
  size_t got = 0;
  while (got < bytes) {
    const ssize_t more = recv(fd, text.data() + got, bytes - got, 0);
    if (more <= 0) break;
    got += static_cast<size_t>(more);
  }
  text.resize(got);
  return text;
}

bool Write(int fd, const std::string& bytes) {
  return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == std::ssize(bytes);
}

// The ConnectRequest and the closing of ZooKeeper's protocol.
absl::Status JoinAndClose(int fd, int64_t session_id) {
  const auto id = static_cast<uint64_t>(session_id);
  const std::string join = BigEndian(0, 4) + BigEndian(0, 8) + BigEndian(10'000, 4) +
                           BigEndian(id, 8) + BigEndian(kPasswordBytes, 4) + PasswordOf(session_id);
  constexpr uint64_t kCloseSession = static_cast<uint32_t>(-11);
  const std::string end = BigEndian(1, 4) + BigEndian(kCloseSession, 4);
  // In one piece: its owner connects anew at once, and takes the session back.
  if (!Write(fd, Frame(join) + Frame(end))) return Unavailable("the server closed the connection");
  const std::string reply = Read(fd, 4 + kReplyHead);
  if (reply.size() < 4 + kReplyHead) return Unavailable("the server says nothing");
  if (reply.substr(12, 8) != BigEndian(id, 8)) {
    return FailedPrecondition("the server knows no session {:#x}", session_id);
  }
  while (!Read(fd, 1).empty()) continue;  // it closes when that is done
  return absl::OkStatus();
}

}  // namespace

int64_t LastSessionIn(const std::string& log_file) {
  constexpr std::string_view kKey = "connected to the coordination service session_id=";
  std::ifstream log(log_file);
  int64_t session = 0;
  for (std::string line; std::getline(log, line);) {
    const auto at = line.find(kKey);
    if (at != std::string::npos) {
      session = static_cast<int64_t>(std::stoull(line.substr(at + kKey.size()), nullptr, 16));
    }
  }
  return session;
}

absl::Status EndZooKeeperSession(const std::string& address, int64_t session_id,
                                 std::chrono::seconds patience) {
  const int fd = Connect(address, patience);
  if (fd < 0) return Unavailable("cannot connect to {}", address);
  absl::Status status = JoinAndClose(fd, session_id);
  close(fd);
  return status;
}

}  // namespace baton
