// Time as Baton counts it. Nothing but an Executor reads a clock.

#pragma once

#include <chrono>
#include <cstdint>

namespace baton {

using Duration = std::chrono::nanoseconds;

// The clock behind Executor::Now(): CLOCK_BOOTTIME on a real machine (it goes on while the machine
// is suspended, as a lease must; two processes of one host may compare its readings), virtual time
// in tests.
struct BootClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};
using TimePoint = BootClock::time_point;

// What people read: milliseconds since 1970-01-01 UTC. It may jump; nothing is decided by it.
using WallMillis = int64_t;

inline constexpr WallMillis kNotYet = -1;  // as Flink's REST API writes "has not happened"

constexpr int64_t ToMillis(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

}  // namespace baton
