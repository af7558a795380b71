// The guardian's event loop: epoll over its descriptors and one timer on CLOCK_BOOTTIME (a lease
// goes on while the machine is suspended, so epoll's own timeout would not do).
//
// One thread. A handler may add and remove descriptors, its own too: an event of a removed one is
// dropped, even when its number is in use again.

#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "absl/status/status.h"
#include "base/time.h"

namespace baton::guardian {

class Poller {
 public:
  using Handler = std::function<void()>;
  // Names a watched descriptor; 0 names none.
  using WatchId = uint64_t;

  Poller() = default;
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  absl::Status Open();

  // Calls `handler` while `fd` is readable, ended or broken (level-triggered).
  WatchId Watch(int fd, Handler handler);
  void WantWrite(WatchId id, bool wanted);
  void Unwatch(WatchId id);

  // Waits for events until `deadline` and runs their handlers.
  void RunOnce(TimePoint deadline);

 private:
  struct Watched {
    int fd;
    Handler handler;
  };

  void SetTimer(TimePoint deadline);

  int epoll_ = -1;
  int timer_ = -1;
  WatchId last_id_ = 0;
  std::map<WatchId, Watched> watched_;
};

}  // namespace baton::guardian
