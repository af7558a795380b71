// Named places in the protocols at which tests make a process die, as Kudu's MAYBE_FAULT.
//
// BATON_FAULT_POINT="name" (or "name:3" for the third time it is reached) in the environment of a
// daemon makes it exit at once with code 85 there: no destructor, no flush, as SIGKILL would, but a
// test can tell this death from a bug. "name=hang" (or "name:3=hang") makes the thread stay there
// for ever instead, and with it the strand: a loop that does not end. A simulator arms them with a
// handler instead. Unarmed, a fault point costs one relaxed load.

#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace baton {

inline constexpr int kFaultPointExitCode = 85;

// Reads BATON_FAULT_POINT; main() calls it once before any thread starts.
void ArmFaultPointsFromEnvironment();

// Tests only, single-threaded: called with the name at every fault point; null disarms.
void SetFaultPointHandler(std::function<void(std::string_view name)> handler);

void FaultPoint(std::string_view name);

}  // namespace baton
