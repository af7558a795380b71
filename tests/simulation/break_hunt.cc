#include "tests/simulation/break_hunt.h"

#include "tests/simulation/random_run.h"

namespace baton {
namespace {

std::string FirstViolation(Break which, uint64_t seed) {
  RandomRunOptions options;
  options.seed = seed;
  BreakDeliberately(which);
  const RandomRunReport report = RunAtRandom(options);
  BreakDeliberately(Break::kNone);
  return report.violations.empty() ? "" : report.violations.front().invariant;
}

}  // namespace

std::optional<BreakCaught> HuntBreak(Break which, uint64_t first, uint64_t last,
                                     const std::string& invariant) {
  for (uint64_t seed = first; seed <= last; ++seed) {
    const std::string broken = FirstViolation(which, seed);
    if (broken.empty() || (!invariant.empty() && broken != invariant)) continue;
    if (FirstViolation(Break::kNone, seed).empty()) return BreakCaught{seed, broken};
  }
  return std::nullopt;
}

}  // namespace baton
