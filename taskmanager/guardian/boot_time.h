// The clocks of the guardian, which has no Executor: it is one loop of one thread, and the same
// CLOCK_BOOTTIME as Executor::Now() of its TaskManager.

#pragma once

#include <time.h>

#include "base/time.h"

namespace baton::guardian {

inline Duration ReadClock(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec);
}

inline TimePoint BootNow() { return TimePoint(ReadClock(CLOCK_BOOTTIME)); }
inline WallMillis WallNow() { return ToMillis(ReadClock(CLOCK_REALTIME)); }

}  // namespace baton::guardian
