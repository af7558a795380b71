#include "taskmanager/guardian/message_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "base/status.h"

namespace baton::guardian {
namespace {

constexpr size_t kHeaderBytes = 4;
constexpr size_t kReadBytes = 64 << 10;

size_t DecodeLength(std::string_view header) {
  size_t length = 0;
  for (size_t i = 0; i < kHeaderBytes; ++i) length = length << 8 | static_cast<uint8_t>(header[i]);
  return length;
}

}  // namespace

MessageSocket::MessageSocket(int fd) : fd_(fd) {
  fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
}

MessageSocket::~MessageSocket() { close(fd_); }

absl::Status MessageSocket::Receive(const std::function<void(std::string_view)>& on_message) {
  const size_t old_size = in_.size();
  in_.resize(old_size + kReadBytes);
  const ssize_t n = recv(fd_, in_.data() + old_size, kReadBytes, 0);
  const int error = errno;
  in_.resize(old_size + (n > 0 ? static_cast<size_t>(n) : 0));
  if (n == 0) return Aborted("the other side closed");
  if (n < 0) {
    if (error == EAGAIN || error == EINTR) return absl::OkStatus();
    return Aborted("recv: {}", std::strerror(error));
  }
  size_t taken = 0;
  while (in_.size() - taken >= kHeaderBytes) {
    const std::string_view rest = std::string_view(in_).substr(taken);
    const size_t length = DecodeLength(rest);
    if (length > kMaxMessageBytes) return Aborted("a message of {} bytes", length);
    if (rest.size() < kHeaderBytes + length) break;
    on_message(rest.substr(kHeaderBytes, length));
    taken += kHeaderBytes + length;
  }
  in_.erase(0, taken);
  return absl::OkStatus();
}

absl::Status MessageSocket::Queue(std::string_view message) {
  if (message.size() > kMaxMessageBytes || out_.size() + message.size() > kMaxUnsentBytes) {
    return ResourceExhausted("{} bytes wait to be sent", out_.size() + message.size());
  }
  for (int shift = 24; shift >= 0; shift -= 8) {
    out_.push_back(static_cast<char>(message.size() >> shift & 0xff));
  }
  out_.append(message);
  return absl::OkStatus();
}

absl::Status MessageSocket::Flush() {
  while (has_unsent()) {
    const ssize_t n = send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Aborted("send: {}", std::strerror(errno));
      break;
    }
    sent_ += static_cast<size_t>(n);
  }
  if (!has_unsent() || sent_ > kReadBytes) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
  return absl::OkStatus();
}

}  // namespace baton::guardian
