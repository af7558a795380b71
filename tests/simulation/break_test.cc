// Every rule that may be left out is noticed when it is: by the invariant that breaks.txt names, at
// its seed. Any change of the protocols' messages moves the interleavings and with them that seed,
// so the search goes on from there.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "base/log.h"
#include "tests/simulation/break_hunt.h"

namespace baton {
namespace {

// A run takes some 0.1 s, a break that is found at its seed two of them: all together some 10 s.
// One that is not found costs a minute, and fails.
constexpr uint64_t kMoreSeeds = 500;

TEST(BreakSimulation, EveryRuleThatIsLeftOutIsMissed) {
  if (std::getenv("BATON_SIMULATION_MOST_SEEDS")) {
    GTEST_SKIP() << "a slow build notices nothing more";
  }
  (void)log::Init("simulation", "/dev/null", log::Level::kError);
  std::ifstream table(BATON_SOURCE_DIR "/tests/simulation/breaks.txt");
  ASSERT_TRUE(table) << "tests/simulation/breaks.txt cannot be read";
  std::set<Break> seen;
  for (std::string line; std::getline(table, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name, first, invariant;
    ASSERT_TRUE(words >> name >> first) << line;
    const auto which = FindBreak(name);
    ASSERT_TRUE(which) << "there is no break " << name;
    EXPECT_TRUE(seen.insert(*which).second) << name << " stands there twice";
    const uint64_t seed = std::strtoull(first.c_str(), nullptr, 10);
    ASSERT_TRUE(seed > 0 && words >> invariant) << line << ": nothing shows it";
    EXPECT_TRUE(HuntBreak(*which, seed, seed + kMoreSeeds, invariant))
        << name << ": no run from seed " << seed << " on shows it as " << invariant
        << "; baton-simulate --breaks makes the table anew";
  }
  for (const BreakDescription& one : Breaks()) {
    EXPECT_TRUE(seen.contains(one.which)) << one.name << " is not in breaks.txt";
  }
}

}  // namespace
}  // namespace baton
