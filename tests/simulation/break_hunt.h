// Looks for the first run at random that shows that a rule of the protocols is left out: broken
// with the break, and not without it.
//
// Single-threaded, as the simulation is; nothing is broken afterwards.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/deliberate_break.h"

namespace baton {

struct BreakCaught {
  uint64_t seed = 0;
  std::string invariant;
};

// Of the seeds `first` to `last`. With an invariant, what breaks another one does not count.
std::optional<BreakCaught> HuntBreak(Break which, uint64_t first, uint64_t last,
                                     const std::string& invariant = "");

}  // namespace baton
