#include "rest/client/wait.h"

#include <algorithm>
#include <thread>

namespace baton {

bool WaitUntil(const std::function<bool()>& condition, Clock::time_point deadline,
               std::chrono::milliseconds interval) {
  while (!condition()) {
    const auto now = Clock::now();
    if (now >= deadline) return false;
    RestUntil(std::min(deadline, now + interval));
  }
  return true;
}

void RestUntil(Clock::time_point when) { std::this_thread::sleep_until(when); }

}  // namespace baton
