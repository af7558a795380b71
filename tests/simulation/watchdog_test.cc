#include "entrypoint/watchdog.h"

#include <gtest/gtest.h>

#include "base/manual_executor.h"

namespace baton {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class WatchdogTest : public testing::Test {
 protected:
  WatchdogTest() { watchdog_->Start(); }

  ManualScheduler scheduler_{1};
  const std::shared_ptr<ManualExecutor> own_ = scheduler_.NewExecutor("watchdog");
  const std::shared_ptr<ManualExecutor> loop_ = scheduler_.NewExecutor("loop");
  int hangs_ = 0;
  const std::shared_ptr<Watchdog> watchdog_ = std::make_shared<Watchdog>(
      own_, [this](Task done) { loop_->Post(std::move(done)); }, [this] { ++hangs_; });
};

TEST_F(WatchdogTest, ALoopThatHangsIsFoundOnce) {
  scheduler_.AdvanceBy(minutes(10));
  EXPECT_EQ(hangs_, 0);
  loop_->Pause();
  scheduler_.AdvanceBy(seconds(29));
  EXPECT_EQ(hangs_, 0) << "busy";
  scheduler_.AdvanceBy(seconds(3));
  EXPECT_EQ(hangs_, 1);
  scheduler_.AdvanceBy(minutes(10));
  EXPECT_EQ(hangs_, 1);
}

TEST_F(WatchdogTest, ALoopThatGoesOnInTimeIsForgiven) {
  for (int i = 0; i < 5; ++i) {
    loop_->Pause();
    scheduler_.AdvanceBy(seconds(25));
    loop_->Resume();
    scheduler_.AdvanceBy(seconds(2));
  }
  EXPECT_EQ(hangs_, 0);
}

TEST_F(WatchdogTest, AProcessThatWasStoppedDidNotHang) {
  for (const auto& executor : {own_, loop_}) executor->Pause();
  scheduler_.AdvanceBy(minutes(10));
  for (const auto& executor : {own_, loop_}) executor->Resume();
  scheduler_.AdvanceBy(minutes(1));
  EXPECT_EQ(hangs_, 0);
}

}  // namespace
}  // namespace baton
