// The TCP port that says that this guardian lives: every connection gets its incarnation as one
// frame (4 bytes length, then the text) and is closed. A refused connection, or another
// incarnation, proves it dead.

#pragma once

#include <string>

#include "absl/status/status.h"

namespace baton::guardian {

class LivenessPort {
 public:
  LivenessPort() = default;
  ~LivenessPort();
  LivenessPort(const LivenessPort&) = delete;
  LivenessPort& operator=(const LivenessPort&) = delete;

  // "host:port"; port 0 takes a free one.
  absl::Status Open(const std::string& address, const std::string& incarnation);

  // Answers whoever is waiting, a bounded number at a time.
  void Answer();

  // "host:port" with the port really bound.
  const std::string& address() const { return address_; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
  std::string address_;
  std::string answer_;
};

}  // namespace baton::guardian
