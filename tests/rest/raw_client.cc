#include "tests/rest/raw_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "rest/http_address.h"

namespace baton {

RawClient::RawClient(const std::string& address) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  const HostAndPort parsed = *ParseHostAndPort(address);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(parsed.port)));
  inet_pton(AF_INET, parsed.host.c_str(), &to.sin_addr);
  const timeval deadline{30, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &deadline, sizeof(deadline));
  EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), received_(std::move(other.received_)) {}

RawClient::~RawClient() { Close(); }

void RawClient::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

void RawClient::Send(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return;  // the server closed; what it said can still be read
    sent += static_cast<size_t>(n);
  }
}

bool RawClient::ReadSome() {
  char buffer[4096];
  const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
  EXPECT_GE(n, 0) << "nothing came in time, or the connection was reset";
  if (n > 0) received_.append(buffer, static_cast<size_t>(n));
  return n > 0;
}

std::string RawClient::ReadUntil(const std::string& text) {
  size_t at;
  while ((at = received_.find(text)) == std::string::npos) {
    if (!ReadSome()) {
      ADD_FAILURE() << "expected '" << text << "', received '" << received_ << "'";
      return "";
    }
  }
  std::string all = received_.substr(0, at + text.size());
  received_.erase(0, all.size());
  return all;
}

std::string RawClient::ReadToEnd() {
  while (ReadSome()) {
  }
  return std::exchange(received_, "");
}

}  // namespace baton
