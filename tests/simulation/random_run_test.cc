#include "tests/simulation/random_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"

namespace baton {
namespace {

uint64_t AtMost(uint64_t seeds) {
  const char* most = std::getenv("BATON_SIMULATION_MOST_SEEDS");
  return most ? std::min<uint64_t>(seeds, std::strtoull(most, nullptr, 10)) : seeds;
}

class RandomRunTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(log::Init("simulation", "/dev/null", log::Level::kError).ok());
  }
  void TearDown() override {
    ASSERT_TRUE(log::Init("simulation", "/dev/null", log::Level::kError).ok());
  }

  // Everything that happened, and when.
  static std::vector<std::string> TraceOf(uint64_t seed) {
    EXPECT_TRUE(log::Init("simulation", "/dev/null", log::Level::kInfo).ok());
    std::vector<std::string> trace;
    RandomRunOptions options;
    options.seed = seed;
    options.trace = [&trace](double seconds, const std::string& line) {
      trace.push_back(std::to_string(seconds) + " " + line);
    };
    (void)RunAtRandom(options);
    return trace;
  }
};

TEST_F(RandomRunTest, ASeedIsARun) {
  for (uint64_t seed = 1; seed <= AtMost(3); ++seed) {
    const auto once = TraceOf(seed), again = TraceOf(seed);
    ASSERT_GT(once.size(), 50u);
    const auto [first, second] =
        std::mismatch(once.begin(), once.end(), again.begin(), again.end());
    ASSERT_TRUE(first == once.end() && second == again.end())
        << "seed " << seed << " differs: " << (first == once.end() ? "the end" : *first) << " / "
        << (second == again.end() ? "the end" : *second);
  }
}

TEST_F(RandomRunTest, NothingBreaks) {
  std::set<std::string> faults;
  size_t failovers = 0;
  for (uint64_t seed = 1; seed <= AtMost(6); ++seed) {
    RandomRunOptions options;
    options.seed = seed;
    const RandomRunReport report = RunAtRandom(options);
    for (const Violation& violation : report.violations) {
      ADD_FAILURE() << "baton-simulate --seed " << seed << ": " << violation.invariant << ": "
                    << violation.what;
    }
    faults.insert(report.faults.begin(), report.faults.end());
    failovers += report.failovers;
  }
  EXPECT_GT(faults.size(), AtMost(6));
  EXPECT_GT(failovers, AtMost(6));
}

}  // namespace
}  // namespace baton
