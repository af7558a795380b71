// Length-prefixed protobuf messages over one end of a socketpair: the guardian's loop and the
// TaskManager's thread that talks to it both stand on this. Never blocks.

#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace baton::guardian {

class MessageSocket {
 public:
  static constexpr size_t kMaxMessageBytes = 4 << 20;
  static constexpr size_t kMaxUnsentBytes = 64 << 20;

  // Owns `fd` and makes it non-blocking.
  explicit MessageSocket(int fd);
  ~MessageSocket();
  MessageSocket(const MessageSocket&) = delete;
  MessageSocket& operator=(const MessageSocket&) = delete;

  // Takes what has arrived and hands over each whole message. kAborted: the other side is gone.
  absl::Status Receive(const std::function<void(std::string_view message)>& on_message);

  // Queues; Flush sends. kResourceExhausted: the other side does not read.
  absl::Status Queue(std::string_view message);
  absl::Status Flush();
  bool has_unsent() const { return sent_ < out_.size(); }

  int fd() const { return fd_; }

 private:
  const int fd_;
  std::string in_;
  std::string out_;
  size_t sent_ = 0;  // of out_
};

}  // namespace baton::guardian
