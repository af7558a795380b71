// The one place in which a synchronous program (the command line, the local cluster, tests of real
// processes) waits: for a condition, never for a duration.

#pragma once

#include <chrono>
#include <functional>

namespace baton {

using Clock = std::chrono::steady_clock;

// Asks until `condition` holds (true) or `deadline` has passed (false); at least once.
bool WaitUntil(const std::function<bool()>& condition, Clock::time_point deadline,
               std::chrono::milliseconds interval = std::chrono::milliseconds(20));

// Rests until `when`; for the pace of a load generator and the back-off of retries.
void RestUntil(Clock::time_point when);

}  // namespace baton
