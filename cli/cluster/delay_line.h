// A longer cable: what one host of a HostNetwork sends, and what is sent to it, arrives later, in
// order and unchanged. In user space, because many kernels lack the traffic shaper that could do it
// (netem): the host's cable is unplugged from the switch, another one is plugged in under its name
// (so that cuts and losses find it), and a thread carries the frames from one to the other.
//
// Threading: any one thread; owns its thread. Remove, or destruction, plugs the host in directly
// again. Nothing of it outlives the network, and without this process nothing passes it.

#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace baton {

class DelayLine {
 public:
  struct Options {
    std::string switch_namespace;        // the file that stands for it
    std::string host;                    // its cable's name there
    std::chrono::milliseconds delay{0};  // each way
  };

  static absl::StatusOr<std::unique_ptr<DelayLine>> Insert(Options options);
  ~DelayLine();
  DelayLine(const DelayLine&) = delete;

  // What is on the way still arrives, at once. Harmless a second time.
  absl::Status Remove();

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Frame {
    Time due;
    size_t to = 0;  // which of the ends
    std::vector<char> bytes;
  };

  explicit DelayLine(Options options);
  absl::Status Plug() const;
  absl::Status InSwitch(const std::string& ip_commands) const;
  absl::Status OpenEnds();
  void Carry();
  void Receive(size_t from);
  void Send(Time until);

  const Options options_;
  const std::string far_;            // the host's cable, while this is in its place
  const std::string near_;           // our end of the one that is plugged in
  std::array<int, 2> ends_{-1, -1};  // packet sockets: on far_, on near_
  int wake_ = -1;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
  // The thread's:
  std::deque<Frame> on_the_way_;  // at most kMostBytes; all are due in order
  size_t bytes_ = 0;
  std::vector<char> buffer_;
};

}  // namespace baton
