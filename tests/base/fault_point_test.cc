#include "base/fault_point.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/log.h"

namespace baton {
namespace {

void DieAt(const char* armed, int times) {
  setenv("BATON_FAULT_POINT", armed, 1);
  ArmFaultPointsFromEnvironment();
  for (int i = 0; i < times; ++i) {
    FaultPoint("test.other");
    FaultPoint("test.here");
  }
  _exit(0);
}

TEST(FaultPointDeathTest, ThePointThatIsArmedEndsTheProcessWithItsOwnCode) {
  EXPECT_EXIT(DieAt("test.here", 1), testing::ExitedWithCode(kFaultPointExitCode), "");
  EXPECT_EXIT(DieAt("test.elsewhere", 3), testing::ExitedWithCode(0), "");
}

TEST(FaultPointDeathTest, TheThirdTime) {
  EXPECT_EXIT(DieAt("test.here:3", 2), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(DieAt("test.here:3", 3), testing::ExitedWithCode(kFaultPointExitCode), "");
}

TEST(FaultPointDeathTest, AThreadThatHangsThereEndsWithItsProcessOnly) {
  const auto hang = [] {
    alarm(1);
    DieAt("test.here:2=hang", 2);
  };
  EXPECT_EXIT(hang(), testing::KilledBySignal(SIGALRM), "");
  EXPECT_EXIT(DieAt("test.here:3=hang", 2), testing::ExitedWithCode(0), "");
}

TEST(FaultPointTest, AHandlerSeesEveryPointUntilItIsDisarmed) {
  std::vector<std::string> seen;
  FaultPoint("unseen");
  SetFaultPointHandler([&](std::string_view name) { seen.emplace_back(name); });
  FaultPoint("a");
  FaultPoint("b");
  SetFaultPointHandler(nullptr);
  FaultPoint("unseen");
  EXPECT_EQ(seen, (std::vector<std::string>{"a", "b"}));
}

TEST(LogTest, TheSinkSeesLinesWithTheirLevel) {
  std::vector<std::pair<log::Level, std::string>> seen;
  log::SetSink([&](log::Level level, const std::string& line) { seen.emplace_back(level, line); });
  log::Error("failed job_id={}", 7);
  log::Debug("not enabled by default");
  log::SetSink(nullptr);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].first, log::Level::kError);
  EXPECT_EQ(seen[0].second, "failed job_id=7");
}

TEST(LogTest, Levels) {
  EXPECT_EQ(*log::ParseLevel("warning"), log::Level::kWarning);
  EXPECT_FALSE(log::ParseLevel("loud").ok());
  EXPECT_EQ(log::Init("t", "/dev/null/no.log", log::Level::kInfo).code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace baton
